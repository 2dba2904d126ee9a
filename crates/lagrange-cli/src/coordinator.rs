//! `lagrange coordinator`: a run whose workers come from elsewhere.

use crate::args::CoordinatorArgs;
use crate::cluster::{Coordinator, CoordinatorOptions};
use crate::config::Config;
use crate::output::tell;
use crate::run_folder::RunResult;
use crate::{machine, security, signals};
use anyhow::Result;
use lagrange_coordinator::{Rules, Stop};
use lagrange_data::Outline;

/// Runs the command.
///
/// # Errors
/// If the run fails.
pub async fn run(args: &CoordinatorArgs) -> Result<RunResult> {
    let stop = signals::Stop::listen();
    machine::warn_of_kernels();
    let dataset = Outline::load(args.run.data_dir.as_deref())?;
    let options = CoordinatorOptions {
        rules: Rules {
            join_timeout: args.join_timeout,
            ..args.rules.rules(args.workers.into())
        },
        security: security::of_coordinator(&args.security, args.listen)?,
        data_dir: args.run.data_dir.clone(),
        run_dir: args.run.run_dir.clone(),
        quiet: args.run.quiet,
    };
    let coordinator = match &args.resume {
        Some(folder) => Coordinator::resume(folder, args.run.epochs, &dataset, options)?,
        None => Coordinator::prepare(Config::resolve(&args.run)?, &dataset, options)?,
    };
    let (listener, address) = Coordinator::listen(args.listen).await?;
    if !args.run.quiet {
        let needed = usize::from(args.workers.max(args.rules.min_workers));
        tell(format_args!(
            "listening on {address}; waiting for {needed} workers"
        ));
    }
    let stop = async {
        stop.wished().await;
        Stop::Wished
    };
    coordinator.run(listener, stop).await
}
