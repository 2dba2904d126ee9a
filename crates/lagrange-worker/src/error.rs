//! Errors of workers, one variant for each remedy.

use crate::store::StoreError;
use lagrange_core::network::NetworkError;
use lagrange_data::TaskError;
use lagrange_import::LoadError;
use lagrange_protocol::{Address, CertificateFault};
use std::time::Duration;
use tokio_rustls::rustls::AlertDescription;

/// Error that ends a worker before its run is over.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The data cannot be loaded.
    #[error(transparent)]
    Data(#[from] LoadError),
    /// A task that does not suit the classes of the data.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// No coordinator answers.
    #[error(
        "no coordinator at {address} within {} s ({cause}); start `lagrange coordinator` there, or correct --connect",
        limit.as_secs_f64()
    )]
    Unreachable {
        /// The address tried.
        address: Address,
        /// Time limit of the search.
        limit: Duration,
        /// The last attempt's error.
        cause: String,
    },
    /// The coordinator wants TLS, and this worker has been given none.
    #[error(
        "{address} speaks TLS: give --tls DIR, a folder with certificates of the coordinator's authority"
    )]
    SpeaksTls {
        /// The coordinator's address.
        address: Address,
    },
    /// The coordinator speaks plain text, and this worker wants TLS.
    #[error("{address} does not speak TLS: leave --tls out, or start the coordinator with --tls")]
    SpeaksPlainText {
        /// The coordinator's address.
        address: Address,
    },
    /// Another service has the port.
    #[error("what answers at {address} is no Lagrange coordinator ({evidence}): correct --connect")]
    NotACoordinator {
        /// The address tried.
        address: Address,
        /// Evidence for that.
        evidence: String,
    },
    /// This worker does not trust the coordinator's certificate.
    #[error("the certificate that {address} shows {fault}{}", or_elsewhere(fault))]
    CoordinatorCertificate {
        /// The coordinator's address.
        address: Address,
        /// The certificate's fault.
        fault: CertificateFault,
    },
    /// The coordinator does not trust this worker's certificate.
    #[error("the coordinator at {address} refused this worker's certificate: {reason}")]
    WorkerCertificate {
        /// The coordinator's address.
        address: Address,
        /// The coordinator's reason.
        reason: CertificateRefusal,
    },
    /// The coordinator refused this worker.
    #[error("refused by the coordinator: {0}")]
    Refused(String),
    /// The connection broke.
    #[error("lost the coordinator: {0}")]
    Lost(String),
    /// The coordinator broke the protocol.
    #[error("the coordinator at {address} broke the protocol: {fault}")]
    Protocol {
        /// Its address.
        address: Address,
        /// The violation.
        fault: String,
    },
    /// The run's network does not fit.
    #[error("the run's network: {0}")]
    Network(#[from] NetworkError),
    /// The run's shards cannot be made.
    #[error("the run's shards: {0}")]
    Store(#[from] StoreError),
}

/// Coordinator's reason for refusing a worker's certificate, as far as it is sent.
#[derive(Debug, thiserror::Error)]
pub enum CertificateRefusal {
    /// Signed by another authority.
    #[error("it is of another authority: give both sides files of the same `lagrange certs`")]
    OtherAuthority,
    /// Expired or not yet valid.
    #[error(
        "it has expired, or is not valid yet, by the coordinator's clock: make new ones for both sides with \
         `lagrange certs`, or set the clock"
    )]
    Expired,
    /// A coordinator's.
    #[error(
        "it is not a worker's: give the worker the worker.pem and worker.key of `lagrange certs`"
    )]
    OtherRole,
    /// Anything else.
    #[error("{0:?}: give both sides files of the same `lagrange certs`")]
    Other(AlertDescription),
}

/// A certificate that `lagrange certs` did not make may also be that of another service.
fn or_elsewhere(fault: &CertificateFault) -> &'static str {
    match fault {
        CertificateFault::OtherAuthority | CertificateFault::Other(_) => ", or correct --connect",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_said_as_it_was_given() {
        let unreachable = |seconds: f64| WorkerError::Unreachable {
            address: "h:1".parse().expect("address"),
            limit: Duration::from_secs_f64(seconds),
            cause: "why".to_owned(),
        };
        for (seconds, words) in [(3.0, "within 3 s ("), (0.3, "within 0.3 s (")] {
            let text = unreachable(seconds).to_string();
            assert!(text.contains(words), "{text}");
        }
    }
}
