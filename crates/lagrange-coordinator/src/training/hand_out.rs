//! Who gets which shards of a round: at first, after a loss, and when an answer is late.

use super::state::State;
use super::{Command, Training, TrainingError};
use crate::history::PastRound;
use crate::membership::WorkerId;
use crate::round::{Assignment, Round, Task};
use lagrange_core::tree::cover;
use lagrange_protocol::{Job, WorkHeader};
use std::time::Duration;

impl Training {
    /// Begins the next round, or ends the run if there is none.
    pub(super) fn next_round(
        &mut self,
        short_since: Option<Duration>,
        commands: &mut Vec<Command>,
    ) -> Result<(), TrainingError> {
        let Some((job, sizes)) = self.plan.next_job()? else {
            self.end_with_what_there_is(commands);
            return Ok(());
        };
        let shards = self.plan.shards();
        if let (Job::Round(round), true) = (job, self.plan.is_stateful()) {
            let rows = (0..shards).map(|shard| self.plan.shard_inputs(job, &[shard]));
            self.history.push(PastRound {
                round,
                rows: rows.collect(),
                shared: self.plan.shared_inputs(job),
            });
        }
        self.rounds += 1;
        let task = Task {
            number: self.rounds,
            job,
            sizes,
            shards,
            stages: self.plan.network().len(),
            repeatable: !self.plan.is_stateful(),
        };
        self.state = State::Working {
            round: Box::new(Round::new(task)),
            short_since,
        };
        self.go_on(commands)
    }

    /// Deals the shards that nobody has to the workers there are.
    pub(super) fn hand_out(&mut self, commands: &mut Vec<Command>) {
        let Some(round) = self.state.round() else {
            return;
        };
        let stateful = self.plan.is_stateful_job(round.task().job);
        let dealt = match stateful {
            true => self.deal_to_holders(round.pool()),
            false => self.members.deal(round.pool()),
        };
        for (worker, shards) in dealt {
            if stateful {
                self.replay(worker, &shards, commands);
            }
            self.send_to(worker, shards, commands);
        }
    }

    /// As [`crate::Membership::deal`], but a shard whose z and a a worker has goes to that worker.
    fn deal_to_holders(&self, shards: &[u32]) -> Vec<(WorkerId, Vec<u32>)> {
        let holder = |shard: u32| {
            self.holders[shard as usize].filter(|&worker| self.members.takes_work(worker))
        };
        let orphans: Vec<u32> = shards
            .iter()
            .copied()
            .filter(|&s| holder(s).is_none())
            .collect();
        let mut dealt = self.members.deal(&orphans);
        for &shard in shards {
            let Some(worker) = holder(shard) else {
                continue;
            };
            match dealt.iter_mut().find(|(taker, _)| *taker == worker) {
                Some((_, shards)) => shards.push(shard),
                None => dealt.push((worker, vec![shard])),
            }
        }
        for (_, shards) in &mut dealt {
            shards.sort_unstable();
        }
        dealt
    }

    /// Has `worker` do over the past rounds of those of `shards` whose z and a it has not.
    fn replay(&mut self, worker: WorkerId, shards: &[u32], commands: &mut Vec<Command>) {
        let new: Vec<u32> = shards
            .iter()
            .copied()
            .filter(|&shard| self.holders[shard as usize] != Some(worker))
            .collect();
        for &shard in &new {
            self.holders[shard as usize] = Some(worker);
        }
        if new.is_empty() {
            return;
        }
        for (number, round) in self.history.past().iter().enumerate() {
            let payload = round.payload(&new);
            commands.push(Command::Send {
                worker,
                reply_floats: 0,
                header: WorkHeader {
                    run: self.identity.run.clone(),
                    round: self.rounds,
                    // Never that of an answer: those count from 0.
                    attempt: u32::MAX - u32::try_from(number).unwrap_or(0),
                    job: Job::Round(round.round),
                    shards: new.clone(),
                    payload_floats: payload.floats() as u64,
                    replay: true,
                },
                payload,
            });
        }
    }

    /// Hands `shards` to `worker`.
    pub(super) fn send_to(
        &mut self,
        worker: WorkerId,
        shards: Vec<u32>,
        commands: &mut Vec<Command>,
    ) {
        let Some(round) = self.state.round_mut() else {
            return;
        };
        let task = *round.task();
        self.members.give(worker, &shards);
        let mut payload = self.plan.shared_inputs(task.job);
        payload.extend(&self.plan.shard_inputs(task.job, &shards));
        let nodes = cover(&shards, task.shards).len();
        let reply_floats = task.sizes.reply_values(nodes, shards.len());
        let header = WorkHeader {
            run: self.identity.run.clone(),
            round: task.number,
            attempt: round.assign(worker, shards.clone(), self.now),
            job: task.job,
            shards,
            payload_floats: payload.floats() as u64,
            replay: false,
        };
        commands.push(Command::Send {
            worker,
            reply_floats,
            header,
            payload,
        });
    }

    /// When the answer to `assignment` is late; never, where nothing is known of such work yet.
    fn late_at(&self, round: &Round, assignment: &Assignment) -> Option<Duration> {
        let (job, times) = (round.task().job, self.rules.speculate);
        let limit = self.pace.limit(job, assignment.shards.len(), times)?;
        Some(assignment.since.saturating_add(limit))
    }

    /// When the next answer will be late, if an idle worker could give it instead.
    pub(super) fn next_late(&self) -> Option<Duration> {
        let round = self.state.round()?;
        if !round.task().repeatable || self.members.idle(|worker| round.owes(worker)).is_none() {
            return None;
        }
        let late = round.single().filter_map(|a| self.late_at(round, a));
        late.min()
    }

    /// Gives what is late to idle workers as well. The first answer counts, and all are the same.
    pub(super) fn speculate(&mut self, commands: &mut Vec<Command>) {
        while self.next_late().is_some_and(|late| late <= self.now) {
            let Some(round) = self.state.round() else {
                return;
            };
            let is_late = |a: &&Assignment| self.late_at(round, a).is_some_and(|at| at <= self.now);
            let overdue = round.single().find(is_late);
            let idle = self.members.idle(|worker| round.owes(worker));
            let (Some(overdue), Some(idle)) = (overdue, idle) else {
                return;
            };
            tracing::info!(
                late = overdue.worker,
                idle,
                round = self.rounds,
                "an answer is late: computing it elsewhere too"
            );
            let shards = overdue.shards.clone();
            self.send_to(idle, shards, commands);
        }
    }
}
