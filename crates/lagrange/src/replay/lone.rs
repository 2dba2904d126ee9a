//! A run with one worker and without a wire: commands of the state machine are carried out one after the
//! other.

use super::ReplayError;
use crate::RunEvent;
use crate::run_folder::ShardsStep;
use lagrange_coordinator::{Command, Event, Snapshot, Training, WorkerId};
use lagrange_core::tree::cover;
use lagrange_protocol::{Job, NodeSum, Payload, Reply, ReplyHeader, ShardRecord, Work, WorkHeader};
use lagrange_worker::Compute;
use std::collections::VecDeque;
use std::time::Duration;

const WORKER: WorkerId = 1;
/// Samples, correct predictions and loss of an evaluation that nobody asks for.
const NOTHING: [f64; 3] = [0.0; 3];

/// A run and its only worker.
pub(super) struct LoneWorker {
    training: Training,
    compute: Compute,
    commands: VecDeque<Command>,
    snapshot: Option<Box<Snapshot>>,
}

impl LoneWorker {
    pub(super) fn new(mut training: Training, compute: Compute, threads: usize) -> Self {
        let joined = Event::Joined {
            worker: WORKER,
            threads: threads as u32,
        };
        // What it holds may be of an earlier part of the run; it is then done over.
        compute.forget_states();
        let commands = training.handle(Duration::ZERO, joined).into();
        Self {
            training,
            compute,
            commands,
            snapshot: None,
        }
    }

    /// Goes on to the end of step `last`; the steps on the way.
    pub(super) fn run(&mut self, last: u64) -> Result<Vec<ShardsStep>, ReplayError> {
        let mut steps = Vec::new();
        let ended = |reason: String| Err(ReplayError::Ended { step: last, reason });
        let mut is_there = false;
        while let Some(command) = self.commands.pop_front() {
            match command {
                // The checkpoint of the last step comes behind its report, the next round after that.
                Command::Send { .. } if is_there => return Ok(steps),
                Command::Send {
                    header, payload, ..
                } => self.answer(header, &payload)?,
                Command::Report(RunEvent::Step(step)) => {
                    is_there = step.step == last;
                    steps.push(ShardsStep {
                        step: step.step,
                        total: step.total,
                        checksums: step.checksums,
                    });
                }
                Command::Checkpoint(snapshot) => self.snapshot = Some(snapshot),
                Command::Drop { reason, .. } => return ended(reason),
                Command::End(Err(error)) => return Err(error.into()),
                Command::End(Ok(_)) if is_there => return Ok(steps),
                Command::End(Ok(_)) => return ended("the run ended".to_owned()),
                Command::Report(_) | Command::Release { .. } => {}
            }
        }
        match is_there {
            true => Ok(steps),
            false => ended("nothing was left to do".to_owned()),
        }
    }

    /// The run behind its last step.
    pub(super) fn snapshot(&mut self) -> Option<Box<Snapshot>> {
        self.snapshot.take()
    }

    /// The computation, for another run of the same data.
    pub(super) fn compute(self) -> Compute {
        self.compute
    }

    fn answer(&mut self, header: WorkHeader, payload: &Payload) -> Result<(), ReplayError> {
        let reply = match header.job {
            // Training depends on none.
            Job::Evaluate { .. } => self.unevaluated(&header),
            _ => {
                let work = Work {
                    payload: payload.to_vec(),
                    header,
                };
                let answer = self.compute.answer(&work)?;
                if work.header.replay {
                    return Ok(());
                }
                Reply {
                    header: answer.header,
                    payload: answer.payload.to_vec(),
                }
            }
        };
        let replied = Event::Replied {
            worker: WORKER,
            reply,
        };
        self.commands
            .extend(self.training.handle(Duration::ZERO, replied));
        Ok(())
    }

    fn unevaluated(&self, header: &WorkHeader) -> Reply {
        let all = self.training.spec().shards() as u32;
        let nodes = cover(&header.shards, all).into_iter().map(|node| NodeSum {
            node,
            scalars: NOTHING.to_vec(),
        });
        Reply {
            header: ReplyHeader {
                run: header.run.clone(),
                round: header.round,
                attempt: header.attempt,
                nodes: nodes.collect(),
                shards: header.shards.clone(),
                payload_floats: 0,
                records: vec![ShardRecord::default(); header.shards.len()],
            },
            payload: Vec::new(),
        }
    }
}
