//! The page and its data over HTTP, from a thread of its own.

mod connections;
mod door;
mod routes;
mod updates;

use crate::Watch;
use lagrange::machine::{NoThread, start_thread};
use lagrange_protocol::Token;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio_rustls::rustls::ServerConfig;

/// How long browsers may take to be told of the end.
const GOODBYE: Duration = Duration::from_secs(2);

/// Who may look.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// The token that requests must show: as `authorization: Bearer TOKEN`, or as `?token=TOKEN`.
    pub token: Option<Token>,
    /// Certificates: with them everything is encrypted, and browsers must show one of the same authority.
    pub tls: Option<Arc<ServerConfig>>,
}

/// Why there is no dashboard.
#[derive(Debug, thiserror::Error)]
pub enum DashboardError {
    /// The listener.
    #[error("the dashboard cannot listen: {0}")]
    Listener(#[from] io::Error),
    /// The system gives no thread.
    #[error("{0}")]
    Thread(#[from] NoThread),
}

/// A page that shows a run, for as long as this value lives.
///
/// ```
/// use lagrange_watch::{Access, Dashboard, Watch};
/// use std::io::{Read, Write};
///
/// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// let dashboard = Dashboard::start(listener, Watch::default(), Access::default())?;
/// let mut browser = std::net::TcpStream::connect(dashboard.address())?;
/// let request = format!("GET /api/run HTTP/1.0\r\nhost: {}\r\n\r\n", dashboard.address());
/// browser.write_all(request.as_bytes())?;
/// let mut answer = String::new();
/// browser.read_to_string(&mut answer)?;
/// assert!(answer.contains("\"phase\":\"preparing\""));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Dashboard {
    address: SocketAddr,
    encrypted: bool,
    /// Dropped to ask for the end.
    stop: Option<oneshot::Sender<()>>,
    ended: Receiver<()>,
}

impl Dashboard {
    /// Shows the run that `watch` looks at on `listener`.
    ///
    /// # Errors
    /// [`DashboardError`]
    pub fn start(
        listener: TcpListener,
        watch: Watch,
        access: Access,
    ) -> Result<Self, DashboardError> {
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let encrypted = access.tls.is_some();
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = channel();
        start_thread("dashboard", move || {
            let served = runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                let router = routes::router(watch, access.token, address);
                connections::serve(listener, router, access.tls, stopped).await;
                io::Result::Ok(())
            });
            if let Err(error) = served {
                tracing::warn!(%error, "the dashboard cannot listen; the run goes on without");
            }
            let _ = end.send(());
        })?;
        Ok(Self {
            address,
            encrypted,
            stop: Some(stop),
            ended,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What to open in a browser.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.encrypted { "https" } else { "http" };
        format!("{scheme}://{}/", self.address)
    }
}

impl Drop for Dashboard {
    /// Browsers that are open are told of the end, if they listen; for those that do not, nobody waits long.
    fn drop(&mut self) {
        self.stop.take();
        let _ = self.ended.recv_timeout(GOODBYE);
    }
}
