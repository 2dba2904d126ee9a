//! Workers that come, go, fail or fall silent.

use super::state::State;
use super::{Command, Training, TrainingError};
use crate::membership::WorkerId;
use crate::report::RunEvent;
use std::time::Duration;

/// Time between two reports of workers that stay the same.
const TELLING: Duration = Duration::from_secs(1);

impl Training {
    pub(super) fn joined(
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
    pub(super) fn go_on(&mut self, commands: &mut Vec<Command>) -> Result<(), TrainingError> {
        let enough = self.members.len() >= self.rules.needed(self.state.has_started());
        match &mut self.state {
            State::Gathering if enough => return self.next_round(None, commands),
            State::Working { short_since, .. } if enough => {
                *short_since = None;
                self.hand_out(commands);
            }
            State::Working { short_since, .. } => {
                short_since.get_or_insert(self.now);
            }
            State::Gathering | State::Ended => {}
        }
        Ok(())
    }

    pub(super) fn leaving(
        &mut self,
        worker: WorkerId,
        commands: &mut Vec<Command>,
    ) -> Result<(), TrainingError> {
        self.members.hear(worker, self.now);
        self.members.begin_leaving(worker);
        self.release_who_is_free(commands)
    }

    /// Lets workers go that want to and have nothing in hand.
    pub(super) fn release_who_is_free(
        &mut self,
        commands: &mut Vec<Command>,
    ) -> Result<(), TrainingError> {
        for worker in self.members.leaving() {
            if self.state.has_ended() {
                break;
            }
            let busy = self.state.round().is_some_and(|round| round.owes(worker));
            if !busy && self.members.leave(worker) {
                commands.push(Command::Release { worker });
                self.gone(worker, "it left".to_owned(), commands)?;
            }
        }
        Ok(())
    }

    /// Closes a worker's connection and does without it.
    pub(super) fn expel(
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

    pub(super) fn lost(
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
        if let Some(round) = self.state.round_mut() {
            round.take_back(worker);
        }
        if self.members.is_empty() && self.plan.is_interrupted() {
            self.end_with_what_there_is(commands);
            return Ok(());
        }
        self.check_abandoned(commands)?;
        self.go_on(commands)
    }

    /// Ends a run whose last worker is gone for good, after a checkpoint to go on from.
    pub(super) fn check_abandoned(
        &mut self,
        commands: &mut Vec<Command>,
    ) -> Result<(), TrainingError> {
        let Some(reason) = self.abandoned.take_if(|_| self.members.is_empty()) else {
            return Ok(());
        };
        self.checkpoint(commands);
        Err(TrainingError::Abandoned { reason })
    }

    /// What fails on one worker may be that worker's own trouble. What fails on two in one round fails
    /// everywhere.
    pub(super) fn failed(
        &mut self,
        worker: WorkerId,
        message: String,
        commands: &mut Vec<Command>,
    ) -> Result<(), TrainingError> {
        let twice = self.failed_round == Some(self.rounds);
        let alone = self.members.idle(|other| other == worker).is_none();
        if twice || alone {
            return Err(TrainingError::Worker { worker, message });
        }
        self.failed_round = Some(self.rounds);
        let reason = format!("it could not do its work: {message}");
        self.expel(worker, reason, false, commands)
    }

    /// Drops workers that have been silent for too long.
    pub(super) fn expel_silent(
        &mut self,
        commands: &mut Vec<Command>,
    ) -> Result<(), TrainingError> {
        for worker in self.members.expired(self.rules.lease, self.now) {
            if self.state.has_ended() {
                break;
            }
            let seconds = self.rules.lease.as_secs_f64();
            let reason = format!("nothing was heard of it for {seconds} s");
            self.expel(worker, reason, true, commands)?;
        }
        Ok(())
    }

    /// Tells of the workers, if the last time was long ago or the workers are others now.
    pub(super) fn tell_of_workers(&mut self, commands: &mut Vec<Command>) {
        let is_membership =
            |command: &Command| matches!(command, Command::Report(RunEvent::Membership { .. }));
        let changed = commands.iter().any(is_membership);
        if self.state.has_ended() || !(changed || self.told + TELLING <= self.now) {
            return;
        }
        self.told = self.now;
        commands.push(Command::Report(RunEvent::Workers {
            wanted: self.rules.needed(self.state.has_started()),
            lease_seconds: self.rules.lease.as_secs_f64(),
            present: self.members.statuses(self.now),
        }));
    }

    fn membership_report(&self, change: String) -> Command {
        Command::Report(RunEvent::Membership {
            workers: self.members.len(),
            change,
        })
    }
}
