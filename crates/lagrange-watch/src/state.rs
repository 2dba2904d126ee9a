//! What is known of a run: one value, fed by the run's events, that every view draws.

use crate::lines::{Lines, resumed, sentence};
use crate::pace::Pace;
use lagrange::{
    Config, Evaluation, Model, Observed, RunEvent, RunResult, StepMetrics, WorkerStatus,
};
use lagrange_report::Curves;
use std::net::SocketAddr;

/// Where a run is.
#[derive(Debug, Clone, Default)]
pub enum Phase {
    /// It reads what it needs.
    #[default]
    Preparing,
    /// It waits for its first workers.
    Waiting,
    /// Its first kernels are being found.
    Starting {
        /// Stage, from 0.
        stage: usize,
        /// What the last round did.
        round: &'static str,
    },
    /// It takes steps.
    Training,
    /// It is over.
    Over(Box<Ending>),
}

/// How a run ended.
#[derive(Debug, Clone, Default)]
pub struct Ending {
    /// Its result, if it came to one.
    pub result: Option<RunResult>,
    /// Why it has none, or none that is saved.
    pub error: Option<String>,
}

/// The workers of a run, as they were when they were last told of.
#[derive(Debug, Clone, Default)]
pub struct Workers {
    /// Workers that the run needs to begin, or to go on.
    pub wanted: usize,
    /// Seconds that a worker may be silent.
    pub lease_seconds: f64,
    /// Seconds since the coordinator was ready when this was told.
    pub told: f64,
    /// Those that are there.
    pub present: Vec<WorkerStatus>,
}

/// A return to an earlier point.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollback {
    /// Steps completed when training diverged.
    pub step: u64,
    /// Steps that had been completed at the point gone back to.
    pub to: u64,
    /// Factor of all step lengths from there on.
    pub rate_factor: f32,
    /// What gave the divergence away.
    pub reason: String,
}

/// What is known of a run. It takes up a bounded amount of room, however long the run is.
///
/// ```
/// use lagrange_watch::{Phase, RunState};
///
/// let mut state = RunState::default();
/// state.begin((0, 936));
/// assert!(matches!(state.phase, Phase::Waiting) && state.total == 936);
/// ```
#[derive(Debug, Clone, Default)]
pub struct RunState {
    /// Task and seed.
    pub name: String,
    /// Where it is.
    pub phase: Phase,
    /// Steps completed.
    pub step: u64,
    /// Steps of the whole run.
    pub total: u64,
    /// Seconds from the coordinator's readiness to the last event.
    pub seconds: f64,
    /// Its curves.
    pub curves: Curves,
    /// The last step.
    pub last: Option<StepMetrics>,
    /// How long steps take, and how long the rest will.
    pub pace: Pace,
    /// The last evaluation of each split.
    pub evaluations: Vec<Evaluation>,
    /// The best evaluation of the validation split.
    pub best: Option<Evaluation>,
    /// Returns to earlier points.
    pub rollbacks: Vec<Rollback>,
    /// Its workers.
    pub workers: Workers,
    /// Where workers are waited for, if they come from elsewhere.
    pub listening: Option<SocketAddr>,
    /// The network, with the weights that were evaluated last; zeros before.
    pub model: Option<Model>,
    /// Steps completed when these weights were evaluated.
    pub weights_of: Option<u64>,
    /// What was said of it.
    pub lines: Lines,
}

impl RunState {
    /// What is trained is known.
    pub fn prepared(&mut self, config: &Config, model: &Model) {
        self.name = format!("{} seed {}", config.task, config.seed);
        self.model = Some(model.clone());
    }

    /// The run begins, or goes on, with so many steps completed of all.
    pub fn begin(&mut self, (done, total): (u64, u64)) {
        (self.step, self.total) = (done, total);
        self.phase = Phase::Waiting;
        self.lines.extend(resumed((done, total)), 0.0);
    }

    /// Takes what happened.
    pub fn event(&mut self, observed: &Observed) {
        self.seconds = observed.seconds;
        if let Ok(line) = serde_json::to_value(observed) {
            self.curves.add(&line);
        }
        self.lines
            .extend(sentence(observed, self.total), observed.seconds);
        match &observed.event {
            RunEvent::Start { stage, round } => {
                let (stage, round) = (*stage, *round);
                self.phase = Phase::Starting { stage, round };
            }
            RunEvent::Step(step) => {
                self.phase = Phase::Training;
                (self.step, self.total) = (step.step, step.total);
                self.pace.step(observed, step.step);
                self.last = Some((**step).clone());
            }
            RunEvent::Rollback {
                step,
                to,
                rate_factor,
                reason,
            } => {
                self.step = *to;
                // A run gives up after few.
                self.rollbacks.push(Rollback {
                    step: *step,
                    to: *to,
                    rate_factor: *rate_factor,
                    reason: reason.clone(),
                });
            }
            RunEvent::Evaluation(evaluation) => {
                self.evaluations.retain(|of| of.split != evaluation.split);
                self.evaluations.push(*evaluation);
            }
            RunEvent::Best(best) => self.best = Some(best.evaluation),
            RunEvent::Iterate { step, weights } => {
                if let Some(model) = &mut self.model {
                    model.weights = (**weights).clone();
                    self.weights_of = Some(*step);
                }
            }
            RunEvent::Workers {
                wanted,
                lease_seconds,
                present,
            } => {
                self.workers = Workers {
                    wanted: *wanted,
                    lease_seconds: *lease_seconds,
                    told: observed.seconds,
                    present: present.clone(),
                };
            }
            RunEvent::Membership { .. } | RunEvent::FailedCheck(_) => {}
        }
    }

    /// It is over.
    pub fn end(&mut self, ending: Ending) {
        if let Some(result) = &ending.result {
            self.seconds = result.seconds;
        }
        self.phase = Phase::Over(Box::new(ending));
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn ending(&self) -> Option<&Ending> {
        match &self.phase {
            Phase::Over(ending) => Some(ending),
            _ => None,
        }
    }

    /// Share of its steps that are completed, from 0 to 1.
    #[must_use]
    pub fn share(&self) -> f64 {
        match self.total {
            0 => 0.0,
            total => self.step as f64 / total as f64,
        }
    }

    /// Seconds until its end, if it goes on as it did.
    #[must_use]
    pub fn seconds_left(&self) -> Option<f64> {
        match self.phase {
            Phase::Over(_) => None,
            _ => self.pace.seconds_left(self.total),
        }
    }

    /// Workers that it waits for.
    #[must_use]
    pub fn missing(&self) -> usize {
        let present = self.workers.present.iter().filter(|of| !of.leaving);
        self.workers.wanted.saturating_sub(present.count())
    }

    /// Where it is, in words that change seldom.
    #[must_use]
    pub fn words(&self) -> String {
        let present = self.workers.present.len();
        let wanted = self.workers.wanted;
        match &self.phase {
            Phase::Preparing => "reading the data".to_owned(),
            Phase::Over(ending) => ended(ending),
            Phase::Waiting => {
                let at = self.listening.map(|at| format!(" at {at}"));
                let of = match wanted {
                    0 => String::new(),
                    _ => format!(": {present} of {wanted} are there"),
                };
                format!("waiting for workers{}{of}", at.unwrap_or_default())
            }
            _ if self.missing() > 0 => {
                format!("waiting for workers: {present} of at least {wanted} are there")
            }
            Phase::Starting { stage, .. } => {
                format!("finding the first kernels of stage {}", stage + 1)
            }
            Phase::Training => "training".to_owned(),
        }
    }
}

fn ended(ending: &Ending) -> String {
    let result = ending.result.as_ref();
    let how = match result {
        Some(result) if result.interrupted => "interrupted",
        _ => "complete",
    };
    let accuracy = result.and_then(|result| result.test_accuracy);
    let accuracy = accuracy.map(|share| format!(", test accuracy {:.2} %", 100.0 * share));
    match &ending.error {
        Some(error) => format!("the run is over: {error}"),
        None => format!("the run is over: {how}{}", accuracy.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests;
