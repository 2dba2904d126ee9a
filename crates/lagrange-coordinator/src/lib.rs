//! The coordinator of Lagrange: it owns the weights and the multipliers, and nobody else does.
//!
//! [`Training`] is the whole run as a state machine without sockets or clock; [`Plan`] says what a run does
//! round by round; [`serve`] runs both behind a thin gRPC shell.
//!
//! # Layout
//!
//! | module | what it holds |
//! |---|---|
//! | `training` | the state machine: events in, commands out; `state` says what it can be in |
//! | `round` | a round in progress: shards that nobody has, non-finite replies, the sums so far |
//! | `membership`, `pace` | who is there, by lease; how long answers take, and which take too long |
//! | `plan` | rounds of a run in order: initialisation, steps, evaluations |
//! | `start` | k-means initialisation of the kernels |
//! | `iterate`, `multipliers`, `guard` | weights and multipliers; what to go back to when training diverges |
//! | `history` | rounds that a stateful schedule has done over after a loss |
//! | `checkpoint`, `files` | a run between two steps as one file; files written whole |
//! | `report`, `records` | what a run tells of itself: [`RunEvent`]; what of it is written, in which order |
//! | `serve`, `driver`, `service`, `connections`, `admission`, `tls`, `health`, `refusals` | the gRPC shell, its clock and its door |
//!
//! Each part of a run's state writes itself into a checkpoint and reads itself back: [`Snapshot`].

mod admission;
mod checkpoint;
mod connections;
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
mod records;
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
pub use files::{Access, Place, UNFINISHED, means_full, write_whole};
pub use membership::{Membership, WorkerId};
pub use multipliers::{Multipliers, hexadecimal, sha256_of};
pub use plan::{Outcome, Plan, PlanError};
pub use records::Journal;
pub use report::{Best, Evaluation, FailedCheck, RunEvent, StepMetrics, WorkerStatus};
pub use round::RoundTotal;
pub use rules::Rules;
pub use serve::{
    FinishedRun, Security, ServeError, ServeOptions, Served, Stop, connections_of, serve,
};
pub use training::{Command, Event, Identity, Training, TrainingError};
