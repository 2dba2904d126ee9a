//! The training run as a state machine: events in, commands out. No sockets, no clock, no threads.
//!
//! States, all visible in the fields of [`Training`]:
//! * **gathering**: fewer workers than the run waits for have joined; no round is out.
//! * **running**: a round is out. Lost workers' shards are handed to the others, and what takes too long to an idle one as well.
//! * **short-handed**: fewer workers than the minimum are left; nothing is handed out until more join or the grace period is over.
//! * **ended**: with an [`Outcome`] or a [`TrainingError`]; every later event is ignored.
//!
//! Time is an argument: `now` is any monotonic time since the run's beginning. [`Training::deadline`] says when it must be called again if
//! nothing happens until then.

mod checkpoints;
mod hand_out;

pub use self::checkpoints::Identity;

use self::checkpoints::Last;
use crate::checkpoint::Snapshot;
use crate::history::PastRound;
use crate::membership::{Membership, WorkerId};
use crate::pace::Pace;
use crate::plan::{Outcome, Plan};
use crate::report::Report;
use crate::round::{Receipt, Round};
use crate::rules::Rules;
use crate::run_plan::PlanError;
use lagrange_core::finite::all_finite;
use lagrange_protocol::{Job, Payload, Reply, WorkHeader};
use std::time::Duration;

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// A worker completed its handshake.
    Joined {
        /// The worker.
        worker: WorkerId,
        /// Threads it computes on.
        threads: u32,
    },
    /// A worker gave a sign of life.
    Heard {
        /// The worker.
        worker: WorkerId,
    },
    /// A worker answered.
    Replied {
        /// The worker.
        worker: WorkerId,
        /// Its answer.
        reply: Reply,
    },
    /// A worker wants to go once it has answered what it has in hand.
    Leaving {
        /// The worker.
        worker: WorkerId,
    },
    /// A worker's connection ended.
    Lost {
        /// The worker.
        worker: WorkerId,
        /// How.
        reason: String,
    },
    /// A worker could not do its work.
    Failed {
        /// The worker.
        worker: WorkerId,
        /// Its words.
        message: String,
    },
    /// Nothing but time has passed.
    Tick,
    /// The user asks to stop: end after this round, with what there is.
    Interrupted,
    /// No worker that goes will be replaced: end once the last one is gone.
    Abandoned {
        /// Why not.
        reason: String,
    },
}

/// What is to be done about it.
#[derive(Debug)]
pub enum Command {
    /// Send work to a worker.
    Send {
        /// The worker.
        worker: WorkerId,
        /// The work.
        header: WorkHeader,
        /// Its payload.
        payload: Payload,
        /// Values that the reply's payload must have.
        reply_floats: usize,
    },
    /// Close a worker's connection with these words.
    Drop {
        /// The worker.
        worker: WorkerId,
        /// Why.
        reason: String,
        /// Whether it may come back: it was not at fault.
        may_return: bool,
    },
    /// Tell a worker that wanted to go that it may.
    Release {
        /// The worker.
        worker: WorkerId,
    },
    /// Tell the user.
    Report(Report),
    /// Write the run's state down.
    Checkpoint(Box<Snapshot>),
    /// The run is over.
    End(Result<Box<Outcome>, TrainingError>),
}

/// Why a run ended without a result.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TrainingError {
    /// The mathematics or the configuration.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Work that fails everywhere.
    #[error("worker {worker} could not do its work: {message}")]
    Worker {
        /// The worker.
        worker: WorkerId,
        /// Its words.
        message: String,
    },
    /// Nobody left.
    #[error("all workers are gone (the last one: {last}); start workers again and resume the run")]
    AllWorkersLost {
        /// How the last one went.
        last: String,
    },
    /// Fewer left than wanted.
    #[error(
        "{present} workers are left of the {minimum} that --min-workers asks for (the last one: {last}); start more and resume the run"
    )]
    ShortHanded {
        /// Workers left.
        present: usize,
        /// Workers needed.
        minimum: usize,
        /// How the last one went.
        last: String,
    },
    /// Nobody left, and nobody to come.
    #[error("{reason}")]
    Abandoned {
        /// Why nobody will come.
        reason: String,
    },
    /// Nobody came.
    #[error(
        "{present} of {wanted} workers joined in time; start more with `lagrange worker --connect`, or lower --workers"
    )]
    TooFewWorkers {
        /// Workers that joined.
        present: usize,
        /// Workers waited for.
        wanted: usize,
    },
    /// Asked to stop before anything was computed.
    #[error("interrupted before the first step; nothing to save")]
    InterruptedEarly,
}

/// A reply that holds what are no numbers, and who sent it.
#[derive(Debug)]
struct Doubt {
    worker: WorkerId,
    reply: Reply,
    /// How often these shards have been in doubt.
    times: u32,
}

/// Shards that are in doubt more often than this in one round are taken as they come: training itself will judge.
const MOST_DOUBTS: u32 = 8;

/// A run and its workers.
#[derive(Debug)]
pub struct Training {
    identity: Identity,
    plan: Plan,
    rules: Rules,
    members: Membership,
    now: Duration,
    started: bool,
    /// Since when there are too few workers.
    short_since: Option<Duration>,
    round_number: u64,
    round: Option<(Job, Round)>,
    /// Shards of the round in progress that nobody has.
    unassigned: Vec<u32>,
    pace: Pace,
    /// Of a stateful schedule: all rounds so far, and who has advanced each shard through them.
    history: Vec<PastRound>,
    holders: Vec<Option<WorkerId>>,
    /// The round in which a worker has failed already: what fails twice fails everywhere.
    failed_round: Option<u64>,
    /// Replies of this round that hold what are no numbers.
    doubted: Vec<Doubt>,
    last: Last,
    last_loss: String,
    /// Why no worker that goes will be replaced.
    abandoned: Option<String>,
    ended: bool,
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
            started: false,
            short_since: Some(Duration::ZERO),
            round_number: 0,
            round: None,
            unassigned: Vec::new(),
            pace: Pace::default(),
            history: Vec::new(),
            holders: vec![None; shards],
            failed_round: None,
            doubted: Vec::new(),
            last: Last::default(),
            last_loss: String::new(),
            abandoned: None,
            ended: false,
        }
    }

    /// Takes one event; returns what is to be done, in order.
    pub fn handle(&mut self, now: Duration, event: Event) -> Vec<Command> {
        let mut commands = Vec::new();
        if self.ended {
            return commands;
        }
        // Whoever was not listening, because it was solving or asleep, cannot say who was silent.
        if now.saturating_sub(self.now) > self.rules.lease / 2 {
            self.members.hear_all(now);
        }
        self.now = self.now.max(now);
        let result = match event {
            Event::Joined { worker, threads } => self.joined(worker, threads, &mut commands),
            Event::Heard { worker } => {
                self.members.hear(worker, self.now);
                Ok(())
            }
            Event::Replied { worker, reply } => self.replied(worker, reply, &mut commands),
            Event::Leaving { worker } => self.leaving(worker, &mut commands),
            Event::Lost { worker, reason } => self.lost(worker, reason, &mut commands),
            Event::Failed { worker, message } => self.failed(worker, message, &mut commands),
            Event::Tick => self.tick(&mut commands),
            Event::Interrupted => self.interrupted(&mut commands),
            Event::Abandoned { reason } => {
                self.abandoned = Some(reason);
                self.check_abandoned(&mut commands)
            }
        };
        if let Err(error) = result {
            self.end(Err(error), &mut commands);
        }
        commands
    }

    /// When to call [`Training::handle`] with a [`Event::Tick`] at the latest.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        let patience = self.rules.patience(self.started);
        let short = self.short_since.map(|since| since.saturating_add(patience));
        let expiry = self.members.next_expiry(self.rules.lease);
        // Often enough to notice one's own absence.
        let watch = self.now.saturating_add(self.rules.lease / 4);
        let all = [Some(watch), short, expiry, self.next_late()];
        all.into_iter().flatten().min().unwrap_or(watch)
    }

    /// Does what can be done while workers are busy. Whether and when it is called makes no difference but to time.
    pub fn prepare(&mut self) {
        self.plan.prepare();
    }

    fn joined(
        &mut self,
        worker: WorkerId,
        threads: u32,
        commands: &mut Vec<Command>,
    ) -> Result<(), TrainingError> {
        self.members.join(worker, threads, self.now);
        commands.push(self.membership_report(format!("worker {worker} joined")));
        self.go_on(commands)
    }

    /// Begins or goes on, if there are workers enough.
    fn go_on(&mut self, commands: &mut Vec<Command>) -> Result<(), TrainingError> {
        if self.members.len() < self.rules.needed(self.started) {
            self.short_since.get_or_insert(self.now);
            return Ok(());
        }
        self.short_since = None;
        if !self.started {
            self.started = true;
            return self.next_round(commands);
        }
        self.hand_out(commands);
        Ok(())
    }

    fn replied(
        &mut self,
        worker: WorkerId,
        reply: Reply,
        commands: &mut Vec<Command>,
    ) -> Result<(), TrainingError> {
        self.members.hear(worker, self.now);
        let current = (self.identity.run.as_str(), self.round_number);
        if (reply.header.run.as_str(), reply.header.round) != current {
            return Ok(());
        }
        let sound = is_sound(&reply);
        if !sound && self.doubt(worker, &reply, commands) {
            return Ok(());
        }
        let Some((job, round)) = &mut self.round else {
            return Ok(());
        };
        let shards = reply.header.shards.clone();
        match round.accept(worker, reply) {
            Receipt::Stale => {}
            Receipt::Wrong(fault) => {
                let reason = format!("its reply is wrong: {fault}");
                return self.expel(worker, reason, false, commands);
            }
            Receipt::Counted {
                shards: count,
                since,
            } => {
                self.pace
                    .record(*job, count, self.now.saturating_sub(since));
                self.settle_doubts((worker, &shards), sound, commands)?;
            }
        }
        self.release_who_is_free(commands)?;
        match &self.round {
            Some((_, round)) if round.is_complete() => self.complete_round(commands),
            _ => Ok(()),
        }
    }

    /// Sums that are no numbers: training may have diverged, or this worker is at fault. The shards are computed again, elsewhere if
    /// there is somebody else; what comes out with the same bits twice is true. Tells whether the reply is put aside.
    fn doubt(&mut self, worker: WorkerId, reply: &Reply, commands: &mut Vec<Command>) -> bool {
        let shards = &reply.header.shards;
        let known = self
            .doubted
            .iter_mut()
            .find(|doubt| doubt.reply.header.shards == *shards);
        let times = known.as_ref().map_or(0, |doubt| doubt.times);
        let confirmed = known
            .as_ref()
            .is_some_and(|doubt| same_bits(&doubt.reply, reply));
        let Some((_, round)) = &mut self.round else {
            return false;
        };
        if confirmed
            || times == MOST_DOUBTS
            || self.plan.is_stateful()
            || !round.withdraw(worker, reply)
        {
            return false;
        }
        let doubt = Doubt {
            worker,
            reply: reply.clone(),
            times: times + 1,
        };
        match known {
            Some(known) => *known = doubt,
            None => self.doubted.push(doubt),
        }
        let other = self.members.idle(|other| other == worker);
        self.send_to(other.unwrap_or(worker), shards.clone(), commands);
        true
    }

    /// Shards whose sums were in doubt are answered: were they numbers this time, another worker that said otherwise was at fault.
    fn settle_doubts(
        &mut self,
        (worker, shards): (WorkerId, &[u32]),
        sound: bool,
        commands: &mut Vec<Command>,
    ) -> Result<(), TrainingError> {
        let place = self
            .doubted
            .iter()
            .position(|doubt| doubt.reply.header.shards == shards);
        let Some(doubt) = place.map(|place| self.doubted.swap_remove(place)) else {
            return Ok(());
        };
        if sound && doubt.worker != worker {
            let reason = "its sums were no numbers where another worker's are; check its memory";
            return self.expel(doubt.worker, reason.to_owned(), false, commands);
        }
        Ok(())
    }

    fn leaving(
        &mut self,
        worker: WorkerId,
        commands: &mut Vec<Command>,
    ) -> Result<(), TrainingError> {
        self.members.hear(worker, self.now);
        self.members.begin_leaving(worker);
        self.release_who_is_free(commands)
    }

    /// Lets workers go that want to and have nothing in hand.
    fn release_who_is_free(&mut self, commands: &mut Vec<Command>) -> Result<(), TrainingError> {
        for worker in self.members.leaving() {
            let busy = matches!(&self.round, Some((_, round)) if round.owes(worker));
            if !busy && self.members.leave(worker) {
                commands.push(Command::Release { worker });
                self.gone(worker, "it left".to_owned(), commands)?;
            }
        }
        Ok(())
    }

    /// Closes a worker's connection and does without it.
    fn expel(
        &mut self,
        worker: WorkerId,
        reason: String,
        may_return: bool,
        commands: &mut Vec<Command>,
    ) -> Result<(), TrainingError> {
        commands.push(Command::Drop {
            worker,
            reason: reason.clone(),
            may_return,
        });
        self.lost(worker, reason, commands)
    }

    fn lost(
        &mut self,
        worker: WorkerId,
        reason: String,
        commands: &mut Vec<Command>,
    ) -> Result<(), TrainingError> {
        if !self.members.leave(worker) {
            return Ok(());
        }
        self.gone(worker, reason, commands)
    }

    /// Does without a worker that is a member no more.
    fn gone(
        &mut self,
        worker: WorkerId,
        reason: String,
        commands: &mut Vec<Command>,
    ) -> Result<(), TrainingError> {
        commands.push(self.membership_report(format!("worker {worker} left: {reason}")));
        self.last_loss = reason;
        for holder in &mut self.holders {
            *holder = holder.filter(|&holder| holder != worker);
        }
        if let Some((_, round)) = &mut self.round {
            self.unassigned.extend(round.take_back(worker));
            self.unassigned.sort_unstable();
        }
        if self.members.is_empty() && self.plan.is_interrupted() {
            self.end_with_what_there_is(commands);
            return Ok(());
        }
        self.check_abandoned(commands)?;
        self.go_on(commands)
    }

    /// Ends a run whose last worker is gone for good, after a checkpoint to go on from.
    fn check_abandoned(&mut self, commands: &mut Vec<Command>) -> Result<(), TrainingError> {
        let Some(reason) = self.abandoned.take_if(|_| self.members.is_empty()) else {
            return Ok(());
        };
        self.checkpoint(commands);
        Err(TrainingError::Abandoned { reason })
    }

    /// What fails on one worker may be that worker's own trouble. What fails on two in one round fails everywhere.
    fn failed(
        &mut self,
        worker: WorkerId,
        message: String,
        commands: &mut Vec<Command>,
    ) -> Result<(), TrainingError> {
        let twice = self.failed_round == Some(self.round_number);
        let alone = self.members.idle(|other| other == worker).is_none();
        if twice || alone {
            return Err(TrainingError::Worker { worker, message });
        }
        self.failed_round = Some(self.round_number);
        let reason = format!("it could not do its work: {message}");
        self.expel(worker, reason, false, commands)
    }

    /// What only time brings about.
    fn tick(&mut self, commands: &mut Vec<Command>) -> Result<(), TrainingError> {
        let patience = self.rules.patience(self.started);
        let since = self.short_since;
        if since.is_some_and(|since| self.now.saturating_sub(since) >= patience) {
            return Err(self.gives_up());
        }
        for worker in self.members.expired(self.rules.lease, self.now) {
            let seconds = self.rules.lease.as_secs_f64();
            let reason = format!("nothing was heard of it for {seconds} s");
            self.expel(worker, reason, true, commands)?;
        }
        self.speculate(commands);
        Ok(())
    }

    fn gives_up(&self) -> TrainingError {
        let present = self.members.len();
        let minimum = self.rules.needed(self.started);
        let last = self.last_loss.clone();
        match (self.started, present) {
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
        if !self.started || self.plan.step == 0 {
            return Err(TrainingError::InterruptedEarly);
        }
        self.checkpoint(commands);
        self.plan.interrupt();
        if self.members.is_empty() {
            self.end_with_what_there_is(commands);
        }
        Ok(())
    }

    /// An interrupted run does not wait for workers to evaluate it.
    fn end_with_what_there_is(&mut self, commands: &mut Vec<Command>) {
        let outcome = Box::new(self.plan.outcome());
        self.end(Ok(outcome), commands);
    }

    fn complete_round(&mut self, commands: &mut Vec<Command>) -> Result<(), TrainingError> {
        self.doubted.clear();
        if let Some((job, round)) = self.round.take()
            && let Some(total) = round.into_total()
        {
            let report = self.plan.absorb(job, &total)?;
            commands.extend(report.map(Command::Report));
            self.checkpoint_if_due(commands);
        }
        self.next_round(commands)
    }

    fn membership_report(&self, change: String) -> Command {
        Command::Report(Report::Membership {
            workers: self.members.len(),
            change,
        })
    }

    fn end(&mut self, result: Result<Box<Outcome>, TrainingError>, commands: &mut Vec<Command>) {
        self.ended = true;
        commands.push(Command::End(result));
    }
}

/// Whether a reply holds numbers only.
fn is_sound(reply: &Reply) -> bool {
    let mut scalars = reply.header.nodes.iter().flat_map(|node| &node.scalars);
    all_finite(&reply.payload) && scalars.all(|scalar| scalar.is_finite())
}

fn same_bits(one: &Reply, other: &Reply) -> bool {
    let values = |reply: &Reply| {
        reply
            .payload
            .iter()
            .map(|v| v.to_bits())
            .collect::<Vec<_>>()
    };
    let scalars = |reply: &Reply| {
        let scalars = reply.header.nodes.iter().flat_map(|node| &node.scalars);
        scalars.map(|v| v.to_bits()).collect::<Vec<_>>()
    };
    values(one) == values(other) && scalars(one) == scalars(other)
}
