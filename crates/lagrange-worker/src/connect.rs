//! Search for a coordinator: repeated attempts up to a time limit, with pauses that grow and differ from
//! worker to worker.

use crate::error::WorkerError;
use crate::options::WorkerOptions;
use lagrange_protocol::Address;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;
use tokio::time::Instant;

/// First pause between attempts; each is twice as long as the last, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Time after which a search is reported in the log.
const UNNOTICED: Duration = Duration::from_secs(3);

/// A search, from the first attempt or the loss of a connection on.
#[derive(Debug)]
pub(crate) struct Search {
    address: Address,
    begin: Instant,
    limit: Duration,
    pauses: Pauses,
    /// Cause of the last failed attempt.
    cause: Option<String>,
    noticed: bool,
}

impl Search {
    pub(crate) fn new(options: &WorkerOptions) -> Self {
        Self {
            address: options.coordinator.clone(),
            begin: Instant::now(),
            limit: options.connect_timeout,
            pauses: Pauses::new(&options.name),
            cause: None,
            noticed: false,
        }
    }

    /// End of the search.
    pub(crate) fn deadline(&self) -> Instant {
        self.begin + self.limit
    }

    /// Waits after an attempt that failed for `cause`, for a part of the time that is left.
    ///
    /// # Errors
    /// [`WorkerError::Unreachable`] if none is left.
    pub(crate) async fn pause(&mut self, cause: String) -> Result<(), WorkerError> {
        let left = self.deadline().saturating_duration_since(Instant::now());
        // The error of an attempt that was cut short tells less than that of the attempt before.
        let cause = match self.cause.take() {
            Some(before) if left.is_zero() => before,
            _ => cause,
        };
        if left < FIRST_PAUSE {
            return Err(WorkerError::Unreachable {
                address: self.address.clone(),
                limit: self.limit,
                cause,
            });
        }
        self.notice(&cause, left);
        self.cause = Some(cause);
        tokio::time::sleep(self.pauses.next().min(left / 2)).await;
        Ok(())
    }

    /// Logs once that the search takes long.
    fn notice(&mut self, cause: &str, left: Duration) {
        if !self.noticed && self.begin.elapsed() >= UNNOTICED {
            self.noticed = true;
            tracing::warn!(
                coordinator = %self.address,
                cause,
                seconds_left = left.as_secs(),
                "no coordinator there yet; trying on"
            );
        }
    }
}

/// The pauses of one worker.
#[derive(Debug)]
struct Pauses {
    name: u64,
    attempt: u32,
}

impl Pauses {
    fn new(name: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        Self {
            name: hasher.finish(),
            attempt: 0,
        }
    }

    /// The next pause: from half to all of the doubled one, by a hash of the worker's name and the attempt,
    /// so that workers that lost the coordinator together do not return together.
    fn next(&mut self) -> Duration {
        let doubled = FIRST_PAUSE
            .saturating_mul(1 << self.attempt.min(16))
            .min(LONGEST_PAUSE);
        let mut hasher = DefaultHasher::new();
        (self.name, self.attempt).hash(&mut hasher);
        self.attempt += 1;
        let share = 0.5 + 0.5 * (hasher.finish() >> 11) as f64 / (1u64 << 53) as f64;
        doubled.mul_f64(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_differ_between_workers() {
        let (mut one, mut other) = (Pauses::new("one"), Pauses::new("other"));
        let mut doubled = FIRST_PAUSE;
        for _ in 0..12 {
            let (pause, elsewhere) = (one.next(), other.next());
            assert!(pause >= doubled / 2 && pause <= doubled, "{pause:?}");
            assert_ne!(pause, elsewhere);
            doubled = (2 * doubled).min(LONGEST_PAUSE);
        }
    }
}
