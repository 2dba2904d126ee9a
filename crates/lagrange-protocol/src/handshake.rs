//! Admission of workers: same protocol version, same data, same network.

use crate::limits::{MAX_TEXT_BYTES, PROTOCOL_VERSION};
use crate::v1;

/// Facts of the coordinator's run that a worker must match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// SHA-256 of the dataset.
    pub dataset_sha256: [u8; 32],
    /// Description of the network.
    pub architecture: String,
    /// SHA-256 of the run's text: [`crate::RunSpec::sha256`].
    pub spec_sha256: [u8; 32],
}

/// Reason for refusing a worker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another protocol version.
    #[error(
        "protocol version {theirs} where {ours} is spoken here: run coordinator and workers from the same release of lagrange"
    )]
    ProtocolVersion {
        /// The worker's version.
        theirs: u32,
        /// This build's version.
        ours: u32,
    },
    /// Other data.
    #[error(
        "dataset {theirs} where the run uses {ours}: give coordinator and workers the same --data, or none"
    )]
    Dataset {
        /// The worker's dataset, abbreviated.
        theirs: String,
        /// The run's dataset, abbreviated.
        ours: String,
    },
    /// Another network.
    #[error(
        "architecture `{theirs}` where the run trains `{ours}`: give the worker the run's configuration, or none"
    )]
    Architecture {
        /// The worker's network.
        theirs: String,
        /// The run's network.
        ours: String,
    },
    /// A run that the worker understands differently.
    #[error(
        "the worker has understood another run than it was told: run coordinator and workers from the same release of lagrange"
    )]
    Misunderstood,
    /// A malformed first message.
    #[error("malformed hello: {0}")]
    Malformed(&'static str),
}

impl From<Refusal> for tonic::Status {
    fn from(refusal: Refusal) -> Self {
        Self::failed_precondition(refusal.to_string())
    }
}

/// Checks a worker's first message. The version comes first: other fields of another version cannot be
/// trusted.
///
/// ```
/// use lagrange_protocol::{Expected, Refusal, check_hello, limits::PROTOCOL_VERSION, v1};
///
/// let expected = Expected {
///     dataset_sha256: [7; 32],
///     architecture: "28x28x1 - conv28 1".into(),
///     spec_sha256: [9; 32],
/// };
/// let mut hello = v1::Hello {
///     protocol_version: PROTOCOL_VERSION,
///     dataset_sha256: vec![7; 32],
///     ..v1::Hello::default()
/// };
/// assert_eq!(check_hello(&hello, &expected), Ok(()));
/// hello.dataset_sha256 = vec![8; 32];
/// assert!(matches!(check_hello(&hello, &expected), Err(Refusal::Dataset { .. })));
/// ```
///
/// # Errors
/// [`Refusal`], naming the difference.
pub fn check_hello(hello: &v1::Hello, expected: &Expected) -> Result<(), Refusal> {
    if hello.protocol_version != PROTOCOL_VERSION {
        return Err(Refusal::ProtocolVersion {
            theirs: hello.protocol_version,
            ours: PROTOCOL_VERSION,
        });
    }
    let texts = [
        &hello.name,
        &hello.software_version,
        &hello.architecture,
        &hello.kernels,
    ];
    if texts.iter().any(|text| text.len() > MAX_TEXT_BYTES) {
        return Err(Refusal::Malformed("a text is too long"));
    }
    if hello.dataset_sha256.len() != 32 {
        return Err(Refusal::Malformed("dataset_sha256 must have 32 bytes"));
    }
    if hello.dataset_sha256 != expected.dataset_sha256 {
        return Err(Refusal::Dataset {
            theirs: short_hex(&hello.dataset_sha256),
            ours: short_hex(&expected.dataset_sha256),
        });
    }
    if hello.architecture.is_empty() || hello.architecture == expected.architecture {
        return Ok(());
    }
    Err(Refusal::Architecture {
        theirs: hello.architecture.chars().take(200).collect(),
        ours: expected.architecture.clone(),
    })
}

/// Checks that worker and coordinator understand the same run.
///
/// # Errors
/// [`Refusal::Misunderstood`] if the hashes of the run differ.
pub fn check_ready(ready: &v1::Ready, expected: &Expected) -> Result<(), Refusal> {
    match ready.spec_sha256 == expected.spec_sha256 {
        true => Ok(()),
        false => Err(Refusal::Misunderstood),
    }
}

fn short_hex(bytes: &[u8]) -> String {
    bytes[..6]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected() -> Expected {
        Expected {
            dataset_sha256: [7; 32],
            architecture: "28x28x1 - conv28 1".to_owned(),
            spec_sha256: [9; 32],
        }
    }

    fn hello() -> v1::Hello {
        v1::Hello {
            protocol_version: PROTOCOL_VERSION,
            dataset_sha256: vec![7; 32],
            ..v1::Hello::default()
        }
    }

    #[test]
    fn a_worker_of_the_same_run_is_let_in() {
        assert_eq!(check_hello(&hello(), &expected()), Ok(()));
        let insisting = v1::Hello {
            architecture: expected().architecture,
            ..hello()
        };
        assert_eq!(check_hello(&insisting, &expected()), Ok(()));
        let ready = |byte| v1::Ready {
            spec_sha256: vec![byte; 32],
        };
        assert_eq!(check_ready(&ready(9), &expected()), Ok(()));
        let refused = check_ready(&ready(8), &expected());
        assert_eq!(refused, Err(Refusal::Misunderstood));
    }

    #[test]
    fn every_difference_is_named_with_both_sides() {
        let refuse = |hello| {
            check_hello(&hello, &expected())
                .expect_err("refused")
                .to_string()
        };
        let version = refuse(v1::Hello {
            protocol_version: 9,
            dataset_sha256: vec![],
            ..hello()
        });
        let both = format!("version 9 where {PROTOCOL_VERSION} is spoken");
        assert!(version.contains(&both), "{version}");
        let data = refuse(v1::Hello {
            dataset_sha256: vec![8; 32],
            ..hello()
        });
        assert!(
            data.contains("dataset 080808080808 where the run uses 070707070707"),
            "{data}"
        );
        let network = refuse(v1::Hello {
            architecture: "other".into(),
            ..hello()
        });
        assert!(
            network.contains("`other`") && network.contains("conv28 1"),
            "{network}"
        );
        assert!(
            refuse(v1::Hello {
                dataset_sha256: vec![7; 31],
                ..hello()
            })
            .contains("32 bytes")
        );
        assert!(
            refuse(v1::Hello {
                name: "n".repeat(5000),
                ..hello()
            })
            .contains("too long")
        );
    }
}
