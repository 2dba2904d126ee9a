//! `lagrange coordinator`: a run whose workers come from elsewhere.

use crate::args::CoordinatorArgs;
use crate::cluster::{Coordinator, CoordinatorOptions};
use crate::config::Config;
use crate::run_folder::RunResult;
use crate::security;
use crate::signals::interrupted;
use anyhow::Result;
use lagrange_coordinator::Rules;
use lagrange_data::Outline;

/// Runs the command.
///
/// # Errors
/// If the run fails.
pub async fn run(args: &CoordinatorArgs) -> Result<RunResult> {
    let dataset = Outline::load(args.run.data_dir.as_deref())?;
    let options = CoordinatorOptions {
        rules: Rules {
            join_timeout: args.join_timeout,
            ..args.rules.rules(args.workers.into())
        },
        security: security::of_coordinator(&args.security, args.listen)?,
        run_dir: args.run.run_dir.clone(),
        quiet: args.run.quiet,
    };
    let coordinator = match &args.resume {
        Some(folder) => Coordinator::resume(folder, &dataset, options)?,
        None => Coordinator::prepare(Config::resolve(&args.run)?, &dataset, options)?,
    };
    let (listener, address) = Coordinator::listen(args.listen).await?;
    if !args.run.quiet {
        eprintln!(
            "listening on {address}; waiting for {} workers",
            args.workers
        );
    }
    coordinator.run(listener, interrupted()).await
}
