//! A worker of Lagrange: it holds shards and answers rounds. Everything it knows can be derived again, so it may die at any time.
//!
//! [`Compute`] turns work into a reply with the mathematics of `lagrange-core`, in parallel over shards; [`run`] is the thin
//! gRPC shell around it.

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
pub use executor::{Executor, Task, Threads};
pub use options::{Security, WorkerOptions};
pub use session::run;
pub use store::{DataSource, ShardStore, StoreError};
