//! `lagrange worker`: one worker process.

use crate::args::{RunArgs, SecurityArgs, SourceArgs, seconds};
use crate::security;
use crate::signals::{Stop, stdin_closed};
use anyhow::Result;
use clap::Args;
use lagrange::DataSource;
use lagrange::machine::{compute_threads, cores, warn_of_kernels};
use lagrange_protocol::Address;
use lagrange_worker::{Tcp, WorkerOptions};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// `lagrange worker`
#[derive(Debug, Args)]
pub struct WorkerArgs {
    /// Its safety.
    #[command(flatten)]
    pub security: SecurityArgs,
    /// Address of the coordinator.
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:7400",
        env = "LAGRANGE_CONNECT"
    )]
    pub connect: Address,
    /// Threads to compute on [default: one per core].
    #[arg(long, value_name = "N", env = "LAGRANGE_THREADS")]
    pub threads: Option<NonZeroUsize>,
    /// The data.
    #[command(flatten)]
    pub data: SourceArgs,
    /// Seconds to keep trying to reach the coordinator, at first and whenever the connection is lost. What
    /// no further try can mend ends at once.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds, env = "LAGRANGE_CONNECT_TIMEOUT")]
    pub connect_timeout: Duration,
    /// Join only a run of this configuration file's network and task.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Stop when stdin closes and leave Ctrl-C to the parent: for workers started by `train`.
    #[arg(long, hide = true)]
    pub child: bool,
}

/// Runs the command.
///
/// # Errors
/// If the worker ends before its run does.
pub async fn run(args: &WorkerArgs) -> Result<()> {
    let stop = Stop::listen();
    let threads = threads(args);
    let insist = match &args.config {
        None => None,
        Some(path) => {
            let run = RunArgs {
                config: Some(path.clone()),
                data: args.data.clone(),
                ..RunArgs::default()
            };
            Some(run.configuration()?)
        }
    };
    if !args.child {
        security::warn_of_open_secrets(&args.security);
    }
    let options = WorkerOptions {
        coordinator: args.connect.clone(),
        name: name(),
        threads,
        executor: compute_threads(threads)?,
        dial: Arc::new(Tcp),
        security: security::of_worker(&args.security, &args.connect)?,
        source: DataSource::Files(args.data.source()),
        insist,
        connect_timeout: args.connect_timeout,
    };
    if args.child {
        // Signals to the whole group reach the parent too; it decides, and needs its workers to the end.
        stop.leave_to_parent();
        lagrange_worker::run(options, stdin_closed()?).await?;
    } else {
        warn_of_kernels();
        lagrange_worker::run(options, stop.wished()).await?;
    }
    Ok(())
}

/// Threads to compute on.
pub fn threads(args: &WorkerArgs) -> usize {
    args.threads.map_or_else(cores, usize::from)
}

/// Host and process: in containers every process has the same number.
fn name() -> String {
    let host = rustix::system::uname();
    format!(
        "{}-{}",
        host.nodename().to_string_lossy(),
        std::process::id()
    )
}
