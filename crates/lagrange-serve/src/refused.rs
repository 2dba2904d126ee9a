//! Handshakes that failed, for the log: each kind once per address, and not without end.

use std::collections::HashSet;
use std::io;
use std::mem::{Discriminant, discriminant};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use tokio_rustls::rustls;

/// Addresses, with a kind of fault each, that are remembered.
const MOST_REMEMBERED: usize = 256;

/// Addresses whose handshakes have failed.
#[derive(Debug, Default)]
pub(crate) struct Refused(Mutex<HashSet<(IpAddr, Discriminant<rustls::Error>)>>);

impl Refused {
    /// Tells of a failed handshake, unless such a one of that address has been told of before. Of who hangs up there
    /// is nothing to say.
    pub(crate) fn tell(&self, peer: SocketAddr, error: &io::Error) {
        let Some(fault) = error.get_ref().and_then(|error| error.downcast_ref()) else {
            return;
        };
        if self.remember(peer.ip().to_canonical(), fault) {
            tracing::warn!(%peer, reason = %advice(fault), "refused a connection");
        } else {
            tracing::debug!(%peer, reason = %advice(fault), "refused a connection");
        }
    }

    /// Whether the address with this fault is a new one, and there is room for it.
    fn remember(&self, peer: IpAddr, fault: &rustls::Error) -> bool {
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.len() < MOST_REMEMBERED && remembered.insert((peer, discriminant(fault)))
    }
}

fn advice(fault: &rustls::Error) -> String {
    match fault {
        rustls::Error::InvalidMessage(_) => {
            "it speaks plain text, and this server TLS: use https".to_owned()
        }
        rustls::Error::NoCertificatesPresented => {
            "it shows no certificate: give it worker.pem and worker.key".to_owned()
        }
        rustls::Error::AlertReceived(alert) => {
            format!("it does not believe this server's certificate ({alert:?}): give it ca.pem")
        }
        fault => format!("its TLS handshake failed: {fault}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_is_told_of_once_and_not_without_end() {
        let refused = Refused::default();
        let peer = |last: u16| IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, last]);
        let (one, other) = (
            rustls::Error::NoCertificatesPresented,
            rustls::Error::DecryptError,
        );
        assert!(refused.remember(peer(0), &one) && !refused.remember(peer(0), &one));
        assert!(refused.remember(peer(0), &other));
        let told = (1..1000).filter(|&last| refused.remember(peer(last), &one));
        assert_eq!(told.count(), MOST_REMEMBERED - 2);
    }
}
