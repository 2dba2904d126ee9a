//! Flags about how a run treats its workers.

use clap::Args;
use lagrange::Rules;
use std::num::NonZeroUsize;
use std::time::Duration;

/// How a run treats its workers. Nothing here changes its result.
#[derive(Debug, Clone, Args)]
pub struct RuleArgs {
    /// Seconds that a worker may be silent before its share is given to others.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds, env = "LAGRANGE_LEASE")]
    pub lease: Duration,
    /// Workers below which the run waits for more.
    #[arg(
        long,
        value_name = "N",
        default_value = "1",
        env = "LAGRANGE_MIN_WORKERS"
    )]
    pub min_workers: NonZeroUsize,
    /// Seconds to wait for more workers once there are too few.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds, env = "LAGRANGE_GRACE")]
    pub grace: Duration,
    /// Give a share also to an idle worker once it takes so many times what nine in ten took; 0 for never.
    #[arg(long, value_name = "TIMES", default_value = "3", value_parser = times)]
    pub speculate: f64,
    /// Seconds between checkpoints; 0 leaves it to --checkpoint-steps.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds_or_none)]
    pub checkpoint_seconds: Interval,
    /// Steps between checkpoints; 0 leaves it to --checkpoint-seconds.
    #[arg(long, value_name = "N", default_value = "0")]
    pub checkpoint_steps: u64,
}

/// A time between two events, or never.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval(pub Option<Duration>);

impl RuleArgs {
    /// The rules of a run that begins with `workers` workers.
    #[must_use]
    pub fn rules(&self, workers: usize) -> Rules {
        Rules {
            workers,
            minimum: self.min_workers.into(),
            grace: self.grace,
            lease: self.lease,
            speculate: self.speculate,
            checkpoint_steps: self.checkpoint_steps,
            checkpoint_interval: self.checkpoint_seconds.0,
            ..Rules::default()
        }
    }
}

/// A time between a twentieth of a second and a day, as a flag has it.
///
/// # Errors
/// The range.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok();
    seconds
        .filter(|seconds| (0.05..=86_400.0).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "give seconds between 0.05 and 86400".to_owned())
}

fn seconds_or_none(text: &str) -> Result<Interval, String> {
    match text.parse::<f64>() {
        Ok(0.0) => Ok(Interval(None)),
        _ => seconds(text).map(|interval| Interval(Some(interval))),
    }
}

fn times(text: &str) -> Result<f64, String> {
    let times = text.parse::<f64>().ok();
    times
        .filter(|&times| times == 0.0 || (1.0..=1e6).contains(&times))
        .ok_or_else(|| "give 0, or a number between 1 and 1000000".to_owned())
}
