//! Connections: few of them, each with little time to say what it wants.

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

/// Connections at once: a coordinator's open files are for workers.
const CONNECTIONS: usize = 64;
/// How long a connection may take to encrypt, to ask, and to ask again.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause before the next connection is accepted when one could not be.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long answers under way may take at the end.
const GOODBYE: Duration = Duration::from_secs(1);

/// Answers requests until `stop` resolves, and ends the answers that are under way.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<Arc<ServerConfig>>,
    mut stop: oneshot::Receiver<()>,
) {
    let acceptor = tls.map(|config| TlsAcceptor::from(for_browsers(&config)));
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let mut accepting = Box::pin(async {
        loop {
            let place = Arc::clone(&places).acquire_owned().await;
            let (Ok(place), Some(stream)) = (place, accept(&listener).await) else {
                continue;
            };
            let (router, watcher) = (router.clone(), graceful.watcher());
            match &acceptor {
                None => drop(tokio::spawn(answer(stream, router, watcher, place))),
                Some(acceptor) => {
                    let shaking = acceptor.accept(stream);
                    tokio::spawn(async move {
                        if let Ok(Ok(stream)) = tokio::time::timeout(PATIENCE, shaking).await {
                            answer(stream, router, watcher, place).await;
                        }
                    });
                }
            }
        }
    });
    tokio::select! {
        () = &mut accepting => {}
        _ = &mut stop => {}
    }
    drop(accepting);
    let _ = tokio::time::timeout(GOODBYE, graceful.shutdown()).await;
}

async fn accept(listener: &TcpListener) -> Option<TcpStream> {
    match listener.accept().await {
        Ok((stream, _)) => Some(stream),
        Err(_) => {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    router: Router,
    watcher: Watcher,
    _place: OwnedSemaphorePermit,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // Who hangs up has seen enough.
    let _ = watcher.watch(connection).await;
}

/// The coordinator's certificates; browsers are told that HTTP/1.1 is spoken.
fn for_browsers(config: &ServerConfig) -> Arc<ServerConfig> {
    let mut config = config.clone();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}
