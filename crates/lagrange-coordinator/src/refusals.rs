//! Why connections are refused, for the coordinator's log: each cause once per address, so that somebody
//! who tries again and again, or means ill, does not fill it. How many addresses are remembered is bounded
//! too.

use lagrange_protocol::certificates::tls_error;
use lagrange_protocol::{CertificateFault, Spoken};
use std::collections::HashSet;
use std::io;
use std::mem::{Discriminant, discriminant};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use tokio_rustls::rustls::{AlertDescription, Error};

/// Addresses, with a cause each, that are remembered.
const MOST_REMEMBERED: usize = 256;

/// Why a connection is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum Refusal {
    /// Plain text, where TLS is spoken.
    #[error("it speaks plain text, and this coordinator TLS: give the worker --tls")]
    PlainText,
    /// TLS, where plain text is spoken.
    #[error(
        "it speaks TLS, and this coordinator plain text: start both with --tls, or both without"
    )]
    Tls,
    /// Neither.
    #[error("it is no worker: it says `{0}`")]
    NoWorker(String),
    /// A handshake without the worker's certificate.
    #[error("it shows no certificate: give the worker --tls")]
    NoCertificate,
    /// The worker's certificate.
    #[error("its certificate {0}")]
    Certificate(CertificateFault),
    /// Our certificate.
    #[error(
        "it does not believe this coordinator's certificate ({0:?}); its own message tells more"
    )]
    OwnCertificate(AlertDescription),
    /// Another fault of a TLS handshake.
    #[error("its TLS handshake failed: {0}")]
    Handshake(Error),
    /// What it said when it wanted to join.
    #[error("{0}")]
    Join(String),
}

impl Refusal {
    /// Why a peer that speaks so is refused, if it is.
    pub(crate) fn of_speech(spoken: &Spoken, tls_wanted: bool) -> Option<Self> {
        match (spoken, tls_wanted) {
            (Spoken::Tls, true) | (Spoken::Http2, false) => None,
            (Spoken::Tls, false) => Some(Self::Tls),
            (Spoken::Http2, true) => Some(Self::PlainText),
            (Spoken::Other(line), _) => Some(Self::NoWorker(line.clone())),
        }
    }

    /// Why a TLS handshake failed. Of who hangs up, or says what is no TLS, there is nothing to say here.
    pub(crate) fn of_handshake(error: &io::Error) -> Option<Self> {
        match tls_error(error)? {
            Error::InvalidMessage(_) => None,
            Error::NoCertificatesPresented => Some(Self::NoCertificate),
            Error::InvalidCertificate(fault) => Some(Self::Certificate(fault.into())),
            Error::AlertReceived(alert) => Some(Self::OwnCertificate(*alert)),
            other => Some(Self::Handshake(other.clone())),
        }
    }
}

/// The log of refused connections.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    remembered: Mutex<HashSet<(IpAddr, Discriminant<Refusal>)>>,
}

impl Refusals {
    /// Tells of a refusal, unless it has been told before.
    pub(crate) fn tell(&self, peer: SocketAddr, refusal: &Refusal) {
        let peer = peer.ip().to_canonical();
        match self.remember(peer, refusal) {
            Some(MOST_REMEMBERED) => tracing::warn!(
                %peer,
                reason = %refusal,
                "refused a connection; there are so many of them that no other will be told of"
            ),
            Some(_) => tracing::warn!(%peer, reason = %refusal, "refused a connection"),
            None => tracing::debug!(%peer, reason = %refusal, "refused a connection"),
        }
    }

    /// How many are remembered with this one, unless it is known already or one too many.
    fn remember(&self, peer: IpAddr, refusal: &Refusal) -> Option<usize> {
        let mut remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let room = remembered.len() < MOST_REMEMBERED;
        (room && remembered.insert((peer, discriminant(refusal)))).then_some(remembered.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_is_told_once_per_address_and_not_without_end() {
        let refusals = Refusals::default();
        let peer = |last: u16| IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, last]);
        let says = |line: &str| Refusal::NoWorker(line.to_owned());
        assert_eq!(refusals.remember(peer(0), &says("GET /")), Some(1));
        assert_eq!(refusals.remember(peer(0), &says("POST /")), None);
        assert_eq!(refusals.remember(peer(0), &Refusal::Tls), Some(2));
        let told = (1..1000).filter_map(|last| refusals.remember(peer(last), &Refusal::Tls));
        assert_eq!(told.last(), Some(MOST_REMEMBERED));
        assert_eq!(refusals.remember(peer(2000), &Refusal::Tls), None);
    }
}
