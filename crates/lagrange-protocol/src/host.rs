//! Hosts, as users write them: a name or an IP address, without a port.

use rustls::pki_types::{DnsName, ServerName};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// A host name or an IP address.
///
/// ```
/// use lagrange_protocol::Host;
///
/// let host: Host = "Coordinator.Example.".parse()?;
/// assert_eq!(host, Host::Name("coordinator.example".into()));
/// assert!("[::1]".parse::<Host>()?.is_loopback());
/// # Ok::<(), lagrange_protocol::HostError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A name, in lower case and without a dot at its end.
    Name(String),
    /// An address.
    Ip(IpAddr),
}

impl Host {
    /// Whether it is always this machine: `localhost` or a loopback address.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Name(name) => name == "localhost",
            Self::Ip(ip) => ip.is_loopback(),
        }
    }

    /// Name that the host's certificate must have.
    #[must_use]
    pub fn server_name(&self) -> ServerName<'static> {
        match self {
            Self::Name(name) => ServerName::try_from(name.clone())
                .unwrap_or_else(|_| unreachable!("parsed as a DNS name")),
            Self::Ip(ip) => ServerName::from(*ip),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Ip(ip) => ip.fmt(f),
        }
    }
}

/// Error of parsing a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Empty or blank text.
    #[error("an empty name: give a host name or an IP address")]
    Empty,
    /// A URL.
    #[error("a URL, where a host name or an IP address belongs: give {host} alone")]
    Url {
        /// The host within the URL.
        host: String,
    },
    /// A host and a port.
    #[error("no port belongs here: give {host} alone")]
    Port {
        /// The host.
        host: String,
    },
    /// A network.
    #[error(
        "a network, where one address belongs: leave out `/{prefix}`, and give every address by itself"
    )]
    Network {
        /// Length of its prefix.
        prefix: String,
    },
    /// A pattern of names.
    #[error("wildcards are not taken: give every host by its whole name")]
    Wildcard,
    /// Letters outside ASCII.
    #[error("not ASCII: give the name's encoded form, which begins with `xn--`")]
    NotAscii,
    /// Anything else.
    #[error(
        "neither an IP address nor a host name, which is made of parts of 1 to 63 letters, digits and \
         inner hyphens between dots, 253 characters in all"
    )]
    Malformed,
}

impl FromStr for Host {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(HostError::Empty);
        }
        if let Some(ip) = parse_ip(text) {
            return Ok(Self::Ip(ip));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        match DnsName::try_from(name) {
            Ok(_) if !name.ends_with('.') => Ok(Self::Name(name.to_ascii_lowercase())),
            _ => Err(explain(text)),
        }
    }
}

/// An address, within brackets or not.
fn parse_ip(text: &str) -> Option<IpAddr> {
    let bracketed = || {
        let inner = text.strip_prefix('[')?.strip_suffix(']')?;
        Some(IpAddr::V6(inner.parse::<Ipv6Addr>().ok()?))
    };
    text.parse().ok().or_else(bracketed)
}

/// Error that explains a text that is not a host.
fn explain(text: &str) -> HostError {
    if let Some((_, rest)) = text.split_once("://") {
        let end = rest.find('/').unwrap_or(rest.len());
        let authority = &rest[..end];
        let host = split_port(authority).map_or(authority, |(host, _)| host);
        return HostError::Url {
            host: host.to_owned(),
        };
    }
    if let Some((address, prefix)) = text.split_once('/')
        && parse_ip(address).is_some()
    {
        return HostError::Network {
            prefix: prefix.to_owned(),
        };
    }
    if let Some((host, _)) = split_port(text)
        && host.parse::<Host>().is_ok()
    {
        return HostError::Port {
            host: host.to_owned(),
        };
    }
    match text {
        _ if text.contains('*') => HostError::Wildcard,
        _ if !text.is_ascii() => HostError::NotAscii,
        _ => HostError::Malformed,
    }
}

/// Text before and after the last colon outside brackets.
pub(crate) fn split_port(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    (!port.contains(']')).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Result<String, HostError> {
        text.parse::<Host>().map(|host| host.to_string())
    }

    #[test]
    fn hosts_are_trimmed_and_told_from_what_is_none() {
        for (text, meant) in [
            (" 127.0.0.1", "127.0.0.1"),
            ("[::1]", "::1"),
            ("0:0::1", "::1"),
            ("Coordinator.Example.ORG.", "coordinator.example.org"),
            ("my_service", "my_service"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            (&"a".repeat(63), &"a".repeat(63)),
        ] {
            assert_eq!(host(text).as_deref(), Ok(meant), "{text}");
        }
        let alone = |host: &str| host.to_owned();
        for (text, fault) in [
            ("", HostError::Empty),
            (" ", HostError::Empty),
            ("https://h:7400/x", HostError::Url { host: alone("h") }),
            (
                "http://[::1]",
                HostError::Url {
                    host: alone("[::1]"),
                },
            ),
            ("h:7400", HostError::Port { host: alone("h") }),
            (
                "[::1]:7400",
                HostError::Port {
                    host: alone("[::1]"),
                },
            ),
            ("127.0.0.1/8", HostError::Network { prefix: alone("8") }),
            ("*.example.org", HostError::Wildcard),
            ("bücher.example", HostError::NotAscii),
        ] {
            assert_eq!(host(text), Err(fault), "{text}");
        }
        for text in [
            "a b",
            "-a",
            "a-",
            "a..b",
            "a..",
            ".",
            "256.0.0.1",
            "[127.0.0.1]",
            "fe80::1%eth0",
            &"a".repeat(70),
            &"a.".repeat(128),
        ] {
            assert_eq!(host(text), Err(HostError::Malformed), "{text}");
        }
    }
}
