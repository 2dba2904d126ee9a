//! The coordinator of Lagrange: it owns the weights and the multipliers, and nobody else does.
//!
//! [`Training`] is the whole run as a state machine without sockets or clock; [`Plan`] says what a run does round by
//! round; [`serve`] runs both behind a thin gRPC shell.

mod admission;
mod balance;
mod checkpoint;
mod classic;
mod driver;
mod files;
mod guard;
mod health;
mod history;
mod membership;
mod multipliers;
mod pace;
mod plan;
mod refusals;
mod report;
mod round;
mod rules;
mod run_plan;
mod serve;
mod service;
mod start;
mod tls;
mod training;

pub use checkpoint::{CheckpointError, CheckpointStore, Facts, Found, Snapshot};
pub use classic::{ClassicPlan, ClassicUpdate};
pub use driver::Observed;
pub use files::{Access, Place, means_full, write_whole};
pub use membership::{Membership, WorkerId};
pub use multipliers::{Multipliers, hexadecimal, sha256_of};
pub use plan::{Outcome, Plan};
pub use report::{Evaluation, Report, StepReport};
pub use round::{Receipt, Round, RoundTotal};
pub use rules::Rules;
pub use run_plan::{PlanError, RunPlan};
pub use serve::{
    Audience, Security, ServeError, ServeOptions, Served, Stop, connections_of, serve,
};
pub use start::StartKind;
pub use training::{Command, Event, Identity, Training, TrainingError};
