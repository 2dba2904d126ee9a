//! `lagrange train`: a coordinator in this process and its workers as children, or as tasks.

use crate::args::TrainArgs;
use crate::children::{Children, WorkerCommand};
use crate::cluster::{Coordinator, CoordinatorOptions, run_in_process};
use crate::config::Config;
use crate::run_folder::RunResult;
use crate::security;
use crate::signals::interrupted;
use anyhow::{Result, bail};
use lagrange_coordinator::Rules;
use lagrange_data::{Dataset, Outline};
use std::sync::Arc;
use std::time::Duration;

/// Local workers need no longer than loading their data takes.
const JOIN_TIMEOUT: Duration = Duration::from_secs(60);

/// Runs the command.
///
/// # Errors
/// If the run fails.
pub async fn run(args: &TrainArgs) -> Result<RunResult> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = args.workers.map_or(cores, usize::from);
    check_workers(workers)?;
    let threads = args
        .threads
        .map_or_else(|| (cores / workers).max(1), usize::from);
    let data_dir = args.run.data_dir.as_deref();
    let options = CoordinatorOptions {
        rules: Rules {
            join_timeout: JOIN_TIMEOUT,
            ..args.rules.rules(workers)
        },
        security: security::of_coordinator(&args.security, args.listen)?,
        run_dir: args.run.run_dir.clone(),
        quiet: args.run.quiet,
    };
    if args.in_process {
        let dataset = Arc::new(Dataset::load(data_dir)?);
        return run_in_process(
            Config::resolve(&args.run)?,
            dataset,
            threads,
            options,
            args.listen,
            interrupted(),
        )
        .await;
    }
    let dataset = Outline::load(data_dir)?;
    let coordinator = match &args.resume {
        Some(folder) => Coordinator::resume(folder, &dataset, options)?,
        None => Coordinator::prepare(Config::resolve(&args.run)?, &dataset, options)?,
    };
    let (listener, address) = Coordinator::listen(args.listen).await?;
    let command = WorkerCommand::new(address, threads, data_dir, &args.security)?;
    let mut children = Children::start(command, workers, args.restarts)?;
    let result = tokio::select! {
        result = coordinator.run(listener, interrupted()) => result,
        error = children.all_gone() => Err(error),
    };
    children.end().await;
    result
}

/// Prints a result: a table for people, or one line of JSON.
///
/// # Errors
/// If the run was asked for JSON that cannot be written.
pub fn print_result(result: &RunResult, json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string(result)?);
        return Ok(());
    }
    let percent = |accuracy: f64| format!("{:.2} %", 100.0 * accuracy);
    let accuracy = result
        .test_accuracy
        .map_or_else(|| "not evaluated".to_owned(), percent);
    println!("test accuracy  {accuracy}");
    if let Some(accuracy) = result.validation_accuracy {
        println!("validation     {}", percent(accuracy));
    }
    println!(
        "steps          {} in {:.1} s, {} workers",
        result.steps, result.seconds, result.workers
    );
    println!("weights        sha256 {}", result.weights_sha256);
    println!("multipliers    sha256 {}", result.multipliers_sha256);
    println!("wire           {:.1} MB", result.bytes_sent as f64 / 1e6);
    println!("run folder     {}", result.run_dir.display());
    Ok(())
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
