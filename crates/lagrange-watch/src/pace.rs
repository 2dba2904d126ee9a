//! How long steps take.

use lagrange::Observed;
use std::collections::VecDeque;

/// Steps that the present cost of one is the mean of.
const REMEMBERED: usize = 64;

/// What one step costs.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct StepCost {
    /// Seconds that the coordinator waits for workers.
    pub wait_seconds: f64,
    /// Seconds of its own work: reducing, solving, framing.
    pub work_seconds: f64,
    /// Bytes to all workers.
    pub bytes_sent: f64,
    /// Bytes from all workers.
    pub bytes_received: f64,
}

/// A step, as it was told of.
#[derive(Debug, Clone, Copy)]
struct Told {
    wait_seconds: f64,
    work_seconds: f64,
    bytes_sent: u64,
    bytes_received: u64,
}

/// How long steps take, and how long the rest will.
#[derive(Debug, Clone, Default)]
pub struct Pace {
    recent: VecDeque<Told>,
    /// Steps and seconds at the first step that was told of, and at the last.
    first: Option<(u64, f64)>,
    last: Option<(u64, f64)>,
}

impl Pace {
    pub(crate) fn step(&mut self, observed: &Observed, step: u64) {
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(Told {
            wait_seconds: observed.wait_seconds,
            work_seconds: observed.work_seconds,
            bytes_sent: observed.bytes_sent,
            bytes_received: observed.bytes_received,
        });
        let now = (step, observed.seconds);
        self.first.get_or_insert(now);
        self.last = Some(now);
    }

    /// What a step costs at present: the mean of the last ones.
    #[must_use]
    pub fn cost(&self) -> Option<StepCost> {
        let (first, last) = (self.recent.front()?, self.recent.back()?);
        let count = self.recent.len() as f64;
        let mean = |of: fn(&Told) -> f64| self.recent.iter().map(of).sum::<f64>() / count;
        // The first one's bytes came before it.
        let steps = (count - 1.0).max(1.0);
        Some(StepCost {
            wait_seconds: mean(|told| told.wait_seconds),
            work_seconds: mean(|told| told.work_seconds),
            bytes_sent: last.bytes_sent.saturating_sub(first.bytes_sent) as f64 / steps,
            bytes_received: last.bytes_received.saturating_sub(first.bytes_received) as f64 / steps,
        })
    }

    /// Seconds until `total` steps are completed, evaluations included, if all goes on as it did.
    #[must_use]
    pub fn seconds_left(&self, total: u64) -> Option<f64> {
        let ((from, begin), (step, now)) = (self.first?, self.last?);
        // A run that has gone back to an earlier point may have less than it began with.
        let done = step.checked_sub(from).filter(|&done| done > 0)?;
        Some((now - begin) / done as f64 * total.saturating_sub(step) as f64)
    }
}
