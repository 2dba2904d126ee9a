//! What is wrong with a peer's certificate, in words for who has to change it.

use rustls::CertificateError;
use rustls::pki_types::UnixTime;
use std::time::Duration;

/// What is wrong with a certificate that a peer has shown.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CertificateFault {
    /// Signed by somebody else.
    #[error("is not of the authority in --tls: give both sides files of the same `lagrange certs`")]
    OtherAuthority,
    /// Too old.
    #[error(
        "expired {} ago by this machine's clock: make new ones for both sides with `lagrange certs`, or set the clock",
        span(*ago)
    )]
    Expired {
        /// For how long it has been.
        ago: Duration,
    },
    /// Too new.
    #[error(
        "is not valid yet, by this machine's clock for another {}: set the clock, here or where it was made",
        span(*wait)
    )]
    NotYetValid {
        /// For how long it will be so.
        wait: Duration,
    },
    /// Of another host.
    #[error(
        "is not for {dialled}, only for {names}: dial one of these with --connect, or make certificates with \
         `lagrange certs DIR --host {dialled}`"
    )]
    OtherName {
        /// The name or address dialled.
        dialled: String,
        /// What it is for, with commas between.
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
            // Its own words would be `Other(OtherError(..))`.
            Error::Other(cause) => Self::Other(cause.to_string()),
            other => Self::Other(other.to_string()),
        }
    }
}

fn between(earlier: UnixTime, later: UnixTime) -> Duration {
    Duration::from_secs(later.as_secs().saturating_sub(earlier.as_secs()))
}

/// A time in its greatest unit alone.
fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [(86_400, "day"), (3600, "hour"), (60, "minute")];
    let unit = units.into_iter().find(|(length, _)| seconds >= *length);
    let (length, name) = unit.unwrap_or((1, "second"));
    let count = seconds / length;
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {name}{plural}")
}

/// Names as rustls has them, `DnsName("h")` and `IpAddress(127.0.0.1)`, without what people do not write.
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
