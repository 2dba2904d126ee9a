//! Faults of peers' certificates, with messages that name the remedy.

use rustls::CertificateError;
use rustls::pki_types::UnixTime;
use std::time::Duration;

/// Fault of a certificate shown by a peer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CertificateFault {
    /// Signed by another authority.
    #[error("is not of the authority in --tls: give both sides files of the same `lagrange certs`")]
    OtherAuthority,
    /// Expired.
    #[error(
        "expired {} ago by this machine's clock: make new ones for both sides with `lagrange certs`, or set the clock",
        span(*ago)
    )]
    Expired {
        /// Time since then.
        ago: Duration,
    },
    /// Not yet valid.
    #[error(
        "is not valid yet, by this machine's clock for another {}: set the clock, here or where it was made",
        span(*wait)
    )]
    NotYetValid {
        /// Time until then.
        wait: Duration,
    },
    /// Issued for another host.
    #[error(
        "is not for {dialled}, only for {names}: dial one of these with --connect, or make certificates with \
         `lagrange certs DIR --host {dialled}`"
    )]
    OtherName {
        /// The name or address dialled.
        dialled: String,
        /// The names it is for, separated by commas.
        names: String,
    },
    /// A worker's where a coordinator's belongs, or the other way round.
    #[error(
        "is of the other role: of the files that `lagrange certs` makes, a coordinator needs coordinator.pem and \
         coordinator.key, a worker worker.pem and worker.key"
    )]
    OtherRole,
    /// Anything else.
    #[error("cannot be used ({0}): make new ones for both sides with `lagrange certs`")]
    Other(String),
}

impl From<&CertificateError> for CertificateFault {
    fn from(error: &CertificateError) -> Self {
        use CertificateError as Error;
        match error {
            Error::UnknownIssuer | Error::BadSignature => Self::OtherAuthority,
            Error::ExpiredContext { time, not_after } => Self::Expired {
                ago: between(*not_after, *time),
            },
            Error::NotValidYetContext { time, not_before } => Self::NotYetValid {
                wait: between(*time, *not_before),
            },
            Error::NotValidForNameContext {
                expected,
                presented,
            } => Self::OtherName {
                dialled: expected.to_str().into_owned(),
                names: names(presented),
            },
            Error::InvalidPurposeContext { .. } => Self::OtherRole,
            // The text of the variant itself would be `Other(OtherError(..))`.
            Error::Other(cause) => Self::Other(cause.to_string()),
            other => Self::Other(other.to_string()),
        }
    }
}

fn between(earlier: UnixTime, later: UnixTime) -> Duration {
    Duration::from_secs(later.as_secs().saturating_sub(earlier.as_secs()))
}

/// A duration in its largest unit.
fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [(86_400, "day"), (3600, "hour"), (60, "minute")];
    let unit = units.into_iter().find(|(length, _)| seconds >= *length);
    let (length, name) = unit.unwrap_or((1, "second"));
    let count = seconds / length;
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {name}{plural}")
}

/// Names as rustls has them, `DnsName("h")` and `IpAddress(127.0.0.1)`, reduced to the bare names.
fn names(presented: &[String]) -> String {
    let bare = |name: &String| {
        let inner = name.split_once('(').map_or(name.as_str(), |(_, rest)| rest);
        inner.trim_end_matches(')').trim_matches('"').to_owned()
    };
    match presented {
        [] => "no host at all".to_owned(),
        some => some.iter().map(bare).collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_said_in_their_greatest_unit() {
        for (seconds, words) in [
            (0, "0 seconds"),
            (61, "1 minute"),
            (7200, "2 hours"),
            (400_000, "4 days"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), words);
        }
    }

    #[test]
    fn names_are_shown_as_people_write_them() {
        let presented = [
            "DnsName(\"localhost\")".to_owned(),
            "IpAddress(127.0.0.1)".to_owned(),
        ];
        assert_eq!(names(&presented), "localhost, 127.0.0.1");
        assert_eq!(names(&[]), "no host at all");
    }
}
