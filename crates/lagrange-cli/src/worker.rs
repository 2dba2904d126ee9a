//! `lagrange worker`: one worker process.

use crate::args::{RunArgs, WorkerArgs};
use crate::cluster::compute_threads;
use crate::config::Config;
use crate::signals::{Stop, stdin_closed};
use crate::{machine, security};
use anyhow::Result;
use lagrange_worker::{DataSource, Tcp, WorkerOptions};
use std::sync::Arc;

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
            let config = Config::resolve(&RunArgs {
                config: Some(path.clone()),
                ..RunArgs::default()
            })?;
            Some((config.network, config.task))
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
        source: DataSource::Files(args.data_dir.clone()),
        insist,
        connect_timeout: args.connect_timeout,
    };
    if args.child {
        // Signals to the whole group reach the parent too; it decides, and needs its workers to the end.
        stop.leave_to_parent();
        lagrange_worker::run(options, stdin_closed()?).await?;
    } else {
        machine::warn_of_kernels();
        lagrange_worker::run(options, stop.wished()).await?;
    }
    Ok(())
}

/// Threads to compute on.
pub fn threads(args: &WorkerArgs) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
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
