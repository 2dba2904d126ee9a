//! The training run as a state machine: events in, commands out. No sockets, no clock, no threads.
//!
//! States, all visible in the fields of [`Training`]:
//! * **gathering**: fewer workers than the run waits for have joined; no round is out.
//! * **running**: a round is out. Lost workers' shards are handed to the others; with nobody left the run is
//!   **orphaned** until somebody joins or [`Event::GraceOver`] ends it.
//! * **ended**: with an [`Outcome`] or a [`TrainingError`]; every later event is ignored.

use crate::membership::{Membership, WorkerId};
use crate::plan::{Outcome, Plan};
use crate::report::Report;
use crate::round::{Receipt, Round};
use crate::run_plan::PlanError;
use lagrange_core::tree::cover;
use lagrange_protocol::{Job, Payload, Reply, WorkHeader};

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
    /// A worker answered.
    Replied {
        /// The worker.
        worker: WorkerId,
        /// Its answer.
        reply: Reply,
    },
    /// A worker's connection ended.
    Lost {
        /// The worker.
        worker: WorkerId,
        /// How.
        reason: String,
    },
    /// A worker could not do its work; it would fail everywhere.
    Failed {
        /// The worker.
        worker: WorkerId,
        /// Its words.
        message: String,
    },
    /// The time for which a run waits without any worker is over.
    GraceOver,
    /// The user asks to stop: end after this round, with what there is.
    Interrupted,
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
    },
    /// Tell the user.
    Report(Report),
    /// Nobody is left: start the grace period.
    StartGrace,
    /// Somebody is there again: the grace period is void.
    CancelGrace,
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
    #[error("all workers are gone (the last one: {last}); start workers again and repeat the run")]
    AllWorkersLost {
        /// How the last one went.
        last: String,
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

/// A run and its workers.
#[derive(Debug)]
pub struct Training {
    run: String,
    plan: Plan,
    members: Membership,
    /// Workers the run waits for before its first round.
    wanted: usize,
    started: bool,
    round_number: u64,
    round: Option<(Job, Round)>,
    /// Shards of the round in progress that nobody has.
    unassigned: Vec<u32>,
    last_loss: String,
    ended: bool,
}

impl Training {
    /// A run named `run` that starts when `wanted` workers have joined.
    #[must_use]
    pub fn new(run: String, plan: Plan, wanted: usize) -> Self {
        Self {
            run,
            plan,
            members: Membership::default(),
            wanted: wanted.max(1),
            started: false,
            round_number: 0,
            round: None,
            unassigned: Vec::new(),
            last_loss: String::new(),
            ended: false,
        }
    }

    /// Takes one event; returns what is to be done, in order.
    pub fn handle(&mut self, event: Event) -> Vec<Command> {
        let mut commands = Vec::new();
        if self.ended {
            return commands;
        }
        let result = match event {
            Event::Joined { worker, threads } => self.joined(worker, threads, &mut commands),
            Event::Replied { worker, reply } => self.replied(worker, reply, &mut commands),
            Event::Lost { worker, reason } => self.lost(worker, reason, &mut commands),
            Event::Failed { worker, message } => Err(TrainingError::Worker { worker, message }),
            Event::GraceOver => self.grace_over(),
            Event::Interrupted => self.interrupted(&mut commands),
        };
        match result {
            Ok(()) => {}
            Err(error) => self.end(Err(error), &mut commands),
        }
        commands
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
        if self.started && self.plan.is_stateful() {
            let reason = "the classic schedule keeps z and a on its workers: nobody can join once it has begun";
            commands.push(Command::Drop {
                worker,
                reason: reason.to_owned(),
            });
            return Ok(());
        }
        self.members.join(worker, threads);
        commands.push(self.membership_report(format!("worker {worker} joined")));
        if self.members.len() < self.wanted && !self.started {
            return Ok(());
        }
        commands.push(Command::CancelGrace);
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
        let current = (self.run.as_str(), self.round_number);
        let Some((_, round)) = &mut self.round else {
            return Ok(());
        };
        if (reply.header.run.as_str(), reply.header.round) != current {
            return Ok(());
        }
        match round.accept(worker, reply) {
            Receipt::Stale => Ok(()),
            Receipt::Wrong(fault) => {
                let reason = format!("its reply is wrong: {fault}");
                commands.push(Command::Drop {
                    worker,
                    reason: reason.clone(),
                });
                self.lost(worker, reason, commands)
            }
            Receipt::Counted if round.is_complete() => self.complete_round(commands),
            Receipt::Counted => Ok(()),
        }
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
        commands.push(self.membership_report(format!("worker {worker} left: {reason}")));
        self.last_loss = reason;
        if let Some((_, round)) = &mut self.round {
            self.unassigned.extend(round.take_back(worker));
            self.unassigned.sort_unstable();
        }
        if self.members.is_empty() && self.plan.is_interrupted() {
            self.end_with_what_there_is(commands);
        } else if self.members.is_empty() && self.started {
            commands.push(Command::StartGrace);
        } else {
            self.hand_out(commands);
        }
        Ok(())
    }

    fn grace_over(&mut self) -> Result<(), TrainingError> {
        if !self.started {
            return Err(TrainingError::TooFewWorkers {
                present: self.members.len(),
                wanted: self.wanted,
            });
        }
        if self.members.is_empty() {
            return Err(TrainingError::AllWorkersLost {
                last: self.last_loss.clone(),
            });
        }
        Ok(())
    }

    fn interrupted(&mut self, commands: &mut Vec<Command>) -> Result<(), TrainingError> {
        if !self.started {
            return Err(TrainingError::InterruptedEarly);
        }
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
        if let Some((job, round)) = self.round.take()
            && let Some(total) = round.into_total()
        {
            let report = self.plan.absorb(job, &total)?;
            commands.extend(report.map(Command::Report));
        }
        self.next_round(commands)
    }

    fn next_round(&mut self, commands: &mut Vec<Command>) -> Result<(), TrainingError> {
        let Some((job, shape)) = self.plan.next_job()? else {
            self.end_with_what_there_is(commands);
            return Ok(());
        };
        let shards = self.plan.shards();
        self.round_number += 1;
        self.round = Some((job, Round::new(shape, shards)));
        self.unassigned = (0..shards).collect();
        self.hand_out(commands);
        Ok(())
    }

    /// Deals the shards that nobody has to the workers there are.
    fn hand_out(&mut self, commands: &mut Vec<Command>) {
        let Some((job, round)) = &mut self.round else {
            return;
        };
        if self.members.is_empty() || self.unassigned.is_empty() {
            return;
        }
        let shared = self.plan.shared_inputs(*job);
        for (worker, shards) in self.members.deal(&self.unassigned) {
            let mut payload = shared.clone();
            payload.extend(&self.plan.shard_inputs(*job, &shards));
            let header = WorkHeader {
                run: self.run.clone(),
                round: self.round_number,
                attempt: round.assign(worker, shards.clone()),
                job: *job,
                shards,
                payload_floats: payload.floats() as u64,
            };
            let nodes = cover(&header.shards, self.plan.shards()).len();
            commands.push(Command::Send {
                worker,
                reply_floats: round.shape().reply_floats(nodes, header.shards.len()),
                header,
                payload,
            });
        }
        self.unassigned.clear();
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
