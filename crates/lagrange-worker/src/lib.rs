//! A worker of Lagrange: it holds shards of the data and computes rounds for a coordinator.
//!
//! A worker owns nothing that cannot be derived again, so it may stop at any time: others take over its
//! shards. [`Compute`] turns work into a reply with the mathematics of `lagrange-core`, in parallel over
//! shards; [`run`] connects it to a coordinator by gRPC.
//!
//! # Layout
//!
//! | module | what it holds |
//! |---|---|
//! | `compute` | [`Compute`]: from [`Work`](lagrange_protocol::Work) to [`Answer`], shard by shard |
//! | `store` | [`ShardStore`]: the shards held, and the [`DataSource`] that they come from |
//! | `executor` | [`Executor`]: where computations run; [`Threads`] of their own |
//! | `options` | [`WorkerOptions`], and [`Security`] |
//! | `session` | [`run`]: handshake, then rounds until the run is over |
//! | `connect` | repeated attempts to reach the coordinator |
//! | `link`, `dial` | one attempt: connection, TLS, HTTP/2; [`Dial`], the connector |
//! | `watched`, `verdict` | records of a peer's behaviour, and errors that explain it |
//! | `error` | [`WorkerError`], one variant for each remedy |

mod compute;
mod connect;
mod dial;
mod error;
mod executor;
mod link;
mod options;
mod session;
mod store;
mod verdict;
mod watched;

pub use compute::{Answer, Compute, ComputeError};
pub use dial::{Connecting, Connection, Dial, Tcp};
pub use error::{CertificateRefusal, WorkerError};
pub use executor::{Computation, Executor, Threads};
pub use options::{Security, WorkerOptions};
pub use session::run;
pub use store::{DataSource, ShardStore, StoreError};
