//! Ledger of the bytes sent and received.

use prost::Message;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of one gRPC message: its encoding and the five bytes of its frame. HTTP/2 and TCP headers are not
/// counted.
pub fn wire_bytes(message: &impl Message) -> u64 {
    message.encoded_len() as u64 + 5
}

/// Totals of bytes sent and received by one process.
///
/// ```
/// use lagrange_protocol::{Ledger, v1, wire_bytes};
///
/// let (ledger, message) = (Ledger::default(), v1::Heartbeat {});
/// ledger.count_sent(&message);
/// assert_eq!((ledger.sent(), ledger.received()), (wire_bytes(&message), 0));
/// ```
#[derive(Debug, Default)]
pub struct Ledger {
    sent: AtomicU64,
    received: AtomicU64,
}

impl Ledger {
    /// Counts a message sent.
    pub fn count_sent(&self, message: &impl Message) {
        self.sent.fetch_add(wire_bytes(message), Ordering::Relaxed);
    }

    /// Counts a message received.
    pub fn count_received(&self, message: &impl Message) {
        self.received
            .fetch_add(wire_bytes(message), Ordering::Relaxed);
    }

    /// Bytes sent so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Bytes received so far.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}
