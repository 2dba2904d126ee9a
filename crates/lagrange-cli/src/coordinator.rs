//! `lagrange coordinator`: a run whose workers come from elsewhere.

use crate::args::CoordinatorArgs;
use crate::cluster::{Coordinator, CoordinatorOptions};
use crate::config::Config;
use crate::run_folder::RunResult;
use crate::signals::interrupted;
use anyhow::Result;
use lagrange_data::Outline;
use std::time::Duration;

/// Runs the command.
///
/// # Errors
/// If the run fails.
pub async fn run(args: &CoordinatorArgs) -> Result<RunResult> {
    let config = Config::resolve(&args.run)?;
    let dataset = Outline::load(args.run.data_dir.as_deref())?;
    let options = CoordinatorOptions {
        workers: args.workers.into(),
        join_timeout: Duration::from_secs(args.join_timeout),
        grace: Duration::from_secs(args.grace),
        run_dir: args.run.run_dir.clone(),
        quiet: args.run.quiet,
    };
    let coordinator = Coordinator::prepare(config, &dataset, options)?;
    let (listener, address) = Coordinator::listen(args.listen).await?;
    if !args.run.quiet {
        eprintln!(
            "listening on {address}; waiting for {} workers",
            args.workers
        );
    }
    coordinator.run(listener, interrupted()).await
}
