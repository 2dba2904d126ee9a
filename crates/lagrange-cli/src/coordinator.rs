//! `lagrange coordinator`: a run whose workers come from elsewhere.

use crate::args::{RuleArgs, RunArgs, SecurityArgs, seconds};
use crate::progress::Progress;
use crate::train::run_dir;
use crate::{security, signals};
use anyhow::Result;
use clap::Args;
use lagrange::machine::warn_of_kernels;
use lagrange::{Cluster, DataSource, Rules, RunResult};
use lagrange_protocol::listen_address;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// `lagrange coordinator`
#[derive(Debug, Args)]
pub struct CoordinatorArgs {
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
    /// Address to listen on; one that other machines reach needs --tls.
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "127.0.0.1:7400",
        value_parser = listen_address,
        env = "LAGRANGE_LISTEN"
    )]
    pub listen: SocketAddr,
    /// Workers to wait for before training starts; more may join later.
    #[arg(long, value_name = "N", default_value = "1", env = "LAGRANGE_WORKERS")]
    pub workers: NonZeroUsize,
    /// Seconds to wait for them.
    #[arg(long, value_name = "SECONDS", default_value = "600", value_parser = seconds)]
    pub join_timeout: Duration,
}

impl CoordinatorArgs {
    /// The coordinator and those who will join it.
    pub(crate) fn cluster(&self) -> Cluster {
        let workers = self.workers.into();
        Cluster::served(workers, self.listen).rules(Rules {
            join_timeout: self.join_timeout,
            ..self.rules.rules(workers)
        })
    }
}

/// Runs the command.
///
/// # Errors
/// If the run fails.
pub async fn run(args: &CoordinatorArgs) -> Result<RunResult> {
    let stop = signals::Stop::listen();
    warn_of_kernels();
    let cluster = args
        .cluster()
        .security(security::of_coordinator(&args.security, args.listen)?)
        .observe(Progress::new(args.run.quiet))
        .stop_when(stop.wished())
        .run_dir(run_dir(&args.run));
    let data = DataSource::Files(args.run.data_dir.clone());
    let run = match &args.resume {
        Some(folder) => cluster.resume(folder, args.run.epochs, data).await?,
        None => cluster.train(args.run.configuration()?, data).await?,
    };
    Ok(run.result)
}
