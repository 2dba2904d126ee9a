//! Addresses of coordinators: host and port, as users write them.

use crate::host::{Host, HostError, split_port};
use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// Default port of a coordinator.
const USUAL_PORT: u16 = 7400;

/// Address of a coordinator: host and port.
///
/// ```
/// use lagrange_protocol::Address;
///
/// let address: Address = "coordinator.example:7400".parse()?;
/// assert_eq!((address.host.to_string().as_str(), address.port), ("coordinator.example", 7400));
/// let error = "http://h:7400".parse::<Address>().expect_err("a URL").to_string();
/// assert!(error.contains("leave out `http://`"));
/// # Ok::<(), lagrange_protocol::AddressError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The host.
    pub host: Host,
    /// The port, which is not 0.
    pub port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host {
            Host::Ip(ip) => SocketAddr::new(ip, self.port).fmt(f),
            Host::Name(ref name) => write!(f, "{name}:{}", self.port),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self {
            host: Host::Ip(address.ip()),
            port: address.port(),
        }
    }
}

/// Error of parsing an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Empty or blank text.
    #[error("nothing is given: give host:port, for example 127.0.0.1:{USUAL_PORT}")]
    Empty,
    /// A URL.
    #[error("a URL, where host:port belongs: leave out `{scheme}://`")]
    Url {
        /// Text before the host.
        scheme: String,
    },
    /// No port.
    #[error("the port is missing: give host:port, for example {with_port}")]
    NoPort {
        /// The host with the usual port.
        with_port: Address,
    },
    /// An invalid port.
    #[error("`{port}` is no port: give host:port with a number between 1 and 65535")]
    Port {
        /// The text given.
        port: String,
    },
    /// An IPv6 address whose end may be a port.
    #[error("an IPv6 address needs brackets before its port: give [{address}]:{port}")]
    Brackets {
        /// The address.
        address: Ipv6Addr,
        /// The port that was probably meant.
        port: u16,
    },
    /// An invalid host.
    #[error("`{host}` in host:port is no host: {fault}")]
    Host {
        /// The text given.
        host: String,
        /// The fault of the host.
        #[source]
        fault: HostError,
    },
    /// A host name where an IP address to listen on is needed.
    #[error(
        "`{host}` is no IP address: give one of this machine and a port, for example 127.0.0.1:{USUAL_PORT}, or \
         0.0.0.0:{USUAL_PORT} for all of its addresses"
    )]
    NotAnIp {
        /// The text given.
        host: String,
    },
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let address = split(text.trim())?;
        if address.port == 0 {
            return Err(AddressError::Port {
                port: "0".to_owned(),
            });
        }
        Ok(address)
    }
}

/// An address of this machine to listen on: port 0 is any that is free.
///
/// ```
/// use lagrange_protocol::listen_address;
///
/// assert!(listen_address("0.0.0.0:7400").is_ok());
/// assert!(listen_address("localhost:7400").is_err());
/// ```
///
/// # Errors
/// [`AddressError`] if the text is not an IP address with a port.
pub fn listen_address(text: &str) -> Result<SocketAddr, AddressError> {
    let text = text.trim();
    // With a scope, which only its owner can tell: [fe80::1%2]:7400.
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let not_an_ip = |host| AddressError::NotAnIp { host };
    match split(text) {
        Ok(Address { host, port }) => match host {
            Host::Ip(ip) => Ok(SocketAddr::new(ip, port)),
            Host::Name(host) => Err(not_an_ip(host)),
        },
        Err(AddressError::Host { host, .. }) => Err(not_an_ip(host)),
        Err(error) => Err(error),
    }
}

/// Splits a text into host and port.
fn split(text: &str) -> Result<Address, AddressError> {
    if text.is_empty() {
        return Err(AddressError::Empty);
    }
    if let Some((scheme, _)) = text.split_once("://") {
        return Err(AddressError::Url {
            scheme: scheme.to_owned(),
        });
    }
    if let Ok(address) = text.parse::<Ipv6Addr>() {
        return Err(without_brackets(text, address));
    }
    let host = |host: &str| {
        host.parse().map_err(|fault| AddressError::Host {
            host: host.to_owned(),
            fault,
        })
    };
    let Some((before, port)) = split_port(text) else {
        let (host, port) = (host(text)?, USUAL_PORT);
        return Err(AddressError::NoPort {
            with_port: Address { host, port },
        });
    };
    let port = port.parse().map_err(|_| AddressError::Port {
        port: port.to_owned(),
    })?;
    Ok(Address {
        host: host(before)?,
        port,
    })
}

/// `::1:7400` is an IPv6 address by itself, but one with a port was meant.
fn without_brackets(text: &str, whole: Ipv6Addr) -> AddressError {
    let meant = text.rsplit_once(':').and_then(|(address, port)| {
        let port = port.parse().ok().filter(|&port: &u16| port > 1000)?;
        Some(AddressError::Brackets {
            address: address.parse().ok()?,
            port,
        })
    });
    meant.unwrap_or(AddressError::Brackets {
        address: whole,
        port: USUAL_PORT,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_what_is_none() {
        let address = |text: &str| text.parse::<Address>().map(|address| address.to_string());
        for (text, meant) in [
            (" h:7400 ", "h:7400"),
            ("[::1]:7400", "[::1]:7400"),
            ("127.0.0.1:1", "127.0.0.1:1"),
        ] {
            assert_eq!(address(text).as_deref(), Ok(meant), "{text}");
        }
        for (text, words) in [
            ("", "nothing is given"),
            ("http://h:7400", "leave out `http://`"),
            ("h", "for example h:7400"),
            ("[::1]", "for example [::1]:7400"),
            ("h:0", "`0` is no port"),
            ("h:65536", "`65536` is no port"),
            ("h:7400/", "`7400/` is no port"),
            ("::1:7400", "give [::1]:7400"),
            ("fe80::1", "give [fe80::1]:7400"),
            (":7400", "`` in host:port is no host: an empty name"),
            ("a b:7400", "`a b` in host:port is no host"),
            ("a b", "`a b` in host:port is no host"),
        ] {
            let error = address(text).expect_err(text).to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn a_coordinator_listens_on_addresses_only() {
        for text in ["127.0.0.1:0", " [::]:7400", "0.0.0.0:7400"] {
            let address = listen_address(text).expect(text);
            assert_eq!(address.to_string(), text.trim());
        }
        for (text, words) in [
            ("localhost:7400", "127.0.0.1:7400"),
            ("0.0.0.0", "the port is missing"),
            ("http://0.0.0.0:7400", "leave out `http://`"),
            ("*:7400", "0.0.0.0:7400 for all"),
            (":7400", "0.0.0.0:7400 for all"),
            ("7400", "`7400` is no IP address"),
            ("", "nothing is given"),
        ] {
            let error = listen_address(text).expect_err(text).to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
