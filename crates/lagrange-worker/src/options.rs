//! Options of a worker.

use crate::dial::Dial;
use crate::executor::Executor;
use crate::store::DataSource;
use lagrange_protocol::{Address, Config, Token};
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::rustls::ClientConfig;

/// Options of a worker.
///
/// ```no_run
/// use lagrange_worker::{DataSource, Security, Tcp, Threads, WorkerOptions, run};
/// use std::{future::pending, sync::Arc, time::Duration};
///
/// # async fn work() -> Result<(), Box<dyn std::error::Error>> {
/// let options = WorkerOptions {
///     coordinator: "127.0.0.1:7400".parse()?,
///     name: "worker-1".into(),
///     threads: 2,
///     executor: Arc::new(Threads::new(2)?),
///     dial: Arc::new(Tcp),
///     security: Security::default(),
///     source: DataSource::Files(None),
///     insist: None,
///     connect_timeout: Duration::from_secs(60),
/// };
/// // Works until the run is over.
/// run(options, pending()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// Address of the coordinator.
    pub coordinator: Address,
    /// Name for the coordinator's log.
    pub name: String,
    /// Number of threads that the executor has.
    pub threads: usize,
    /// Executor of computations.
    pub executor: Arc<dyn Executor>,
    /// Connector to the coordinator.
    pub dial: Arc<dyn Dial>,
    /// Certificates and token.
    pub security: Security,
    /// Source of the data.
    pub source: DataSource,
    /// The configuration whose network and task to insist on, if any.
    pub insist: Option<Config>,
    /// Time limit for reaching the coordinator, at first and after every loss.
    pub connect_timeout: Duration,
}

/// Credentials of a worker, and its check of the coordinator's.
#[derive(Debug, Clone, Default)]
pub struct Security {
    /// TLS configuration; `None` for plain text.
    pub tls: Option<Arc<ClientConfig>>,
    /// Join token, if the coordinator asks for one.
    pub token: Option<Token>,
}
