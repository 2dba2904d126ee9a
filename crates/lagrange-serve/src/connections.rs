//! Encrypted connections: their handshakes go on side by side, so that a slow one keeps nobody waiting.

use axum::serve::Listener;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{Receiver, channel};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Connections that wait to be served.
const READY: usize = 64;
/// What is spoken, as both sides tell each other in the handshake: the better one first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

type Connection = (TlsStream<TcpStream>, SocketAddr);

/// Connections whose handshake has succeeded.
pub(crate) struct Encrypted {
    ready: Receiver<Connection>,
    address: io::Result<SocketAddr>,
}

impl Encrypted {
    /// Connections to `listener`, by the certificates of `config`.
    pub(crate) fn new(mut listener: TcpListener, config: &ServerConfig) -> Self {
        let address = listener.local_addr();
        let (sender, ready) = channel(READY);
        // It is a coordinator's, which speaks HTTP/2 alone; other programs may know HTTP/1.1 only.
        let mut config = config.clone();
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while !sender.is_closed() {
                let (stream, peer) = Listener::accept(&mut listener).await;
                let (acceptor, sender) = (acceptor.clone(), sender.clone());
                tokio::spawn(async move {
                    match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                        Ok(Ok(stream)) => drop(sender.send((stream, peer)).await),
                        Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS connection"),
                        Err(_) => tracing::debug!(%peer, "no TLS handshake in time"),
                    }
                });
            }
        });
        Self { ready, address }
    }
}

impl Listener for Encrypted {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> Connection {
        match self.ready.recv().await {
            Some(connection) => connection,
            // The listening task lives as long as this.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        match &self.address {
            Ok(address) => Ok(*address),
            Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
        }
    }
}
