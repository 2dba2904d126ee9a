//! `lagrange worker`: one worker process.

use crate::args::{RunArgs, WorkerArgs};
use crate::cluster::compute_threads;
use crate::config::Config;
use crate::security;
use crate::signals::{absorb_interrupts, interrupted, stdin_closed};
use anyhow::Result;
use lagrange_worker::{DataSource, Tcp, WorkerOptions};
use std::sync::Arc;

/// Runs the command.
///
/// # Errors
/// If the worker ends before its run does.
pub async fn run(args: &WorkerArgs) -> Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
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
    let threads = args.threads.map_or(cores, usize::from);
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
        // Ctrl-C reaches the whole process group; the parent decides, and needs its workers to the end.
        absorb_interrupts();
        lagrange_worker::run(options, stdin_closed()).await?;
    } else {
        lagrange_worker::run(options, interrupted()).await?;
    }
    Ok(())
}

/// Host and process: in containers every process has the same number.
fn name() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "local".to_owned());
    format!("{host}-{}", std::process::id())
}
