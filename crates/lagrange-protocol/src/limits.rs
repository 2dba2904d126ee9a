//! Limits and timings of connections.

use std::time::Duration;

/// Protocol version, raised by every change that an older build would misunderstand.
pub const PROTOCOL_VERSION: u32 = 6;

/// Largest message either side decodes: a chunk and its envelope, with room to spare.
pub const MAX_MESSAGE_BYTES: usize = 4 << 20;

/// Largest piece of a payload in one message. Larger pieces gain nothing on the wire and delay keep-alive
/// pings.
pub const CHUNK_BYTES: usize = 1 << 20;

/// HTTP/2 flow-control windows. The default of 64 KiB makes a large payload wait for window updates.
pub const WINDOW_BYTES: u32 = 16 << 20;

/// Largest HTTP/2 frame: a chunk and its envelope in one, where the default of 16 KiB cuts it in seventy.
pub const FRAME_BYTES: u32 = (CHUNK_BYTES as u32) + 4096;

/// Largest number of connections that have not joined; a further one replaces the oldest.
pub const MAX_STRANGERS: usize = 64;

/// Largest number of bytes that a connection may send before it has joined: a TLS handshake and a hello.
pub const ADMISSION_BYTES: usize = 64 << 10;

/// Time limit for joining, and for probes of the health service.
pub const ADMISSION_TIMEOUT: Duration = Duration::from_secs(20);

/// Delay after a wrong token, which limits guessing to some hundred tries a second.
pub const TOKEN_PENALTY: Duration = Duration::from_millis(250);

/// Largest length of a name, description or message of a peer, in bytes.
pub const MAX_TEXT_BYTES: usize = 4096;

/// Largest number of shards of a run: each adds an entry to every reply.
pub const MAX_SHARDS: u32 = 4096;

/// Largest number of values in a job's input or output per shard: more than realistic runs need, and less
/// than a machine's memory.
pub const MAX_VALUES: usize = 1 << 30;

/// Interval of probes on an idle connection. Without probes both sides would wait for ever after a network
/// failure.
pub const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(5);

/// Time after which an unanswered probe means that the connection is lost.
pub const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Time limit of one attempt to connect, name resolution and TLS handshake included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Time limit for a peer's next message of the handshake, loading of its data included.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(60);
