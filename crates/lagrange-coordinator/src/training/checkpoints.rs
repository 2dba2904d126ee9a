//! When a run's state is written down, and how it is taken up again.

use super::{Command, Training};
use crate::checkpoint::{CheckpointError, Facts, RoundFacts, Snapshot};
use crate::history::PastRound;
use crate::plan::Plan;
use crate::rules::Rules;
use crate::run_plan::RunPlan;
use lagrange_core::finite::all_finite;
use lagrange_core::network::Network;
use lagrange_core::schedule::classic::Order;
use lagrange_data::{Partition, Split};
use lagrange_protocol::{Job, JobShape, Payload, RunSpec};
use std::time::Duration;

/// What a run is called and what it is of: so that nothing is taken up by another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// Name of the run; workers that outlive a coordinator know it by that.
    pub run: String,
    /// The whole configuration, as its owner writes it down.
    pub configuration: String,
    /// SHA-256 of the dataset, in hexadecimal.
    pub dataset_sha256: String,
}

/// The last checkpoint.
#[derive(Debug, Default)]
pub(super) struct Last {
    step: u64,
    time: Duration,
}

impl Training {
    /// The run of `snapshot`, to go on with it: with the same bits as if it had never stopped.
    ///
    /// # Errors
    /// [`CheckpointError`] if the snapshot is not one of `run` on `partition`.
    pub fn resume(
        snapshot: &Snapshot,
        run: RunPlan,
        partition: Partition,
        rules: Rules,
    ) -> Result<Self, CheckpointError> {
        let facts = &snapshot.facts;
        let identity = Identity {
            run: facts.run.clone(),
            configuration: facts.configuration.clone(),
            dataset_sha256: facts.dataset_sha256.clone(),
        };
        let plan = Plan::resume(run, partition, snapshot)?;
        let history = past(snapshot, &plan)?;
        Ok(Self {
            round_number: facts.round,
            history,
            last: Last {
                step: facts.step,
                time: Duration::ZERO,
            },
            ..Self::new(identity, plan, rules)
        })
    }

    /// Name of the run.
    #[must_use]
    pub fn run(&self) -> &str {
        &self.identity.run
    }

    /// What workers are told of it.
    #[must_use]
    pub fn spec(&self) -> &RunSpec {
        self.plan.spec()
    }

    /// The network trained.
    #[must_use]
    pub fn network(&self) -> &Network {
        self.plan.network()
    }

    /// Steps completed, and steps of the whole run.
    #[must_use]
    pub fn steps(&self) -> (u64, u64) {
        (self.plan.step, self.plan.total_steps)
    }

    /// How long a worker may be silent.
    #[must_use]
    pub fn lease(&self) -> Duration {
        self.rules.lease
    }

    /// The run's state, if it is between two steps.
    pub(super) fn snapshot(&self) -> Option<Box<Snapshot>> {
        let mut snapshot = self.plan.snapshot()?;
        snapshot.facts.run.clone_from(&self.identity.run);
        snapshot
            .facts
            .configuration
            .clone_from(&self.identity.configuration);
        snapshot
            .facts
            .dataset_sha256
            .clone_from(&self.identity.dataset_sha256);
        snapshot.facts.round = self.round_number;
        for (number, round) in self.history.iter().enumerate() {
            let Job::Sweep(sweep) = round.job else {
                continue;
            };
            // The round in hand belongs to the step that the snapshot comes before.
            if sweep.step >= self.plan.step {
                break;
            }
            snapshot.facts.history.push(RoundFacts::from(sweep));
            let mut add = |name: &str, values| {
                let name = format!("history.{number}.{name}");
                snapshot.tensors.insert(name, values);
            };
            add("shared", round.shared.to_vec());
            add(
                "rows",
                round.rows.iter().flat_map(Payload::to_vec).collect(),
            );
        }
        Some(Box::new(snapshot))
    }

    /// Splits that are to be evaluated before the next step.
    #[must_use]
    pub fn due(&self) -> Vec<Split> {
        self.plan.due.iter().copied().collect()
    }

    /// A checkpoint, if a step has been completed since the last one and the rules want it. The last step always gets one:
    /// a run that is complete can be gone on with.
    pub(super) fn checkpoint_if_due(&mut self, commands: &mut Vec<Command>) {
        let step = self.plan.step;
        if step <= self.last.step || self.plan.is_interrupted() {
            return;
        }
        let Rules {
            checkpoint_steps: every,
            checkpoint_interval: interval,
            ..
        } = self.rules;
        let by_steps = every > 0 && step - self.last.step >= every;
        let waited = self.now.saturating_sub(self.last.time);
        let complete = step == self.plan.total_steps;
        if by_steps || complete || interval.is_some_and(|interval| waited >= interval) {
            self.checkpoint(commands);
        }
    }

    /// A checkpoint now, if the run is between two steps.
    pub(super) fn checkpoint(&mut self, commands: &mut Vec<Command>) {
        if let Some(snapshot) = self.snapshot() {
            self.last = Last {
                step: snapshot.facts.step,
                time: self.now,
            };
            commands.push(Command::Checkpoint(snapshot));
        }
    }
}

/// The rounds of a stateful schedule up to the snapshot.
fn past(snapshot: &Snapshot, plan: &Plan) -> Result<Vec<PastRound>, CheckpointError> {
    let damaged = |fault: String| CheckpointError::Damaged(fault);
    if !is_whole(&snapshot.facts, plan) {
        return Err(damaged("its history has gaps".to_owned()));
    }
    let shards = plan.shards() as usize;
    let rounds = snapshot.facts.history.iter().enumerate();
    let read = rounds.map(|(number, facts)| {
        let job = Job::Sweep((*facts).into());
        let shape = JobShape::of(job, plan.spec(), plan.network());
        let shape = shape.map_err(|error| damaged(error.to_string()))?;
        let values = |name: &str, length: usize| {
            let name = format!("history.{number}.{name}");
            let values = snapshot.tensors.get(&name);
            let sound = |values: &&Vec<f32>| values.len() == length && all_finite(values);
            let wrong = || damaged(format!("{name} is not {length} numbers"));
            values.filter(sound).ok_or_else(wrong)
        };
        let rows = values("rows", shards * shape.rows_in)?;
        let of_shard = |shard| payload(&rows[shard * shape.rows_in..][..shape.rows_in]);
        Ok(PastRound {
            job,
            shared: payload(values("shared", shape.shared)?),
            rows: (0..shards).map(of_shard).collect(),
        })
    });
    read.collect()
}

/// Whether the history of a stateful schedule is every round from the first up to the snapshot, and there is none otherwise.
fn is_whole(facts: &Facts, plan: &Plan) -> bool {
    let Some(sweep) = plan.spec().sweep.filter(|_| plan.is_stateful()) else {
        return facts.history.is_empty();
    };
    let mut next = (0, 0);
    for round in &facts.history {
        if (round.step, round.stage) != next {
            return false;
        }
        next = match sweep.order {
            Order::Taylor if round.stage < plan.network().len() => (round.step, round.stage + 1),
            _ => (round.step + 1, 0),
        };
    }
    next == (facts.step, 0)
}

fn payload(values: &[f32]) -> Payload {
    let mut payload = Payload::new();
    payload.push(values.to_vec());
    payload
}
