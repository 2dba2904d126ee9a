//! `lagrange train`: a coordinator in this process and its workers as children, or as tasks.

use crate::args::StartArgs;
use crate::output::{print, print_json};
use anyhow::{Result, bail};
use clap::Args;
use lagrange::machine::{cores, executable, share_of_cores};
use lagrange::{Cluster, Rules, RunResult};
use lagrange_protocol::listen_address;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::process::Command;

/// `lagrange train`
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// The run and its workers.
    #[command(flatten)]
    pub start: StartArgs,
    /// How often worker processes that die are started again, over the whole run.
    #[arg(long, value_name = "N", default_value_t = Cluster::RESTARTS)]
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

impl TrainArgs {
    /// Workers to start.
    pub(crate) fn workers(&self) -> usize {
        self.workers.map_or_else(cores, usize::from)
    }

    /// The coordinator and its workers.
    pub(crate) fn cluster(&self, log: &str) -> Result<Cluster> {
        let workers = self.workers();
        check_workers(workers)?;
        let share = || share_of_cores(workers);
        let threads = self.threads.map_or_else(share, usize::from);
        let cluster = match self.in_process {
            true => Cluster::in_process(workers),
            false => Cluster::processes(workers, self.worker_command(threads, log)?),
        };
        Ok(cluster
            .threads(threads)
            .restarts(self.restarts)
            .listen(self.listen)
            .rules(Rules {
                join_timeout: Cluster::JOIN_TIMEOUT,
                ..self.start.rules.rules(workers)
            }))
    }

    /// What starts a worker of this program.
    fn worker_command(
        &self,
        threads: usize,
        log: &str,
    ) -> Result<impl Fn(SocketAddr) -> Command + Send + use<>> {
        let first = executable()?;
        let (log, security) = (log.to_owned(), self.start.security.clone());
        let data = self.start.run.data.flags();
        Ok(move |address: SocketAddr| {
            // Looked up each time: the file may have been replaced or removed since.
            let mut command = Command::new(executable().unwrap_or_else(|_| first.clone()));
            command
                .args(["worker", "--child", "--connect", &address.to_string()])
                .args(["--threads", &threads.to_string(), "--log", &log])
                .args(&data);
            for (flag, path) in [
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

/// Runs the command.
///
/// # Errors
/// If the run fails.
pub async fn run(args: &TrainArgs, log: &str) -> Result<RunResult> {
    args.start.train(args.cluster(log)?, args.listen).await
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
    if let Some(best) = result.best.filter(|best| best.step != result.steps) {
        let accuracy = percent(best.validation_accuracy);
        let _ = writeln!(
            text,
            "best           {accuracy} on validation at step {}, in best.safetensors",
            best.step
        );
    }
    let _ = write!(
        text,
        "steps          {} in {:.1} s, {} workers{}\n\
         weights        sha256 {}\n\
         multipliers    sha256 {}\n\
         certificate    {}\n\
         wire           {:.1} MB\n",
        result.steps,
        result.seconds,
        result.workers,
        if result.interrupted {
            ", interrupted"
        } else {
            ""
        },
        result.weights_sha256,
        result.multipliers_sha256,
        result.certificate,
        result.bytes_sent as f64 / 1e6,
    );
    if let Some(run_dir) = &result.run_dir {
        let _ = writeln!(text, "run folder     {}", run_dir.display());
    }
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
