//! Why a worker ends without its run being over, one variant for each thing that somebody has to change.

use crate::store::StoreError;
use lagrange_core::network::NetworkError;
use lagrange_data::{DataError, TaskError};
use lagrange_protocol::{Address, CertificateFault};
use std::time::Duration;
use tokio_rustls::rustls::AlertDescription;

/// Why a worker ended without the run being over.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Labels that the task has no output for.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// Nobody answers.
    #[error(
        "no coordinator at {address} within {} s ({cause}); start `lagrange coordinator` there, or correct --connect",
        limit.as_secs_f64()
    )]
    Unreachable {
        /// The address tried.
        address: Address,
        /// For how long.
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
    /// Some other service has the port.
    #[error("what answers at {address} is no Lagrange coordinator ({evidence}): correct --connect")]
    NotACoordinator {
        /// The address tried.
        address: Address,
        /// What shows it.
        evidence: String,
    },
    /// This worker does not believe the coordinator's certificate.
    #[error("the certificate that {address} shows {fault}{}", or_elsewhere(fault))]
    CoordinatorCertificate {
        /// The coordinator's address.
        address: Address,
        /// What is wrong with it.
        fault: CertificateFault,
    },
    /// The coordinator does not believe this worker's certificate.
    #[error("the coordinator at {address} refused this worker's certificate: {reason}")]
    WorkerCertificate {
        /// The coordinator's address.
        address: Address,
        /// Why.
        reason: CertificateRefusal,
    },
    /// The coordinator refused this worker.
    #[error("refused by the coordinator: {0}")]
    Refused(String),
    /// The connection broke.
    #[error("lost the coordinator: {0}")]
    Lost(String),
    /// The coordinator sent what the contract does not allow.
    #[error("the coordinator at {address} broke the protocol: {fault}")]
    Protocol {
        /// Its address.
        address: Address,
        /// What was wrong.
        fault: String,
    },
    /// The run's network does not fit.
    #[error("the run's network: {0}")]
    Network(#[from] NetworkError),
    /// The data cannot be cut as the run wants it.
    #[error("the run's shards: {0}")]
    Store(#[from] StoreError),
}

/// Why a coordinator refuses a worker's certificate, as far as it tells.
#[derive(Debug, thiserror::Error)]
pub enum CertificateRefusal {
    /// Signed by somebody else.
    #[error("it is of another authority: give both sides files of the same `lagrange certs`")]
    OtherAuthority,
    /// Too old or too new.
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
