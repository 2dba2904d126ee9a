//! A worker of Lagrange: it holds shards and answers rounds. Everything it knows can be derived again, so it may die at any time.
//!
//! [`Compute`] turns work into a reply with the mathematics of `lagrange-core`, in parallel over shards; [`run`] is the thin
//! gRPC shell around it.

mod compute;
mod connect;
mod executor;
mod session;
mod store;

pub use compute::{Answer, Compute, ComputeError};
pub use connect::{Connecting, Dial, Tcp};
pub use executor::{Executor, Task, Threads};
pub use session::{Security, WorkerError, WorkerOptions, run};
pub use store::{DataSource, ShardStore, StoreError};
