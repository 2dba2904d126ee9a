//! What befalls the processes of a run, and when: drawn from a seed, so that it can be drawn again.

use lagrange_core::random::{Purpose, stream};
use rand::{Rng, RngExt as _};
use std::time::Duration;

/// What happens to processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `kill -9` of so many workers.
    KillWorkers(usize),
    /// `kill -9` of every worker.
    KillAllWorkers,
    /// `kill -9` of the coordinator.
    KillCoordinator,
    /// `kill -9` of the coordinator and every worker.
    KillEverything,
    /// A worker stands still for so long.
    FreezeWorker(Duration),
    /// The coordinator stands still for so long.
    FreezeCoordinator(Duration),
    /// A worker is asked to go.
    Drain,
    /// One worker more.
    Join,
}

/// A fault and its moment: once `step` is completed, and a checkpoint is just being written if `writing`, and
/// `delay` has passed.
#[derive(Debug, Clone, Copy)]
pub struct Strike {
    /// Steps completed before it.
    pub step: u64,
    /// Whether it waits for a checkpoint to be under way.
    pub writing: bool,
    /// Time to wait beyond that.
    pub delay: Duration,
    /// What happens.
    pub fault: Fault,
    /// Time until what was killed is started again.
    pub pause: Duration,
}

/// When a run writes checkpoints.
#[derive(Debug, Clone, Copy)]
pub enum Checkpoints {
    /// After so many steps.
    Steps(u64),
    /// After so many hundredths of a second.
    Centiseconds(u64),
}

/// A run's surroundings and what befalls it.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// Where it was drawn from.
    pub seed: u64,
    /// Whether the workers are children of the coordinator, in one command.
    pub one_command: bool,
    /// Whether the run is one of the classic schedule.
    pub classic: bool,
    /// Workers at first.
    pub workers: usize,
    /// When checkpoints are written.
    pub checkpoints: Checkpoints,
    /// What happens, in order.
    pub strikes: Vec<Strike>,
}

impl Schedule {
    /// The schedule of `seed` for a run whose steps number `streaming` or, if it is one of the classic
    /// schedule, `classic`, and whose workers' lease is `lease`. Every fourth seed is a run in one command,
    /// every fifth one of the classic schedule.
    #[must_use]
    pub fn of_seed(seed: u64, streaming: u64, classic: u64, lease: Duration) -> Self {
        let mut random = stream(seed, Purpose::Rows, 98, 0);
        let is_classic = seed % 5 == 3;
        let one_command = seed % 4 == 1;
        let steps = if is_classic { classic } else { streaming };
        let mut moments: Vec<u64> = (0..6).map(|_| random.random_range(0..steps)).collect();
        moments.sort_unstable();
        // The first strikes while processes start.
        moments[0] = 0;
        let mut strikes: Vec<Strike> = Vec::new();
        for mut step in moments {
            if random.random_range(0..4) == 0
                && let Some(last) = strikes.last()
            {
                // At once after the one before, while what was killed starts again.
                step = last.step;
            }
            let strike = strike(&mut random, step, one_command, lease);
            strikes.push(strike);
        }
        Self {
            seed,
            one_command,
            classic: is_classic,
            workers: random.random_range(2..5),
            checkpoints: match random.random_range(0..4) {
                0 => Checkpoints::Centiseconds(random.random_range(5..30)),
                steps => Checkpoints::Steps(steps),
            },
            strikes,
        }
    }
}

fn milliseconds(random: &mut impl Rng, most: u64) -> Duration {
    Duration::from_micros(random.random_range(0..most * 1000))
}

fn strike(random: &mut impl Rng, step: u64, one_command: bool, lease: Duration) -> Strike {
    let fault = match random.random_range(0..16) {
        0..4 => Fault::KillWorkers(1),
        4..6 => Fault::KillWorkers(2),
        6 => Fault::KillAllWorkers,
        7..11 => Fault::KillCoordinator,
        11 => Fault::KillEverything,
        12 => Fault::FreezeWorker(lease + lease.mul_f64(random.random_range(0.2..1.0))),
        13 => Fault::FreezeCoordinator(lease.mul_f64(random.random_range(0.5..2.0))),
        14 if one_command => Fault::KillWorkers(1),
        14 => Fault::Drain,
        _ if one_command => Fault::KillCoordinator,
        _ => Fault::Join,
    };
    // Whoever is struck while it starts is still loading its data, or shaking hands.
    let most = if step == 0 { 80 } else { 25 };
    Strike {
        step,
        writing: random.random_range(0..4) == 0,
        delay: milliseconds(random, most),
        fault,
        pause: milliseconds(random, 200),
    }
}
