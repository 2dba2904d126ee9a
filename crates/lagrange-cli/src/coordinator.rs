//! `lagrange coordinator`: a run whose workers come from elsewhere.

use crate::args::{StartArgs, seconds};
use anyhow::Result;
use clap::Args;
use lagrange::{Cluster, Rules, RunResult};
use lagrange_protocol::listen_address;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

/// `lagrange coordinator`
#[derive(Debug, Args)]
pub struct CoordinatorArgs {
    /// The run and its workers.
    #[command(flatten)]
    pub start: StartArgs,
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
            ..self.start.rules.rules(workers)
        })
    }
}

/// Runs the command.
///
/// # Errors
/// If the run fails.
pub async fn run(args: &CoordinatorArgs) -> Result<RunResult> {
    args.start.train(args.cluster(), args.listen).await
}
