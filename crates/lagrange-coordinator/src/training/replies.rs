//! What replies bring about: rounds are completed, and whoever sends what cannot be is dropped.

use super::state::State;
use super::{Command, Training, TrainingError};
use crate::membership::WorkerId;
use crate::plan::PlanError;
use crate::report::RunEvent;
use crate::round::Receipt;
use lagrange_data::Split;
use lagrange_protocol::{Job, Reply};

impl Training {
    pub(super) fn replied(
        &mut self,
        worker: WorkerId,
        reply: Reply,
        commands: &mut Vec<Command>,
    ) -> Result<(), TrainingError> {
        self.members.hear(worker, self.now);
        let Some(round) = self.state.round_mut() else {
            return Ok(());
        };
        let task = *round.task();
        let current = (self.identity.run.as_str(), task.number);
        if (reply.header.run.as_str(), reply.header.round) != current {
            return Ok(());
        }
        match round.receive(worker, reply) {
            Receipt::Stale => {}
            Receipt::Wrong(fault) => {
                let reason = format!("its reply is wrong: {fault}");
                return self.expel(worker, reason, false, commands);
            }
            Receipt::Again(shards) => {
                let other = self.members.idle(|other| other == worker);
                self.send_to(other.unwrap_or(worker), shards, commands);
                return Ok(());
            }
            Receipt::Counted {
                shards,
                since,
                refuted,
            } => {
                let taken = self.now.saturating_sub(since);
                self.pace.record(task.job, shards, taken);
                self.members.answered(worker, taken);
                if let Some(refuted) = refuted {
                    let reason =
                        "its sums were no numbers where another worker's are; check its memory";
                    self.expel(refuted, reason.to_owned(), false, commands)?;
                }
            }
        }
        self.release_who_is_free(commands)?;
        match self.state.round() {
            Some(round) if round.is_complete() => self.complete_round(commands),
            _ => Ok(()),
        }
    }

    fn complete_round(&mut self, commands: &mut Vec<Command>) -> Result<(), TrainingError> {
        // The run has ended unless another round follows.
        let State::Working { round, short_since } =
            std::mem::replace(&mut self.state, State::Ended)
        else {
            return Ok(());
        };
        let job = round.task().job;
        let total = round.into_total().ok_or(PlanError::Misfit)?;
        let reports = self.plan.absorb(job, &total)?;
        let best = match job {
            Job::Evaluate {
                split: Split::Validation,
            } => self.best_here(),
            _ => None,
        };
        let reports = reports.into_iter().chain(best.map(RunEvent::Best));
        let reports = reports.chain(self.plan.evaluated(job));
        commands.extend(reports.map(Command::Report));
        self.checkpoint_if_due(commands);
        self.next_round(short_since, commands)
    }
}
