//! The protocol between coordinator and workers: messages, their validated counterparts, payloads and limits.
//!
//! A worker opens one stream and sends a `Hello`; the coordinator answers with a `Welcome` that holds the run
//! as text ([`RunSpec`]). Each round then travels as [`Work`] to the workers and [`Reply`] back, both as a
//! header and a payload of f32 values in checked chunks. `proto/lagrange/v1/lagrange.proto` describes all
//! messages.
//!
//! Every message of a peer is checked before it is used, and no memory is allocated for a payload before its
//! size is known to fit the run.
//!
//! # Layout
//!
//! | module | what it holds |
//! |---|---|
//! | [`v1`] | types generated from the protocol's description |
//! | `config` | [`Config`]: everything but the data that decides a run's result |
//! | `spec` | [`RunSpec`]: configuration and facts of the dataset, as one text |
//! | `job` | [`Job`], [`Work`] and [`Reply`] as plain types |
//! | `shape` | [`sizes_of`]: sizes of a job's messages |
//! | `record` | [`ShardRecord`]: checksum and checks of one shard's work |
//! | `payload`, `frames` | [`Payload`] to send, [`frames`] that carry it, [`Assembler`] to receive it |
//! | `handshake` | [`check_hello`], [`check_ready`]: admission of workers |
//! | `address`, `host` | [`Address`] and [`Host`], as users write them |
//! | `token` | [`Token`]: the join token |
//! | [`certificates`], `certificate_fault` | TLS configurations; faults of peers' certificates |
//! | `sniff` | [`Sniffer`]: recognises a peer's protocol by its first bytes |
//! | `ledger` | [`Ledger`]: bytes sent and received |
//! | [`limits`] | limits and timings of connections |

mod address;
mod certificate_fault;
pub mod certificates;
mod config;
mod frames;
mod handshake;
mod host;
mod job;
mod ledger;
pub mod limits;
mod payload;
mod record;
mod shape;
mod sniff;
mod spec;
mod token;

/// Types generated from `proto/lagrange/v1/lagrange.proto`.
#[allow(missing_docs, clippy::all, clippy::pedantic)]
pub mod v1 {
    tonic::include_proto!("lagrange.v1");
}

pub use address::{Address, AddressError, listen_address};
pub use certificate_fault::CertificateFault;
pub use config::{Config, ConfigError, DataConfig};
pub use frames::{Assembler, FrameError, Framed, frames};
pub use handshake::{Expected, Refusal, check_hello, check_ready};
pub use host::{Host, HostError};
pub use job::{Job, NodeSum, Reply, ReplyHeader, Work, WorkHeader};
pub use ledger::{Ledger, wire_bytes};
pub use payload::Payload;
pub use record::{ShardRecord, chained_crc32, part_crc32};
pub use shape::sizes_of;
pub use sniff::{Sniffer, Spoken};
pub use spec::{DatasetFacts, RunSpec, SpecError};
pub use token::{Token, TokenError};

/// Error of a message that breaks the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConversionError {
    /// A required field is missing.
    #[error("the field {0} is missing")]
    Missing(&'static str),
    /// An enum value that this version does not know.
    #[error("the field {field} has the unknown value {value}")]
    UnknownValue {
        /// The field.
        field: &'static str,
        /// Its number.
        value: i32,
    },
    /// A number outside its range.
    #[error("the field {0} is out of range")]
    OutOfRange(&'static str),
}
