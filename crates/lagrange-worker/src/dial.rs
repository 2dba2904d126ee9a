//! Dialling: raw connections to a coordinator.

use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use lagrange_protocol::Address;
use lagrange_protocol::limits::CONNECT_TIMEOUT;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::vec;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tonic::transport::Uri;
use tower::ServiceExt as _;

/// A byte stream in both directions.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// A connection in the making.
pub type Connecting = Pin<Box<dyn Future<Output = io::Result<Box<dyn Connection>>> + Send>>;

/// Connector to addresses.
pub trait Dial: std::fmt::Debug + Send + Sync {
    /// Connects to `address`.
    fn dial(&self, address: &Address) -> Connecting;
}

/// Connector over TCP: tries the addresses of a name in turn, IPv6 and IPv4 side by side.
#[derive(Debug)]
pub struct Tcp;

impl Dial for Tcp {
    fn dial(&self, address: &Address) -> Connecting {
        let uri = uri(address);
        Box::pin(async move {
            let mut connector = HttpConnector::new_with_resolver(tower::service_fn(resolve));
            connector.set_nodelay(true);
            connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
            let connected = connector.oneshot(uri).await.map_err(io::Error::other)?;
            Ok(Box::new(connected.into_inner()) as Box<dyn Connection>)
        })
    }
}

/// URI of an address.
pub(crate) fn uri(address: &Address) -> Uri {
    format!("http://{address}/")
        .parse()
        .unwrap_or_else(|_| unreachable!("every host and port make a URI"))
}

/// The addresses of a name. The system's resolver may hang, and the program waits for tokio's own threads at
/// its end; so the resolver gets a detached thread.
async fn resolve(name: Name) -> io::Result<vec::IntoIter<SocketAddr>> {
    let (done, resolved) = oneshot::channel();
    std::thread::Builder::new()
        .name("resolver".to_owned())
        .spawn(move || {
            let _ = done.send((name.as_str(), 0).to_socket_addrs());
        })?;
    resolved
        .await
        .unwrap_or_else(|_| Err(io::Error::other("the resolver's thread died")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_makes_a_uri() {
        for text in ["h:1", "a_b.c-d:65535", "127.0.0.1:7400", "[fe80::1]:7400"] {
            let address = text.parse().expect("address");
            let uri = uri(&address);
            let authority = uri.authority().map(ToString::to_string);
            assert_eq!(authority.as_deref(), Some(text));
        }
    }
}
