//! The `lagrange` command: flags and printing around the library of the same name.
//!
//! # Layout
//!
//! `args` has the flags that subcommands share, `parse` what clap leaves open; every other module is a
//! subcommand with its flags, or what several of them need: `child` and `tally` for those that run others,
//! `output`, `progress` and `views` for what people see.

mod args;
mod baseline;
mod bench;
mod certs;
mod child;
mod compare;
mod config;
mod coordinator;
mod data;
mod evaluate;
mod export;
mod interrupt;
mod manual;
mod network;
mod output;
mod parse;
mod predict;
mod progress;
mod replay;
mod report;
mod runs;
mod security;
mod serve;
mod signals;
mod statistics;
mod sweep;
mod tally;
mod train;
mod trained;
mod views;
mod worker;

use anyhow::{Context as _, Result};
use args::{Command, StartArgs};
use baseline::BaselineArgs;
use lagrange::machine::{DATA_BYTES, Needs, cores};
use lagrange::{RunError, RunResult, SolveError, Sources, TrainingError};
use lagrange_baseline::BaselineError;
use output::tell;
use signals::Stop;
use std::process::ExitCode;
use train::TrainArgs;

/// Exit code after Ctrl-C or SIGTERM, as shells have it.
const INTERRUPTED: u8 = 130;
/// Exit code of a training that diverged: whoever counts runs can tell it from one that something else kept
/// from its end.
const DIVERGED: u8 = 3;

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = parse::parse();
    start_log(&cli.log);
    run(&cli.command, &cli.log).unwrap_or_else(|error| {
        tell(format_args!("error: {}", on_one_line(&error)));
        if is_interrupt(&error) {
            ExitCode::from(INTERRUPTED)
        } else if is_divergence(&error) {
            ExitCode::from(DIVERGED)
        } else {
            ExitCode::FAILURE
        }
    })
}

fn run(command: &Command, log: &str) -> Result<ExitCode> {
    if let Command::Train(TrainArgs { child: true, .. })
    | Command::Baseline(BaselineArgs { child: true, .. }) = command
    {
        child::end_with_parent();
    }
    check_environment(command)?;
    needs(command, log)?.ensure()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        // Where the cores belong to mathematics, a second thread for the network only wakes up late and moves
        // tasks about.
        .worker_threads(if matches!(command, Command::Coordinator(_)) {
            2
        } else {
            1
        })
        .enable_all()
        .build()
        .context("cannot start the async runtime")?;
    let _context = runtime.enter();
    signals::survive_limits();
    match command {
        Command::Train(args) => ended(
            runtime.block_on(train::run(args, log)),
            &args.start,
            !args.child,
        ),
        Command::Coordinator(args) => {
            ended(runtime.block_on(coordinator::run(args)), &args.start, true)
        }
        Command::Worker(args) => runtime
            .block_on(worker::run(args))
            .map(|()| ExitCode::SUCCESS),
        Command::Compare(args) => {
            let table = runtime.block_on(compare::run(args, Stop::listen().wished()))?;
            compare::print(&table, args)?;
            Ok(success_if(table.is_complete()))
        }
        Command::Sweep(args) => {
            let summary = runtime.block_on(sweep::run(args, Stop::listen().wished()))?;
            sweep::print(&summary, &args.out, args.run.json)?;
            Ok(success_if(summary.is_complete()))
        }
        Command::Bench(args) => {
            let measured = runtime.block_on(bench::run(args))?;
            bench::print(&measured, args.run.json)?;
            Ok(success_if(measured.is_complete()))
        }
        Command::Serve(args) => runtime
            .block_on(serve::run(args))
            .map(|()| ExitCode::SUCCESS),
        Command::Predict(args) => predict::run(args).map(success_if),
        Command::Replay(args) => replay::run(args).map(success_if),
        rest => run_at_once(rest).map(|()| ExitCode::SUCCESS),
    }
}

/// Refuses variables that stand for nothing, where commands have no configuration but flags that variables
/// stand for.
fn check_environment(command: &Command) -> Result<()> {
    if let Command::Worker(_)
    | Command::Compare(_)
    | Command::Evaluate(_)
    | Command::Report(_)
    | Command::Serve(_) = command
    {
        Sources::default().environment(std::env::vars_os(), &parse::flag_variables())?;
    }
    Ok(())
}

fn needs(command: &Command, log: &str) -> Result<Needs> {
    let computing = |threads| Needs {
        threads,
        bytes: DATA_BYTES,
        ..Needs::default()
    };
    Ok(match command {
        Command::Train(args) => args.cluster(log)?.needs(),
        Command::Coordinator(args) => args.cluster().needs(),
        Command::Worker(args) => computing(worker::threads(args)),
        Command::Bench(_) | Command::Baseline(_) => computing(cores()),
        Command::Replay(args) => computing(args.threads()),
        // They compute without OpenBLAS.
        Command::Evaluate(_) | Command::Report(_) => computing(0),
        _ => Needs::default(),
    })
}

/// Runs a command that neither waits nor serves: a signal ends it as it ends any program.
fn run_at_once(command: &Command) -> Result<()> {
    match command {
        Command::Evaluate(args) => evaluate::print(&evaluate::run(args)?, args.json),
        Command::Baseline(args) => baseline::print(&baseline::run(args)?, args.run.json),
        Command::Export(args) => export::run(args),
        Command::Report(args) => report::run(args),
        Command::Runs(args) => runs::run(args),
        Command::Completions(args) => manual::completions(args),
        Command::Man(args) => manual::man(args),
        Command::Certs(args) => certs::run(args),
        Command::Config(args) => config::run(args),
        Command::Data(args) => data::run(args),
        Command::Network(args) => network::run(args),
        Command::Train(_)
        | Command::Coordinator(_)
        | Command::Worker(_)
        | Command::Compare(_)
        | Command::Sweep(_)
        | Command::Predict(_)
        | Command::Replay(_)
        | Command::Serve(_)
        | Command::Bench(_) => unreachable!("run by the caller"),
    }
}

/// Prints what a run came to, saved or not, and then writes its report if one is wanted.
fn ended(result: Result<RunResult>, args: &StartArgs, with_report: bool) -> Result<ExitCode> {
    let json = args.run.json;
    let result = result.map_err(|error| {
        let Some(RunError::Unsaved(unsaved)) = error.downcast_ref() else {
            return error;
        };
        match train::print_result(&unsaved.result, json) {
            Ok(()) => error.context("the result is on stdout, but not saved"),
            // The error that is about to be told says more than one of stdout would.
            Err(_) => error,
        }
    })?;
    let printed = train::print_result(&result, json);
    if let Some(folder) = &result.run_dir
        && with_report
        && !args.no_report
    {
        report::write_at_end(folder, &args.run.data);
    }
    printed?;
    Ok(match result.interrupted {
        true => ExitCode::from(INTERRUPTED),
        false => ExitCode::SUCCESS,
    })
}

/// An error and its causes, outermost first, each said once.
fn on_one_line(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text += ": ";
            text += &cause;
        }
    }
    text
}

/// Whether the user asked to stop before there was anything to save.
fn is_interrupt(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<interrupt::Interrupted>()
            || matches!(cause.downcast_ref(), Some(TrainingError::InterruptedEarly))
    })
}

/// Whether training itself came to no result: its weights cannot be computed any more.
fn is_divergence(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        matches!(
            cause.downcast_ref(),
            Some(
                SolveError::NotPositiveDefinite { .. }
                    | SolveError::NotFinite { .. }
                    | SolveError::Diverged
            )
        ) || matches!(
            cause.downcast_ref(),
            Some(BaselineError::Diverged { .. } | BaselineError::Unsolvable { .. })
        )
    })
}

fn success_if(complete: bool) -> ExitCode {
    match complete {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn start_log(filter: &str) {
    // The filter has been checked as a flag.
    let filter = tracing_subscriber::EnvFilter::new(filter);
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(output::has_colours())
        .with_writer(|| output::Log)
        .init();
}
