//! The coordinator of Lagrange: it owns the weights and the multipliers, and nobody else does.
//!
//! [`Training`] is the whole run as a state machine without sockets or clock; [`Plan`] says what a run does
//! round by round; [`serve`] runs both behind a thin gRPC shell.

mod admission;
mod checkpoint;
mod driver;
mod files;
mod guard;
mod health;
mod history;
mod iterate;
mod membership;
mod multipliers;
mod pace;
mod plan;
mod refusals;
mod report;
mod round;
mod rules;
mod serve;
mod service;
mod start;
mod tls;
mod training;

pub use checkpoint::{CheckpointError, CheckpointMeta, CheckpointStore, Found, Snapshot};
pub use driver::Observed;
pub use files::{Access, Place, means_full, write_whole};
pub use membership::{Membership, WorkerId};
pub use multipliers::{Multipliers, hexadecimal, sha256_of};
pub use plan::{Outcome, Plan, PlanError};
pub use report::{Evaluation, RunEvent, StepMetrics};
pub use round::RoundTotal;
pub use rules::Rules;
pub use serve::{
    Audience, Security, ServeError, ServeOptions, Served, Stop, connections_of, serve,
};
pub use training::{Command, Event, Identity, Training, TrainingError};
