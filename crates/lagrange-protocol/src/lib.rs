//! The wire contract between coordinator and workers: generated types, their validated counterparts, payload framing and limits.

mod address;
mod certificate_fault;
pub mod certificates;
mod frames;
mod handshake;
mod host;
mod job;
mod ledger;
pub mod limits;
mod payload;
mod shape;
mod sniff;
mod spec;
mod sweep;
mod token;

/// Types generated from `proto/lagrange/v1/lagrange.proto`.
#[allow(missing_docs, clippy::all, clippy::pedantic)]
pub mod v1 {
    tonic::include_proto!("lagrange.v1");
}

pub use address::{Address, AddressError, listen_address};
pub use certificate_fault::CertificateFault;
pub use frames::{Assembler, FrameError, Framed, frames};
pub use handshake::{Expected, Refusal, check_hello, check_ready};
pub use host::{Host, HostError};
pub use job::{Job, NodeSum, Reply, ReplyHeader, Work, WorkHeader};
pub use ledger::{Ledger, wire_bytes};
pub use payload::Payload;
pub use shape::JobShape;
pub use sniff::{Sniffer, Spoken};
pub use spec::RunSpec;
pub use token::{Token, TokenError};

/// Why a message is not what the contract says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConversionError {
    /// A field that must be there is not.
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
