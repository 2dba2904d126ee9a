//! The `lagrange` command as a library: everything but the process itself, so that clusters can also be run from tests.

pub mod args;
pub mod baseline;
pub mod bench;
mod certs;
pub mod child;
mod children;
pub mod cluster;
pub mod compare;
pub mod config;
mod coordinator;
pub mod evaluate;
mod interrupt;
pub mod model;
mod progress;
pub mod run_folder;
mod security;
pub mod seeds;
mod signals;
pub mod statistics;
pub mod sweep;
pub mod tally;
mod train;
mod worker;

use anyhow::Result;
use args::{BaselineArgs, Cli, Command, ConfigCommand, TrainArgs};
use clap::Parser as _;
use lagrange_baseline::BaselineError;
use lagrange_coordinator::TrainingError;
use lagrange_core::solver::SolveError;
use std::process::ExitCode;

/// Exit code after Ctrl-C or SIGTERM, as shells have it.
const INTERRUPTED: u8 = 130;
/// Exit code of a training that diverged: whoever counts runs can tell it from one that something else kept
/// from its end.
const DIVERGED: u8 = 3;

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    start_log(&cli.log);
    lagrange_core::blas::use_one_thread();
    match run(&cli.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", on_one_line(&error));
            if is_interrupt(&error) {
                ExitCode::from(INTERRUPTED)
            } else if is_divergence(&error) {
                ExitCode::from(DIVERGED)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

fn run(command: &Command) -> Result<ExitCode> {
    if let Command::Train(TrainArgs { child: true, .. })
    | Command::Baseline(BaselineArgs { child: true, .. }) = command
    {
        child::end_with_parent();
    }
    // Where the cores belong to mathematics, a second thread for the network only wakes up late and moves tasks about.
    let threads = match command {
        Command::Coordinator(_) => 2,
        _ => 1,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()?;
    let result = match command {
        Command::Train(args) => runtime
            .block_on(train::run(args))
            .map(|result| (result, args.run.json)),
        Command::Coordinator(args) => runtime
            .block_on(coordinator::run(args))
            .map(|result| (result, args.run.json)),
        Command::Worker(args) => {
            return runtime
                .block_on(worker::run(args))
                .map(|()| ExitCode::SUCCESS);
        }
        Command::Evaluate(args) => {
            evaluate::print(&evaluate::run(args)?, args.json)?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Compare(args) => {
            let table =
                runtime.block_on(async { compare::run(args, signals::interrupted()).await })?;
            compare::print(&table, args)?;
            return Ok(success_if(table.is_complete()));
        }
        Command::Sweep(args) => {
            let summary =
                runtime.block_on(async { sweep::run(args, signals::interrupted()).await })?;
            sweep::print(&summary, &args.out, args.run.json)?;
            return Ok(success_if(summary.is_complete()));
        }
        Command::Baseline(args) => {
            baseline::print(&baseline::run(args)?, args.run.json)?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Bench(args) => {
            let measured = runtime.block_on(bench::run(args))?;
            bench::print(&measured, args.run.json)?;
            return Ok(success_if(measured.is_complete()));
        }
        Command::Certs(args) => {
            certs::run(args)?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Config(args) => {
            match &args.command {
                ConfigCommand::Show(args) => {
                    print!("{}", config::Config::resolve(args)?.to_toml()?);
                }
                ConfigCommand::Presets => {
                    for (name, text) in config::PRESETS {
                        println!(
                            "{name:<18} {}",
                            text.lines()
                                .next()
                                .unwrap_or_default()
                                .trim_start_matches("# ")
                        );
                    }
                }
            }
            return Ok(ExitCode::SUCCESS);
        }
    };
    let (result, json) = result?;
    train::print_result(&result, json)?;
    Ok(if result.interrupted {
        ExitCode::from(INTERRUPTED)
    } else {
        ExitCode::SUCCESS
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
    let filter = tracing_subscriber::EnvFilter::try_new(filter)
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
}
