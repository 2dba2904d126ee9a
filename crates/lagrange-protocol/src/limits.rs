//! Limits and timings of the connection, each with its reason.

use std::time::Duration;

/// Version of the contract. Raised by every change that an older build would misunderstand.
pub const PROTOCOL_VERSION: u32 = 3;

/// Largest message either side decodes: a chunk and its envelope, with room to spare.
pub const MAX_MESSAGE_BYTES: usize = 4 << 20;

/// Largest piece of a payload in one message. Larger pieces gain nothing on the wire and delay keep-alive pings.
pub const CHUNK_BYTES: usize = 1 << 20;

/// HTTP/2 flow-control windows. The default of 64 KiB makes a large payload wait for window updates.
pub const WINDOW_BYTES: u32 = 16 << 20;

/// Largest HTTP/2 frame: a chunk and its envelope in one, where the default of 16 KiB cuts it in seventy.
pub const FRAME_BYTES: u32 = (CHUNK_BYTES as u32) + 4096;

/// Connections that have not joined, at the same time; when one more comes, the oldest is hung up on.
pub const MAX_STRANGERS: usize = 64;

/// What a connection may send before it has joined: a TLS handshake and a hello.
pub const ADMISSION_BYTES: usize = 64 << 10;

/// How long a connection may take to join; a probe of the health service never joins.
pub const ADMISSION_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a wrong token is pondered: whoever guesses gets no more than some hundred tries a second.
pub const TOKEN_PENALTY: Duration = Duration::from_millis(250);

/// Longest name, description or message kept from a peer, in bytes.
pub const MAX_TEXT_BYTES: usize = 4096;

/// Most shards a run may have: each costs an entry in every reply.
pub const MAX_SHARDS: u32 = 4096;

/// Most values that a job may take of a shard, or give: more than any sensible run has, and still less than a machine's memory.
pub const MAX_VALUES: usize = 1 << 30;

/// How often an idle connection is probed. Without probes a cut network leaves both sides waiting for ever.
pub const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(5);

/// How long a probe may go unanswered before the connection counts as lost.
pub const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long one attempt to connect may take, with the name resolved and TLS agreed on.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a peer may take over its next message of the handshake, the loading of its data included.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(60);
