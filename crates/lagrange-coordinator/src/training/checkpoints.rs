//! When a run's state is written down, and how it is taken up again.

use super::{Command, Training};
use crate::checkpoint::{Arrays, CheckpointError, CheckpointMeta, Snapshot};
use crate::history::History;
use crate::plan::Plan;
use crate::report::Best;
use crate::rules::Rules;
use lagrange_core::network::Network;
use lagrange_data::Split;
use lagrange_protocol::{Config, RunSpec};
use std::time::Duration;

/// What a run is called and which data it is of: so that nothing is taken up by another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// Name of the run; workers that outlive a coordinator know it by that.
    pub run: String,
    /// SHA-256 of the dataset, in hexadecimal.
    pub dataset_sha256: String,
}

/// The last checkpoint.
#[derive(Debug, Default)]
pub(super) struct Last {
    step: u64,
    time: Duration,
}

impl Last {
    /// The step that it was taken after; 0 before the first.
    pub(super) fn step(&self) -> u64 {
        self.step
    }
}

impl Training {
    /// The run of `snapshot`, to go on with it by `config`: with the same bits as if it had never stopped.
    /// It may be made longer or shorter.
    ///
    /// # Errors
    /// [`CheckpointError`] if the snapshot is of another configuration or dataset.
    pub fn resume(
        snapshot: &Snapshot,
        config: Config,
        dataset_sha256: &str,
        rules: Rules,
    ) -> Result<Self, CheckpointError> {
        let Snapshot { facts, arrays } = snapshot;
        let spec = spec_of(facts, config, dataset_sha256)?;
        let plan = Plan::load(spec, &facts.plan, arrays)?;
        if facts.round > u64::MAX / 2 {
            return Err(CheckpointError::damaged("its round cannot be"));
        }
        let history = History::load(&facts.history, &plan, arrays)?;
        let identity = Identity {
            run: facts.run.clone(),
            dataset_sha256: facts.dataset_sha256.clone(),
        };
        Ok(Self {
            rounds: facts.round,
            history,
            last: Last {
                step: plan.step(),
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
        (self.plan.step(), self.plan.total_steps())
    }

    /// How long a worker may be silent.
    #[must_use]
    pub fn lease(&self) -> Duration {
        self.rules.lease
    }

    /// The run's state, if it is between two steps.
    pub(super) fn snapshot(&self) -> Option<Box<Snapshot>> {
        let mut arrays = Arrays::default();
        let plan = self.plan.save(&mut arrays)?;
        let facts = CheckpointMeta {
            run: self.identity.run.clone(),
            spec: self.plan.spec().to_text(),
            dataset_sha256: self.identity.dataset_sha256.clone(),
            round: self.rounds,
            history: self.history.save(plan.step, &mut arrays),
            plan,
        };
        Some(Box::new(Snapshot { facts, arrays }))
    }

    /// The present iterate, if the validation split was never predicted as well before.
    #[must_use]
    pub fn best_here(&self) -> Option<Best> {
        self.plan.best_here()
    }

    /// Splits that are to be evaluated before the next step.
    #[must_use]
    pub fn due(&self) -> Vec<Split> {
        self.plan.due()
    }

    /// A checkpoint, if a step has been completed since the last one and the rules want it. The last step
    /// always gets one: a run that is complete can be gone on with.
    pub(super) fn checkpoint_if_due(&mut self, commands: &mut Vec<Command>) {
        let step = self.plan.step();
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
        let complete = step == self.plan.total_steps();
        if by_steps || complete || interval.is_some_and(|interval| waited >= interval) {
            self.checkpoint(commands);
        }
    }

    /// A checkpoint now, if the run is between two steps.
    pub(super) fn checkpoint(&mut self, commands: &mut Vec<Command>) {
        if let Some(snapshot) = self.snapshot() {
            self.last = Last {
                step: snapshot.facts.plan.step,
                time: self.now,
            };
            commands.push(Command::Checkpoint(snapshot));
        }
    }
}

/// The run to go on with: the checkpoint's, but for its length.
fn spec_of(
    facts: &CheckpointMeta,
    config: Config,
    dataset: &str,
) -> Result<RunSpec, CheckpointError> {
    let unsound = |error| CheckpointError::damaged(format!("its run: {error}"));
    let theirs = RunSpec::from_text(&facts.spec).map_err(unsound)?;
    let mut alike = config.clone();
    alike.schedule.epochs = theirs.config().schedule.epochs;
    if let Some((key, theirs, ours)) = theirs.config().difference(&alike) {
        return Err(CheckpointError::OtherConfig { key, theirs, ours });
    }
    if facts.dataset_sha256 != dataset {
        let short = |hash: &str| hash.chars().take(12).collect();
        return Err(CheckpointError::OtherDataset {
            theirs: short(&facts.dataset_sha256),
            ours: short(dataset),
        });
    }
    RunSpec::new(config, theirs.dataset().clone()).map_err(unsound)
}
