//! How long answers take, and so when one is late.

use lagrange_protocol::Job;
use std::collections::VecDeque;
use std::mem::{Discriminant, discriminant};
use std::time::Duration;

/// Answers remembered, and how many it takes to judge.
const REMEMBERED: usize = 64;
const ENOUGH: usize = 8;
/// No answer is late before this: the system's own hiccups are no reason to compute anything twice.
const LEAST: Duration = Duration::from_millis(200);

/// Seconds per shard of the last answers to one kind of job.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    kind: Option<Discriminant<Job>>,
    per_shard: VecDeque<f64>,
}

impl Pace {
    /// Takes an answer to `job` for `shards` shards.
    pub(crate) fn record(&mut self, job: Job, shards: usize, taken: Duration) {
        if self.kind != Some(discriminant(&job)) {
            self.kind = Some(discriminant(&job));
            self.per_shard.clear();
        }
        if self.per_shard.len() == REMEMBERED {
            self.per_shard.pop_front();
        }
        self.per_shard
            .push_back(taken.as_secs_f64() / shards.max(1) as f64);
    }

    /// How long an answer to `job` for `shards` shards may take before it is late: `times` what nine in ten
    /// took. Unknown at first.
    pub(crate) fn limit(&self, job: Job, shards: usize, times: f64) -> Option<Duration> {
        if times <= 0.0 || self.kind != Some(discriminant(&job)) || self.per_shard.len() < ENOUGH {
            return None;
        }
        let mut sorted: Vec<f64> = self.per_shard.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let usual = sorted[sorted.len() * 9 / 10] * shards as f64;
        Duration::try_from_secs_f64(times * usual)
            .ok()
            .map(|limit| limit.max(LEAST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lagrange_core::schedule::Round;
    use lagrange_data::Split;

    const STEP: Job = Job::Round(Round {
        step: 1,
        stage: 0,
        gram: false,
    });

    #[test]
    fn an_answer_is_late_by_what_nine_in_ten_took() {
        let mut pace = Pace::default();
        assert_eq!(pace.limit(STEP, 4, 3.0), None);
        for hundredths in 1..=20 {
            pace.record(STEP, 2, Duration::from_millis(20 * hundredths));
        }
        // Nine in ten took at most 190 ms a shard.
        let limit = pace.limit(STEP, 4, 3.0).expect("known");
        assert!(
            (limit.as_secs_f64() - 3.0 * 4.0 * 0.19).abs() < 1e-9,
            "{limit:?}"
        );
        assert_eq!(pace.limit(STEP, 1, 0.1), Some(LEAST));
        assert_eq!(pace.limit(STEP, 4, 0.0), None);
        let other = Job::Evaluate { split: Split::Test };
        assert_eq!(pace.limit(other, 4, 3.0), None);
        pace.record(other, 1, Duration::ZERO);
        assert_eq!(pace.limit(STEP, 4, 3.0), None);
    }
}
