//! When a run's state is written down, and how it is taken up again.

use super::{Command, Training};
use crate::checkpoint::{CheckpointError, RoundFacts, Snapshot};
use crate::history::PastRound;
use crate::plan::Plan;
use crate::rules::Rules;
use crate::run_plan::RunPlan;
use lagrange_core::network::Network;
use lagrange_data::Partition;
use lagrange_protocol::{Job, Payload, RunSpec};
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
        let history = past(snapshot, plan.shards() as usize)?;
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

    /// A checkpoint, if a step has been completed since the last one and the rules want it.
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
        if by_steps || interval.is_some_and(|interval| waited >= interval) {
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
fn past(snapshot: &Snapshot, shards: usize) -> Result<Vec<PastRound>, CheckpointError> {
    let rounds = snapshot.facts.history.iter().enumerate();
    let read = rounds.map(|(number, facts)| {
        let values = |name: &str| {
            let name = format!("history.{number}.{name}");
            let missing = || CheckpointError::Damaged(format!("{name} is missing"));
            snapshot.tensors.get(&name).ok_or_else(missing)
        };
        let rows = values("rows")?;
        if !rows.len().is_multiple_of(shards) {
            let fault = format!("history.{number}.rows is not of {shards} shards");
            return Err(CheckpointError::Damaged(fault));
        }
        let share = rows.len() / shards;
        let of_shard = |shard| payload(&rows[shard * share..][..share]);
        Ok(PastRound {
            job: Job::Sweep((*facts).into()),
            shared: payload(values("shared")?),
            rows: (0..shards).map(of_shard).collect(),
        })
    });
    read.collect()
}

fn payload(values: &[f32]) -> Payload {
    let mut payload = Payload::new();
    payload.push(values.to_vec());
    payload
}
