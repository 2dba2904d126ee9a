//! What the state machine is told, what it wants done, and why it ends without a result.

use crate::checkpoint::Snapshot;
use crate::membership::WorkerId;
use crate::plan::{Outcome, PlanError};
use crate::report::RunEvent;
use lagrange_protocol::{Payload, Reply, WorkHeader};

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// A worker completed its handshake.
    Joined {
        /// The worker.
        worker: WorkerId,
        /// Threads it computes on.
        threads: u32,
    },
    /// A worker gave a sign of life.
    Heard {
        /// The worker.
        worker: WorkerId,
    },
    /// A worker answered.
    Replied {
        /// The worker.
        worker: WorkerId,
        /// Its answer.
        reply: Reply,
    },
    /// A worker wants to go once it has answered what it has in hand.
    Leaving {
        /// The worker.
        worker: WorkerId,
    },
    /// A worker's connection ended.
    Lost {
        /// The worker.
        worker: WorkerId,
        /// How.
        reason: String,
    },
    /// A worker could not do its work.
    Failed {
        /// The worker.
        worker: WorkerId,
        /// Its words.
        message: String,
    },
    /// Nothing but time has passed.
    Tick,
    /// The user asks to stop: end after this round, with what there is.
    Interrupted,
    /// No worker that goes will be replaced: end once the last one is gone.
    Abandoned {
        /// Why not.
        reason: String,
    },
}

/// What is to be done about it.
#[derive(Debug)]
pub enum Command {
    /// Send work to a worker.
    Send {
        /// The worker.
        worker: WorkerId,
        /// The work.
        header: WorkHeader,
        /// Its payload.
        payload: Payload,
        /// Values that the reply's payload must have.
        reply_floats: usize,
    },
    /// Close a worker's connection with these words.
    Drop {
        /// The worker.
        worker: WorkerId,
        /// Why.
        reason: String,
        /// Whether it may come back: it was not at fault.
        may_return: bool,
    },
    /// Tell a worker that wanted to go that it may.
    Release {
        /// The worker.
        worker: WorkerId,
    },
    /// Tell the user.
    Report(RunEvent),
    /// Write the run's state down.
    Checkpoint(Box<Snapshot>),
    /// The run is over.
    End(Result<Box<Outcome>, TrainingError>),
}

/// Why a run ended without a result.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TrainingError {
    /// The mathematics or the configuration.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Work that fails everywhere.
    #[error("worker {worker} could not do its work: {message}")]
    Worker {
        /// The worker.
        worker: WorkerId,
        /// Its words.
        message: String,
    },
    /// Nobody left.
    #[error("all workers are gone (the last one: {last}); start workers again and resume the run")]
    AllWorkersLost {
        /// How the last one went.
        last: String,
    },
    /// Fewer left than wanted.
    #[error(
        "{present} workers are left of the {minimum} that --min-workers asks for (the last one: {last}); \
         start more and resume the run"
    )]
    ShortHanded {
        /// Workers left.
        present: usize,
        /// Workers needed.
        minimum: usize,
        /// How the last one went.
        last: String,
    },
    /// Nobody left, and nobody to come.
    #[error("{reason}")]
    Abandoned {
        /// Why nobody will come.
        reason: String,
    },
    /// Nobody came.
    #[error(
        "{present} of {wanted} workers joined in time; \
         start more with `lagrange worker --connect`, or lower --workers"
    )]
    TooFewWorkers {
        /// Workers that joined.
        present: usize,
        /// Workers waited for.
        wanted: usize,
    },
    /// Asked to stop before anything was computed.
    #[error("interrupted before the first step; nothing to save")]
    InterruptedEarly,
}
