//! Who gets which shards of a round: at first, after a loss, and when an answer is late.

use super::{Command, Training, TrainingError};
use crate::history::PastRound;
use crate::membership::WorkerId;
use crate::round::Round;
use lagrange_core::tree::cover;
use lagrange_protocol::WorkHeader;
use std::time::Duration;

impl Training {
    pub(super) fn next_round(&mut self, commands: &mut Vec<Command>) -> Result<(), TrainingError> {
        let Some((job, shape)) = self.plan.next_job()? else {
            self.end_with_what_there_is(commands);
            return Ok(());
        };
        let shards = self.plan.shards();
        if self.plan.is_stateful_job(job) {
            let rows = (0..shards).map(|shard| self.plan.shard_inputs(job, &[shard]));
            self.history.push(PastRound {
                job,
                rows: rows.collect(),
                shared: self.plan.shared_inputs(job),
            });
        }
        self.round_number += 1;
        self.round = Some((job, Round::new(shape, shards)));
        self.unassigned = (0..shards).collect();
        self.go_on(commands)
    }

    /// Deals the shards that nobody has to the workers there are.
    pub(super) fn hand_out(&mut self, commands: &mut Vec<Command>) {
        let Some((job, _)) = &self.round else {
            return;
        };
        let stateful = self.plan.is_stateful_job(*job);
        let shards = std::mem::take(&mut self.unassigned);
        let dealt = if stateful {
            self.deal_to_holders(&shards)
        } else {
            self.members.deal(&shards)
        };
        if dealt.is_empty() {
            self.unassigned = shards;
            return;
        }
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
        let (Some((_, past)), false) = (self.history.split_last(), new.is_empty()) else {
            return;
        };
        for (number, round) in past.iter().enumerate() {
            let payload = round.payload(&new);
            commands.push(Command::Send {
                worker,
                reply_floats: 0,
                header: WorkHeader {
                    run: self.identity.run.clone(),
                    round: self.round_number,
                    // Never that of an answer: those count from 0.
                    attempt: u32::MAX - u32::try_from(number).unwrap_or(0),
                    job: round.job,
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
        let Some((job, round)) = &mut self.round else {
            return;
        };
        let mut payload = self.plan.shared_inputs(*job);
        payload.extend(&self.plan.shard_inputs(*job, &shards));
        let nodes = cover(&shards, self.plan.shards()).len();
        let reply_floats = round.shape().reply_floats(nodes, shards.len());
        let header = WorkHeader {
            run: self.identity.run.clone(),
            round: self.round_number,
            attempt: round.assign(worker, shards.clone(), self.now),
            job: *job,
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

    /// When the next answer will be late.
    pub(super) fn next_late(&self) -> Option<Duration> {
        let (job, round) = self.round.as_ref()?;
        if self.plan.is_stateful() || self.members.idle(|worker| round.owes(worker)).is_none() {
            return None;
        }
        let times = self.rules.speculate;
        let late = round.single().filter_map(|assignment| {
            let limit = self.pace.limit(*job, assignment.shards.len(), times)?;
            Some(assignment.since.saturating_add(limit))
        });
        late.min()
    }

    /// Gives what is late to idle workers as well. The first answer counts, and all are the same.
    pub(super) fn speculate(&mut self, commands: &mut Vec<Command>) {
        while let Some(late) = self.next_late()
            && late <= self.now
        {
            let Some((job, round)) = &self.round else {
                return;
            };
            let (job, times) = (*job, self.rules.speculate);
            let overdue = round.single().find(|assignment| {
                let limit = self.pace.limit(job, assignment.shards.len(), times);
                limit.is_some_and(|limit| assignment.since.saturating_add(limit) <= self.now)
            });
            let idle = self.members.idle(|worker| round.owes(worker));
            let (Some(overdue), Some(idle)) = (overdue, idle) else {
                return;
            };
            tracing::info!(
                late = overdue.worker,
                idle,
                round = self.round_number,
                "an answer is late: computing it elsewhere too"
            );
            let shards = overdue.shards.clone();
            self.send_to(idle, shards, commands);
        }
    }
}
