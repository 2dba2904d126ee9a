//! `lagrange train`: a coordinator in this process and its workers as children, or as tasks.

use crate::args::TrainArgs;
use crate::children::{Children, WorkerCommand};
use crate::cluster::{Coordinator, CoordinatorOptions, run_in_process};
use crate::config::Config;
use crate::output::{print, print_json};
use crate::run_folder::RunResult;
use crate::{machine, security, signals};
use anyhow::{Result, bail};
use lagrange_coordinator::{Rules, Stop};
use lagrange_data::{Dataset, Outline};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::oneshot;

/// Local workers need no longer than loading their data takes.
const JOIN_TIMEOUT: Duration = Duration::from_secs(60);

/// Processors of this machine that this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Workers to start.
pub fn workers(args: &TrainArgs) -> usize {
    args.workers.map_or_else(cores, usize::from)
}

/// Threads of each worker.
pub fn threads(args: &TrainArgs) -> usize {
    let share = (cores() / workers(args)).max(1);
    args.threads.map_or(share, usize::from)
}

/// Runs the command.
///
/// # Errors
/// If the run fails.
pub async fn run(args: &TrainArgs, log: &str) -> Result<RunResult> {
    let stop = signals::Stop::listen();
    let (workers, threads) = (workers(args), threads(args));
    check_workers(workers)?;
    machine::warn_of_kernels();
    let data_dir = args.run.data_dir.as_deref();
    let options = CoordinatorOptions {
        rules: Rules {
            join_timeout: JOIN_TIMEOUT,
            ..args.rules.rules(workers)
        },
        security: security::of_coordinator(&args.security, args.listen)?,
        data_dir: args.run.data_dir.clone(),
        run_dir: args.run.run_dir.clone(),
        quiet: args.run.quiet,
    };
    if args.in_process {
        let dataset = Arc::new(Dataset::load(data_dir)?);
        let stop = async {
            stop.wished().await;
            Stop::Wished
        };
        let config = Config::resolve(&args.run)?;
        return run_in_process(config, dataset, threads, options, args.listen, stop).await;
    }
    let dataset = Outline::load(data_dir)?;
    let coordinator = match &args.resume {
        Some(folder) => Coordinator::resume(folder, args.run.epochs, &dataset, options)?,
        None => Coordinator::prepare(Config::resolve(&args.run)?, &dataset, options)?,
    };
    let (listener, address) = Coordinator::listen(args.listen).await?;
    let command = WorkerCommand::new(address, threads, data_dir, &args.security, log);
    let mut children = Children::start(command, workers, args.restarts)?;
    let (abandon, abandoned) = oneshot::channel();
    let ending = children.ending();
    let stop = async move {
        tokio::select! {
            () = stop.wished() => {
                ending.store(true, Ordering::Relaxed);
                Stop::Wished
            }
            Ok(reason) = abandoned => Stop::Abandoned(reason),
        }
    };
    let result = {
        let mut run = std::pin::pin!(coordinator.run(listener, stop));
        tokio::select! {
            result = &mut run => result,
            reason = children.all_gone() => {
                let _ = abandon.send(reason);
                run.await
            }
        }
    };
    children.end().await;
    result
}

/// Prints a result: a table for people, or one line of JSON.
///
/// # Errors
/// If stdout does not take it.
pub fn print_result(result: &RunResult, json: bool) -> Result<()> {
    if json {
        return print_json(result);
    }
    let percent = |accuracy: f64| format!("{:.2} %", 100.0 * accuracy);
    let unknown = || {
        let reason = result
            .not_evaluated
            .as_deref()
            .unwrap_or("nothing was evaluated");
        format!("unknown: {reason}")
    };
    let accuracy = result.test_accuracy.map_or_else(unknown, percent);
    let mut text = format!("test accuracy  {accuracy}\n");
    // Writing to a string cannot fail.
    if let Some(accuracy) = result.validation_accuracy {
        let _ = writeln!(text, "validation     {}", percent(accuracy));
    }
    let _ = write!(
        text,
        "steps          {} in {:.1} s, {} workers\n\
         weights        sha256 {}\n\
         multipliers    sha256 {}\n\
         wire           {:.1} MB\n\
         run folder     {}\n",
        result.steps,
        result.seconds,
        result.workers,
        result.weights_sha256,
        result.multipliers_sha256,
        result.bytes_sent as f64 / 1e6,
        result.run_dir.display()
    );
    Ok(print(&text)?)
}

/// The largest number of workers that makes sense to start on one machine.
const MOST_WORKERS: usize = 256;

/// Refuses worker counts that can only be a slip of the finger.
pub(crate) fn check_workers(workers: usize) -> Result<()> {
    if workers > MOST_WORKERS {
        bail!("--workers {workers}: at most {MOST_WORKERS} make sense on one machine");
    }
    Ok(())
}
