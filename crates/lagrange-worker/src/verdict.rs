//! Verdicts on failed attempts: whether another one may succeed. A missing coordinator may still come;
//! another protocol or a wrong certificate needs the user, and is reported at once.

use crate::error::{CertificateRefusal, WorkerError};
use lagrange_protocol::certificates::tls_error;
use lagrange_protocol::{Address, Spoken};
use std::io;
use tokio_rustls::rustls::{AlertDescription, Error};

/// Error of a failed TLS handshake with `address`, whose peer spoke `spoken` below TLS. After
/// [`WorkerError::Lost`] another attempt may succeed.
pub(crate) fn of_handshake(
    address: &Address,
    error: &io::Error,
    spoken: Option<Spoken>,
) -> WorkerError {
    let Some(fault) = tls_error(error) else {
        return WorkerError::Lost(format!("in the TLS handshake: {error}"));
    };
    match (fault, spoken) {
        (Error::InvalidCertificate(fault), _) => WorkerError::CoordinatorCertificate {
            address: address.clone(),
            fault: fault.into(),
        },
        (Error::AlertReceived(alert), _) => of_alert(address, *alert),
        (_, Some(Spoken::Http2)) => WorkerError::SpeaksPlainText {
            address: address.clone(),
        },
        (_, Some(Spoken::Other(line))) => says(address, &line),
        (Error::PeerIncompatible(_) | Error::NoApplicationProtocol, _) => {
            other_tls(address, &fault.to_string())
        }
        _ => WorkerError::Lost(format!("in the TLS handshake: {fault}")),
    }
}

/// Error of a peer that spoke `spoken` instead of plain HTTP/2, if it did.
pub(crate) fn of_plain_text(address: &Address, spoken: Option<Spoken>) -> Option<WorkerError> {
    match spoken? {
        Spoken::Tls => Some(WorkerError::SpeaksTls {
            address: address.clone(),
        }),
        Spoken::Other(line) => Some(says(address, &line)),
        Spoken::Http2 => None,
    }
}

/// Error of a peer that closed the connection with a TLS alert.
pub(crate) fn of_alert(address: &Address, alert: AlertDescription) -> WorkerError {
    use AlertDescription as Alert;
    let reason = match alert {
        Alert::UnknownCA | Alert::DecryptError => CertificateRefusal::OtherAuthority,
        Alert::CertificateExpired => CertificateRefusal::Expired,
        Alert::UnsupportedCertificate => CertificateRefusal::OtherRole,
        Alert::BadCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateUnknown
        | Alert::CertificateRequired
        | Alert::AccessDenied => CertificateRefusal::Other(alert),
        Alert::HandshakeFailure
        | Alert::ProtocolVersion
        | Alert::InsufficientSecurity
        | Alert::UnrecognisedName
        | Alert::NoApplicationProtocol => return other_tls(address, &format!("{alert:?}")),
        _ => return WorkerError::Lost(format!("it gave up the connection: {alert:?}")),
    };
    WorkerError::WorkerCertificate {
        address: address.clone(),
        reason,
    }
}

/// Error of a peer whose TLS is not that of a coordinator.
pub(crate) fn other_tls(address: &Address, fault: &str) -> WorkerError {
    WorkerError::NotACoordinator {
        address: address.clone(),
        evidence: format!("it speaks another TLS: {fault}"),
    }
}

fn says(address: &Address, line: &str) -> WorkerError {
    WorkerError::NotACoordinator {
        address: address.clone(),
        evidence: format!("it says `{line}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address() -> Address {
        "h:7400".parse().expect("address")
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let failed = |fault: Error, spoken: Option<Spoken>| {
            let error = io::Error::new(io::ErrorKind::InvalidData, fault);
            of_handshake(&address(), &error, spoken)
        };
        use tokio_rustls::rustls::InvalidMessage::InvalidContentType as Garbage;
        let plain = failed(Error::InvalidMessage(Garbage), Some(Spoken::Http2));
        assert!(matches!(plain, WorkerError::SpeaksPlainText { .. }));
        let damaged = failed(Error::InvalidMessage(Garbage), Some(Spoken::Tls));
        assert!(matches!(damaged, WorkerError::Lost(_)));
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        let reset = of_handshake(&address(), &reset, None);
        assert!(matches!(reset, WorkerError::Lost(_)));
        let unwell = of_alert(&address(), AlertDescription::InternalError);
        assert!(matches!(unwell, WorkerError::Lost(_)));
        let other = failed(
            Error::AlertReceived(AlertDescription::ProtocolVersion),
            None,
        );
        assert!(matches!(other, WorkerError::NotACoordinator { .. }));
    }
}
