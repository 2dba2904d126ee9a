//! `lagrange train`: a coordinator in this process and its workers as children, or as tasks.

use crate::args::{RuleArgs, RunArgs, SecurityArgs};
use crate::output::{print, print_json};
use crate::progress::Progress;
use crate::{security, signals};
use anyhow::{Result, bail};
use clap::Args;
use lagrange::machine::{self, cores, executable};
use lagrange::{
    Cluster, Config, DataSource, Dataset, DatasetFacts, DatasetSummary, Rules, RunDir, RunResult,
    RunSpec,
};
use lagrange_protocol::listen_address;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// `lagrange train`
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// The run.
    #[command(flatten)]
    pub run: RunArgs,
    /// Go on with the run of this folder, from its last checkpoint. Its configuration is the folder's; the
    /// number of workers may be another. A run that is complete goes on for more --epochs.
    #[arg(long, value_name = "RUN_FOLDER")]
    pub resume: Option<PathBuf>,
    /// Its rules.
    #[command(flatten)]
    pub rules: RuleArgs,
    /// Its safety.
    #[command(flatten)]
    pub security: SecurityArgs,
    /// How often worker processes that die are started again, over the whole run.
    #[arg(long, value_name = "N", default_value = "16")]
    pub restarts: u32,
    /// Worker processes [default: one per core].
    #[arg(long, value_name = "N", env = "LAGRANGE_WORKERS")]
    pub workers: Option<NonZeroUsize>,
    /// Threads of each worker [default: cores / workers, at least 1].
    #[arg(long, value_name = "N", env = "LAGRANGE_THREADS")]
    pub threads: Option<NonZeroUsize>,
    /// Run the workers as tasks of this process.
    #[arg(long)]
    pub in_process: bool,
    /// Address for the local coordinator; one that other machines reach needs --tls.
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "127.0.0.1:0",
        value_parser = listen_address,
        env = "LAGRANGE_LISTEN"
    )]
    pub listen: SocketAddr,
    /// End when stdin closes: for runs started by `sweep`, `compare` and `bench`.
    #[arg(long, hide = true)]
    pub child: bool,
}

/// Local workers need no longer than loading their data takes.
const JOIN_TIMEOUT: Duration = Duration::from_secs(60);

impl TrainArgs {
    /// Workers to start.
    pub(crate) fn workers(&self) -> usize {
        self.workers.map_or_else(cores, usize::from)
    }

    /// The coordinator and its workers.
    pub(crate) fn cluster(&self, log: &str) -> Result<Cluster> {
        let workers = self.workers();
        check_workers(workers)?;
        let threads = match self.threads {
            Some(threads) => threads.into(),
            None => (cores() / workers).max(1),
        };
        let cluster = match self.in_process {
            true => Cluster::in_process(workers),
            false => Cluster::processes(workers, self.worker_command(threads, log)?),
        };
        Ok(cluster
            .threads(threads)
            .restarts(self.restarts)
            .listen(self.listen)
            .rules(Rules {
                join_timeout: JOIN_TIMEOUT,
                ..self.rules.rules(workers)
            }))
    }

    /// What starts a worker of this program.
    fn worker_command(
        &self,
        threads: usize,
        log: &str,
    ) -> Result<impl Fn(SocketAddr) -> Command + Send + use<>> {
        let first = executable()?;
        let (log, security) = (log.to_owned(), self.security.clone());
        let data_dir = self.run.data_dir.clone();
        Ok(move |address: SocketAddr| {
            // Looked up each time: the file may have been replaced or removed since.
            let mut command = Command::new(executable().unwrap_or_else(|_| first.clone()));
            command
                .args(["worker", "--child", "--connect", &address.to_string()])
                .args(["--threads", &threads.to_string(), "--log", &log]);
            for (flag, path) in [
                ("--data-dir", &data_dir),
                ("--tls", &security.tls),
                ("--token-file", &security.token_file),
            ] {
                if let Some(path) = path {
                    command.arg(flag).arg(path);
                }
            }
            if security.insecure {
                command.arg("--insecure");
            }
            command
        })
    }
}

/// Where a run of these flags is written.
pub(crate) fn run_dir(args: &RunArgs) -> RunDir {
    args.run_dir.clone().map_or(RunDir::Named, RunDir::At)
}

/// Runs the command.
///
/// # Errors
/// If the run fails.
pub async fn run(args: &TrainArgs, log: &str) -> Result<RunResult> {
    let stop = signals::Stop::listen();
    let cluster = args.cluster(log)?;
    machine::warn_of_kernels();
    let cluster = cluster
        .security(security::of_coordinator(&args.security, args.listen)?)
        .observe(Progress::new(args.run.quiet))
        .stop_when(stop.wished())
        .run_dir(run_dir(&args.run));
    let data = match args.in_process {
        true => Arc::new(Dataset::load(args.run.data_dir.as_deref())?).into(),
        false => DataSource::Files(args.run.data_dir.clone()),
    };
    let run = match &args.resume {
        Some(folder) => cluster.resume(folder, args.run.epochs, data).await?,
        None => cluster.train(args.run.configuration()?, data).await?,
    };
    Ok(run.result)
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
         wire           {:.1} MB\n",
        result.steps,
        result.seconds,
        result.workers,
        result.weights_sha256,
        result.multipliers_sha256,
        result.bytes_sent as f64 / 1e6,
    );
    if let Some(run_dir) = &result.run_dir {
        let _ = writeln!(text, "run folder     {}", run_dir.display());
    }
    Ok(print(&text)?)
}

/// Refuses a run that there cannot be on this data.
pub(crate) fn check_run(config: Config, dataset: &DatasetSummary) -> Result<()> {
    config.task.check_labels("training", &dataset.train)?;
    config.task.check_labels("test", &dataset.test)?;
    RunSpec::new(config, DatasetFacts::of(dataset))?;
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
