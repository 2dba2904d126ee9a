//! `lagrange train`: a coordinator in this process and its workers as children, or as tasks.

use crate::args::TrainArgs;
use crate::cluster::{Coordinator, CoordinatorOptions, run_in_process};
use crate::config::Config;
use crate::run_folder::RunResult;
use crate::signals::interrupted;
use anyhow::{Context as _, Result, bail};
use lagrange_data::{Dataset, Outline};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::process::{Child, ChildStdin, Command};

/// Local workers need no longer than loading their data takes.
const JOIN_TIMEOUT: Duration = Duration::from_secs(60);
/// Children are not replaced: once all are gone, nobody will come.
const GRACE: Duration = Duration::from_secs(1);
/// How long children may take to end by themselves after the run.
const CHILD_EXIT: Duration = Duration::from_secs(5);

/// Runs the command.
///
/// # Errors
/// If the run fails.
pub async fn run(args: &TrainArgs) -> Result<RunResult> {
    let config = Config::resolve(&args.run)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = args.workers.map_or(cores, usize::from);
    check_workers(workers)?;
    let threads = args
        .threads
        .map_or_else(|| (cores / workers).max(1), usize::from);
    let data_dir = args.run.data_dir.as_deref();
    let options = CoordinatorOptions {
        workers,
        join_timeout: JOIN_TIMEOUT,
        grace: GRACE,
        run_dir: args.run.run_dir.clone(),
        quiet: args.run.quiet,
    };
    if args.in_process {
        let dataset = Arc::new(Dataset::load(data_dir)?);
        return run_in_process(
            config,
            dataset,
            threads,
            options,
            args.listen,
            interrupted(),
        )
        .await;
    }
    let coordinator = Coordinator::prepare(config, &Outline::load(data_dir)?, options)?;
    let (listener, address) = Coordinator::listen(args.listen).await?;
    let mut children = Children::start(workers, address, threads, data_dir)?;
    let result = tokio::select! {
        result = coordinator.run(listener, interrupted()) => result,
        error = children.all_gone() => Err(error),
    };
    children.end().await;
    result
}

/// Worker processes of this run. They end when this process does, however it ends: their stdin closes.
struct Children {
    processes: Vec<Child>,
    /// Held apart from the processes: waiting for a child would close its stdin.
    inputs: Vec<ChildStdin>,
}

impl Children {
    fn start(
        count: usize,
        address: SocketAddr,
        threads: usize,
        data_dir: Option<&Path>,
    ) -> Result<Self> {
        let program = std::env::current_exe().context("cannot find the lagrange executable")?;
        let mut processes = Vec::with_capacity(count);
        for _ in 0..count {
            let mut command = Command::new(&program);
            command
                .args(["worker", "--child", "--connect", &address.to_string()])
                .args(["--threads", &threads.to_string()])
                .env("OPENBLAS_NUM_THREADS", "1")
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .kill_on_drop(true);
            if let Some(directory) = data_dir {
                command.arg("--data-dir").arg(directory);
            }
            processes.push(command.spawn().context("cannot start a worker process")?);
        }
        let inputs = processes
            .iter_mut()
            .filter_map(|child| child.stdin.take())
            .collect();
        Ok(Self { processes, inputs })
    }

    /// Resolves only if every child ended; each has said why on stderr. A child that ends well does so because the run is over.
    async fn all_gone(&mut self) -> anyhow::Error {
        let mut failed = 0;
        let count = self.processes.len();
        for child in &mut self.processes {
            match child.wait().await {
                Ok(status) if status.success() => {}
                _ => failed += 1,
            }
        }
        if failed == 0 {
            std::future::pending::<()>().await;
        }
        // The coordinator has heard of it too, and may still have a better explanation.
        tokio::time::sleep(2 * GRACE).await;
        anyhow::anyhow!("{failed} of {count} worker processes failed; their messages are above")
    }

    async fn end(mut self) {
        self.inputs.clear();
        for child in &mut self.processes {
            if tokio::time::timeout(CHILD_EXIT, child.wait())
                .await
                .is_err()
            {
                let _ = child.kill().await;
            }
        }
    }
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
fn check_workers(workers: usize) -> Result<()> {
    if workers > MOST_WORKERS {
        bail!("--workers {workers}: at most {MOST_WORKERS} make sense on one machine");
    }
    Ok(())
}
