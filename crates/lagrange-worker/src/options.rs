//! How a worker is run.

use crate::dial::Dial;
use crate::executor::Executor;
use crate::store::DataSource;
use lagrange_core::network::NetworkSpec;
use lagrange_data::Task;
use lagrange_protocol::{Address, Token};
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::rustls::ClientConfig;

/// How a worker is run.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// Where the coordinator is.
    pub coordinator: Address,
    /// Name for the coordinator's log.
    pub name: String,
    /// Threads to compute on.
    pub threads: usize,
    /// Where it computes.
    pub executor: Arc<dyn Executor>,
    /// How it connects.
    pub dial: Arc<dyn Dial>,
    /// How it proves that it may join.
    pub security: Security,
    /// Where the data comes from.
    pub source: DataSource,
    /// The network and task to insist on, if any.
    pub insist: Option<(NetworkSpec, Task)>,
    /// How long to try to reach the coordinator, at first and whenever it was lost.
    pub connect_timeout: Duration,
}

/// How a worker proves that it may join, and the coordinator that it is the one.
#[derive(Debug, Clone, Default)]
pub struct Security {
    /// Certificates; without, nothing is encrypted.
    pub tls: Option<Arc<ClientConfig>>,
    /// The token that the coordinator wants to see.
    pub token: Option<Token>,
}
