//! What goes wrong, and when, as a seed has it.

use lagrange_core::random::{Purpose, stream};
use rand::RngExt as _;
use std::time::Duration;

/// What can go wrong with a host or with the link between a worker and the coordinator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The worker's host dies and is started again later.
    WorkerCrash,
    /// The coordinator's host dies and is started again later.
    CoordinatorCrash,
    /// Nothing arrives, either way.
    Partition,
    /// Nothing arrives at the worker.
    DeafWorker,
    /// Nothing arrives at the coordinator.
    MuteWorker,
    /// Everything is held up, and arrives later, at once.
    Hold,
    /// Everything takes longer.
    Latency,
    /// The worker computes at a twentieth of its speed.
    Slow,
    /// The worker is told to stop, and is started again when it has.
    Leave,
}

/// Every kind.
pub const KINDS: [Kind; 9] = [
    Kind::WorkerCrash,
    Kind::CoordinatorCrash,
    Kind::Partition,
    Kind::DeafWorker,
    Kind::MuteWorker,
    Kind::Hold,
    Kind::Latency,
    Kind::Slow,
    Kind::Leave,
];

/// A fault of one worker, its link or the coordinator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// What goes wrong.
    pub kind: Kind,
    /// With which worker, from 0.
    pub worker: usize,
}

/// Beginning or end of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incident {
    /// When, from the beginning of the simulation.
    pub time: Duration,
    /// What.
    pub fault: Fault,
    /// Whether it begins, or is over.
    pub begins: bool,
}

/// Between one and six faults within `span`, each over after at most four leases: short ones are not noticed,
/// long ones cost a worker its place.
#[must_use]
pub fn schedule(seed: u64, workers: usize, span: Duration, lease: Duration) -> Vec<Incident> {
    let mut random = stream(seed, Purpose::Rows, 98, 0);
    let mut incidents = Vec::new();
    for _ in 0..random.random_range(1..=6) {
        let fault = Fault {
            kind: KINDS[random.random_range(0..KINDS.len())],
            worker: random.random_range(0..workers),
        };
        let time = span.mul_f64(random.random());
        // As many short ones as long ones.
        let longest = lease.mul_f64(4.0_f64.powi(random.random_range(-2..=1)));
        let until = time + longest.mul_f64(random.random());
        for (time, begins) in [(time, true), (until, false)] {
            incidents.push(Incident {
                time,
                fault,
                begins,
            });
        }
    }
    incidents.sort_by_key(|incident| incident.time);
    incidents
}
