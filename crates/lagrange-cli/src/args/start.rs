//! Flags of the commands that run a coordinator: what is trained, from where, and with which workers.

use super::{RuleArgs, RunArgs, SecurityArgs, ViewArgs};
use crate::views::Views;
use crate::{security, signals};
use anyhow::Result;
use clap::Args;
use lagrange::machine::warn_of_kernels;
use lagrange::{Cluster, DataSource, RunDir, RunResult};
use std::net::SocketAddr;
use std::path::PathBuf;

/// A run, new or to go on with, and its workers.
#[derive(Debug, Args)]
pub struct StartArgs {
    /// The run.
    #[command(flatten)]
    pub run: RunArgs,
    /// Go on with the run of this folder, from its last checkpoint. Its configuration is the folder's; the
    /// number of workers may be another. A run that is complete goes on for more --epochs.
    #[arg(long, value_name = "RUN_FOLDER")]
    pub resume: Option<PathBuf>,
    /// Write no report.html at the end.
    #[arg(long)]
    pub no_report: bool,
    /// Its rules.
    #[command(flatten)]
    pub rules: RuleArgs,
    /// Its safety.
    #[command(flatten)]
    pub security: SecurityArgs,
    /// Its looks.
    #[command(flatten)]
    pub view: ViewArgs,
}

impl StartArgs {
    /// Trains on `cluster`, whose coordinator listens on `listen`.
    ///
    /// # Errors
    /// If the run fails.
    pub async fn train(&self, cluster: Cluster, listen: SocketAddr) -> Result<RunResult> {
        let stop = signals::Stop::listen();
        warn_of_kernels();
        let mut views = Views::new(&self.view, self.run.quiet, &self.security)?;
        let run_dir = self.run.run_dir.clone();
        let cluster = cluster
            .security(security::of_coordinator(&self.security, listen)?)
            .stop_when(stop.wished())
            .run_dir(run_dir.map_or(RunDir::Named, RunDir::At));
        let data = DataSource::Files(self.run.data.source());
        let ended = match &self.resume {
            Some(folder) => {
                let cluster = views.show(cluster);
                cluster.resume(folder, self.run.epochs, data).await
            }
            None => {
                let config = self.run.configuration()?;
                views.show(cluster).train(config, data).await
            }
        };
        views.end(&ended);
        Ok(ended?.result)
    }
}
