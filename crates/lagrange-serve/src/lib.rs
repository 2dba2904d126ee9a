//! A trained model behind HTTP.
//!
//! | request | answer |
//! |---|---|
//! | `POST /predict` with a picture file as its body | label, classes with probabilities, scores |
//! | `GET /v2/health/live`, `GET /v2/health/ready` | 200 while the server runs |
//! | `GET /v2`, `GET /v2/models/NAME` | what the server and the model are |
//! | `POST /v2/models/NAME/infer` | the Open Inference Protocol, version 2, as JSON |
//!
//! One thread computes, on whatever images wait at that moment. Work is bounded: requests beyond
//! [`Options::requests`] at once are refused with 503 before their body is read, bodies beyond
//! [`Options::body`] with 413, and requests that are not answered within [`Options::patience`], from their
//! head on, with 408. Connections are bounded in number, and closed when they ask for nothing.
//!
//! # Layout
//!
//! | module | what it holds |
//! |---|---|
//! | `compute` | the thread that computes, and its queue |
//! | `routes` | requests, limits, token |
//! | `inference` | requests and answers of the Open Inference Protocol |
//! | `connections` | connections: TLS, limits of number and time, the end |
//! | `refused` | the log of failed handshakes |

mod compute;
mod connections;
mod inference;
mod refused;
mod routes;

use lagrange::Model;
use lagrange_protocol::Token;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_rustls::rustls::ServerConfig;

/// How a model is served.
#[derive(Debug, Clone)]
pub struct Options {
    /// Name of the model in addresses.
    pub name: String,
    /// Most bytes of a request's body.
    pub body: usize,
    /// Most requests at once.
    pub requests: usize,
    /// Most time that a request may take, from its head to its answer, and a connection be without one.
    pub patience: Duration,
    /// The token that requests must show, as `authorization: Bearer TOKEN`.
    pub token: Option<Token>,
    /// Certificates: with them everything is encrypted, by HTTP/2 or HTTP/1.1 as the client wishes.
    pub tls: Option<Arc<ServerConfig>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "model".to_owned(),
            body: 16 << 20,
            requests: 64,
            patience: Duration::from_secs(30),
            token: None,
            tls: None,
        }
    }
}

/// Serves `model` on `listener` until `stop` resolves and all requests under way are answered; those that take
/// seconds more are cut off.
///
/// # Errors
/// If the system gives no thread.
pub async fn serve(
    listener: TcpListener,
    model: Arc<Model>,
    options: Options,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let queue = compute::start(Arc::clone(&model), options.requests)?;
    let tls = options.tls.as_deref().map(with_both_versions);
    let patience = options.patience;
    let router = routes::router(model, queue, options);
    connections::serve(listener, router, tls, patience, stop).await;
    Ok(())
}

/// The configuration for clients of HTTP/1.1 too, which many programs have alone.
fn with_both_versions(config: &ServerConfig) -> Arc<ServerConfig> {
    let mut config = config.clone();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}
