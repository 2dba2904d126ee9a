//! Protocol sniffing: a peer's protocol, recognised by the first bytes that it sends.

/// First bytes of an HTTP/2 client.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Number of bytes kept: enough for every case, and for a line to show.
const ENOUGH: usize = 48;
/// Length of an HTTP/2 frame's header, and the type of the frame that a server begins with.
const FRAME_HEADER: usize = 9;
const SETTINGS: u8 = 4;
/// Types of TLS records that a peer may begin with, and the major version in all of them.
const TLS_RECORDS: [u8; 2] = [0x15, 0x16];
const TLS_MAJOR: u8 = 3;

/// A protocol that a peer may speak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spoken {
    /// TLS: a handshake, or an alert by a server that wanted one.
    Tls,
    /// HTTP/2 in plain text, by a client or a server.
    Http2,
    /// Something else. The beginning of its first line, as far as it can be shown.
    Other(String),
}

/// Recogniser of a peer's protocol, fed with its first bytes.
///
/// ```
/// use lagrange_protocol::{Sniffer, Spoken};
///
/// let mut sniffer = Sniffer::default();
/// sniffer.hear(b"SSH-2.0-OpenSSH_9.7\r\n");
/// assert_eq!(sniffer.spoken(), Some(Spoken::Other("SSH-2.0-OpenSSH_9.7".into())));
/// ```
#[derive(Debug, Default)]
pub struct Sniffer {
    heard: Vec<u8>,
}

impl Sniffer {
    /// Adds the next bytes; only the first few are kept.
    pub fn hear(&mut self, bytes: &[u8]) {
        let wanted = ENOUGH - self.heard.len();
        self.heard
            .extend_from_slice(&bytes[..wanted.min(bytes.len())]);
    }

    /// Whether no bytes have come yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heard.is_empty()
    }

    /// The protocol; `None` while the bytes so far do not tell.
    #[must_use]
    pub fn spoken(&self) -> Option<Spoken> {
        let heard = self.heard.as_slice();
        match heard {
            [] => None,
            [kind, TLS_MAJOR, ..] if TLS_RECORDS.contains(kind) => Some(Spoken::Tls),
            [kind] if TLS_RECORDS.contains(kind) => None,
            _ if heard.starts_with(PREFACE) => Some(Spoken::Http2),
            _ if PREFACE.starts_with(heard) => None,
            _ if heard.len() < FRAME_HEADER && heard[0] == 0 => None,
            _ if begins_with_settings(heard) => Some(Spoken::Http2),
            _ => Some(Spoken::Other(first_line(heard))),
        }
    }
}

/// Whether a server of HTTP/2 speaks: its first frame has settings of 6 bytes each, and belongs to the
/// whole connection.
fn begins_with_settings(heard: &[u8]) -> bool {
    let [high, middle, low, kind, _, stream @ ..] = heard else {
        return false;
    };
    let length = u32::from_be_bytes([0, *high, *middle, *low]);
    *kind == SETTINGS && length.is_multiple_of(6) && stream.starts_with(&[0; 4])
}

/// The beginning of the first line, escaped.
fn first_line(heard: &[u8]) -> String {
    let line = heard.split(|&byte| byte == b'\n').next().unwrap_or(heard);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    line.escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spoken(bytes: &[u8]) -> Option<Spoken> {
        let mut sniffer = Sniffer::default();
        // Cut into single bytes.
        bytes.iter().for_each(|&byte| sniffer.hear(&[byte]));
        let mut whole = Sniffer::default();
        whole.hear(bytes);
        assert_eq!(sniffer.spoken(), whole.spoken());
        whole.spoken()
    }

    #[test]
    fn the_first_bytes_tell_what_is_spoken() {
        let other = |line: &str| Some(Spoken::Other(line.to_owned()));
        assert_eq!(spoken(b""), None);
        assert_eq!(spoken(&[0x16]), None);
        assert_eq!(spoken(&[0x16, 3, 1, 2, 0]), Some(Spoken::Tls));
        assert_eq!(spoken(&[0x15, 3, 3, 0, 2, 2, 70]), Some(Spoken::Tls));
        assert_eq!(spoken(b"PRI * "), None);
        assert_eq!(spoken(PREFACE), Some(Spoken::Http2));
        assert_eq!(spoken(&[0, 0, 18, 4]), None);
        assert_eq!(
            spoken(&[0, 0, 18, 4, 0, 0, 0, 0, 0, 7]),
            Some(Spoken::Http2)
        );
        assert_eq!(spoken(&[0; 20]), other(&"\\x00".repeat(20)));
        assert_eq!(
            spoken(b"HTTP/1.1 400 Bad Request\r\nServer: x"),
            other("HTTP/1.1 400 Bad Request")
        );
        assert_eq!(spoken(b"SSH-2.0-\x1b[31m\r\n"), other("SSH-2.0-\\x1b[31m"));
        assert_eq!(spoken(b"PRI * HTTP/1"), other("PRI * HTTP/1"));
    }
}
