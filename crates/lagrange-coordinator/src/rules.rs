//! When a run begins, waits, hands work out again and gives up.

use std::time::Duration;

/// Rules of a run towards its workers. None of them changes its result.
///
/// | name | default | purpose |
/// |---|---|---|
/// | `workers` | 1 | workers to wait for before the first round |
/// | `minimum` | 1 | workers below which the run waits for more |
/// | `join_timeout` | 600 s | how long it waits for the first ones |
/// | `grace` | 60 s | how long it waits for more once there are too few |
/// | `lease` | 10 s | how long a worker may be silent |
/// | `speculate` | 3 | work that takes so many times what nine in ten took goes to an idle worker too; 0: never |
/// | `checkpoint_steps` | 0 | steps between checkpoints; 0 leaves it to `checkpoint_interval` |
/// | `checkpoint_interval` | none | time between checkpoints |
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// Workers to wait for before the first round.
    pub workers: usize,
    /// Workers below which no new work is handed out.
    pub minimum: usize,
    /// How long the run waits for its first workers.
    pub join_timeout: Duration,
    /// How long it waits for more once there are fewer than the minimum.
    pub grace: Duration,
    /// How long a worker may be silent before it is lost.
    pub lease: Duration,
    /// A part of a round that takes so many times what nine in ten took is also given to an idle worker; 0
    /// for never.
    pub speculate: f64,
    /// Steps between checkpoints; 0 for no such rule.
    pub checkpoint_steps: u64,
    /// Time between checkpoints, if there is such a rule.
    pub checkpoint_interval: Option<Duration>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            workers: 1,
            minimum: 1,
            join_timeout: Duration::from_secs(600),
            grace: Duration::from_secs(60),
            lease: Duration::from_secs(10),
            speculate: 3.0,
            checkpoint_steps: 0,
            checkpoint_interval: None,
        }
    }
}

impl Rules {
    /// Workers that the run needs, before it has begun or after.
    pub(crate) fn needed(&self, started: bool) -> usize {
        match started {
            false => self.workers.max(self.minimum).max(1),
            true => self.minimum.max(1),
        }
    }

    /// How long it waits for them.
    pub(crate) fn patience(&self, started: bool) -> Duration {
        match started {
            false => self.join_timeout,
            true => self.grace,
        }
    }
}
