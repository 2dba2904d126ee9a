//! The training run as a state machine: events in, commands out. No sockets, no clock, no threads.
//!
//! Time is an argument: `now` is any monotonic time since the run's beginning. [`Training::deadline`] says
//! when it must be called again if nothing happens until then.

mod checkpoints;
mod hand_out;
mod invariants;
mod members;
mod messages;
mod replies;
mod state;

pub use self::checkpoints::Identity;
pub use self::messages::{Command, Event, TrainingError};

use self::checkpoints::Last;
use self::state::State;
use crate::history::History;
use crate::membership::{Membership, WorkerId};
use crate::pace::Pace;
use crate::plan::{Outcome, Plan};
use crate::rules::Rules;
use std::time::Duration;

/// A run and its workers.
///
/// ```
/// use lagrange_coordinator::{Command, Event, Identity, Plan, Rules, Training};
/// use lagrange_protocol::{Config, DatasetFacts, RunSpec};
/// use std::time::Duration;
///
/// let plan = Plan::new(RunSpec::new(Config::default(), DatasetFacts::mnist())?);
/// let mut training = Training::new(Identity::default(), plan, Rules::default());
/// let joined = Event::Joined { worker: 1, threads: 2 };
/// let commands = training.handle(Duration::ZERO, joined);
/// // A worker that is all alone gets all 16 shards.
/// assert!(commands.iter().any(|command| matches!(
///     command,
///     Command::Send { worker: 1, header, .. } if header.shards.len() == 16
/// )));
/// # Ok::<(), lagrange_protocol::SpecError>(())
/// ```
#[derive(Debug)]
pub struct Training {
    identity: Identity,
    plan: Plan,
    rules: Rules,
    members: Membership,
    now: Duration,
    state: State,
    /// Rounds begun, those before a resumption too.
    rounds: u64,
    pace: Pace,
    /// Of a stateful schedule: all rounds so far, and who has advanced each shard through them.
    history: History,
    holders: Vec<Option<WorkerId>>,
    /// The round in which a worker has failed: what fails twice in a round fails everywhere.
    failed_round: Option<u64>,
    last: Last,
    /// How the last worker went that is gone.
    last_loss: String,
    /// Why no worker that goes will be replaced.
    abandoned: Option<String>,
    /// When the workers were told of last.
    told: Duration,
}

impl Training {
    /// A run by `rules`, which begins to wait for its workers at time zero.
    #[must_use]
    pub fn new(identity: Identity, plan: Plan, rules: Rules) -> Self {
        let shards = plan.shards() as usize;
        Self {
            identity,
            plan,
            rules,
            members: Membership::default(),
            now: Duration::ZERO,
            state: State::Gathering,
            rounds: 0,
            pace: Pace::default(),
            history: History::default(),
            holders: vec![None; shards],
            failed_round: None,
            last: Last::default(),
            last_loss: String::new(),
            abandoned: None,
            told: Duration::ZERO,
        }
    }

    /// Takes one event; returns what is to be done, in order. The end of the run is the last command.
    pub fn handle(&mut self, now: Duration, event: Event) -> Vec<Command> {
        let mut commands = Vec::new();
        if self.state.has_ended() {
            return commands;
        }
        // If this process was busy or stopped, it may have missed heartbeats: every lease is renewed before
        // judging.
        if now.saturating_sub(self.now) > self.rules.lease / 2 {
            self.members.hear_all(now);
        }
        self.now = self.now.max(now);
        if let Err(error) = self.take(event, &mut commands) {
            self.end(Err(error), &mut commands);
        }
        self.tell_of_workers(&mut commands);
        if cfg!(debug_assertions) {
            self.assert_invariants();
            self.assert_end(&commands);
        }
        commands
    }

    fn take(&mut self, event: Event, commands: &mut Vec<Command>) -> Result<(), TrainingError> {
        match event {
            Event::Joined { worker, threads } => self.joined(worker, threads, commands),
            Event::Heard { worker } => {
                self.members.hear(worker, self.now);
                Ok(())
            }
            Event::Replied { worker, reply } => self.replied(worker, reply, commands),
            Event::Leaving { worker } => self.leaving(worker, commands),
            Event::Lost { worker, reason } => self.lost(worker, reason, commands),
            Event::Failed { worker, message } => self.failed(worker, message, commands),
            Event::Tick => self.tick(commands),
            Event::Interrupted => self.interrupted(commands),
            Event::Abandoned { reason } => {
                self.abandoned = Some(reason);
                self.check_abandoned(commands)
            }
        }
    }

    /// When to call [`Training::handle`] with a [`Event::Tick`] at the latest.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        let expiry = self.members.next_expiry(self.rules.lease);
        // Often enough to notice one's own absence.
        let watch = self.now.saturating_add(self.rules.lease / 4);
        let all = [Some(watch), self.gives_up_at(), expiry, self.next_late()];
        all.into_iter().flatten().min().unwrap_or(watch)
    }

    /// When the run ends for want of workers, if there are too few.
    fn gives_up_at(&self) -> Option<Duration> {
        let patience = self.rules.patience(self.state.has_started());
        let since = self.state.short_since();
        since.map(|since| since.saturating_add(patience))
    }

    /// Does what can be done while workers are busy. Whether and when it is called makes no difference but
    /// to time.
    pub fn prepare(&mut self) {
        self.plan.prepare();
    }

    /// What only time brings about.
    fn tick(&mut self, commands: &mut Vec<Command>) -> Result<(), TrainingError> {
        if self.gives_up_at().is_some_and(|end| end <= self.now) {
            return Err(self.too_few());
        }
        self.expel_silent(commands)?;
        self.speculate(commands);
        Ok(())
    }

    fn too_few(&self) -> TrainingError {
        let started = self.state.has_started();
        let present = self.members.len();
        let minimum = self.rules.needed(started);
        let last = self.last_loss.clone();
        match (started, present) {
            (false, present) => TrainingError::TooFewWorkers {
                present,
                wanted: minimum,
            },
            (true, 0) => TrainingError::AllWorkersLost { last },
            (true, present) => TrainingError::ShortHanded {
                present,
                minimum,
                last,
            },
        }
    }

    fn interrupted(&mut self, commands: &mut Vec<Command>) -> Result<(), TrainingError> {
        if !self.state.has_started() || self.plan.step() == 0 {
            return Err(TrainingError::InterruptedEarly);
        }
        self.checkpoint(commands);
        self.plan.interrupt();
        if self.members.is_empty() {
            self.end_with_what_there_is(commands);
        }
        Ok(())
    }

    /// Ends the run with what there is: an interrupted run does not wait for workers to evaluate it.
    fn end_with_what_there_is(&mut self, commands: &mut Vec<Command>) {
        let outcome = Box::new(self.plan.outcome());
        self.end(Ok(outcome), commands);
    }

    fn end(&mut self, result: Result<Box<Outcome>, TrainingError>, commands: &mut Vec<Command>) {
        self.state = State::Ended;
        commands.push(Command::End(result));
    }
}
