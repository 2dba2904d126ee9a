//! A run without sockets or clock: workers that answer when they are told to, and whatever is heard of them.
#![allow(clippy::expect_used, clippy::missing_panics_doc)]

mod fixture;
mod words;

pub use fixture::{Fixture, Settings};

use lagrange_coordinator::{
    CheckpointError, Command, Event, RunEvent, Snapshot, Training, WorkerId,
};
use lagrange_protocol::{Config, Reply, Work, WorkHeader};
use lagrange_worker::Compute;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Time from work to answer where a case does not say.
const USUAL: Duration = Duration::from_millis(10);

/// What a worker has been given, with its answer.
struct Piece {
    worker: WorkerId,
    header: WorkHeader,
    reply: Reply,
    answered: bool,
}

/// A coordinator's state machine and its workers.
pub struct Play {
    fixture: Fixture,
    training: Training,
    now: Duration,
    /// Names by worker, counted from 1.
    names: Vec<String>,
    computes: BTreeMap<WorkerId, Arc<Compute>>,
    pieces: Vec<Piece>,
    disk: Option<Box<Snapshot>>,
    ended: bool,
}

impl Play {
    pub fn new(fixture: Fixture) -> Self {
        Self {
            training: fixture.begin(),
            fixture,
            now: Duration::ZERO,
            names: Vec::new(),
            computes: BTreeMap::new(),
            pieces: Vec::new(),
            disk: None,
            ended: false,
        }
    }

    /// Lets the state machine take `event`; what it wants done, one line each.
    pub fn take(&mut self, event: Event) -> Vec<String> {
        let commands = self.training.handle(self.now, event);
        self.training.assert_invariants();
        let mut lines = Vec::new();
        for command in commands {
            assert!(!self.ended, "{command:?} follows the end of the run");
            // Told about once a second, whatever happens.
            if matches!(command, Command::Report(RunEvent::Workers { .. })) {
                continue;
            }
            lines.push(words::of(&command, |worker| self.name(worker)));
            self.carry_out(command);
        }
        lines
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Send {
                worker,
                header,
                payload,
                reply_floats,
            } => {
                let payload = payload.to_vec();
                let work = Work { header, payload };
                let answer = self.computes[&worker].answer(&work).expect("sound work");
                let header = work.header;
                if !header.replay {
                    let payload = answer.payload.to_vec();
                    assert_eq!(payload.len(), reply_floats);
                    self.pieces.push(Piece {
                        worker,
                        header,
                        reply: Reply {
                            header: answer.header,
                            payload,
                        },
                        answered: false,
                    });
                }
            }
            Command::Checkpoint(snapshot) => self.disk = Some(snapshot),
            Command::End(_) => self.ended = true,
            Command::Drop { .. } | Command::Release { .. } | Command::Report(_) => {}
        }
    }

    /// A new connection that the case calls `name`.
    pub fn join(&mut self, name: &str, threads: u32) -> Vec<String> {
        self.names.push(name.to_owned());
        let worker = self.names.len() as WorkerId;
        self.computes.insert(worker, self.fixture.compute());
        self.take(Event::Joined { worker, threads })
    }

    /// The worker of that name.
    pub fn worker(&self, name: &str) -> WorkerId {
        let place = self.names.iter().position(|known| known == name);
        place.unwrap_or_else(|| panic!("no worker is called {name}")) as WorkerId + 1
    }

    pub fn workers(&self) -> WorkerId {
        self.names.len() as WorkerId
    }

    fn name(&self, worker: WorkerId) -> String {
        self.names[worker as usize - 1].clone()
    }

    /// Lets time pass that nobody notices.
    pub fn sleep(&mut self, time: Duration) {
        self.now += time;
    }

    /// Lets time pass as a driver does: with a tick whenever one is due, and signs of life of `heard` before
    /// it.
    pub fn pass(&mut self, time: Duration, heard: &[WorkerId]) -> Vec<String> {
        let until = self.now + time;
        let mut lines = Vec::new();
        while self.now < until && !self.ended {
            let least = self.now + Duration::from_millis(1);
            self.now = self.training.deadline().max(least).min(until);
            for &worker in heard {
                lines.extend(self.take(Event::Heard { worker }));
            }
            lines.extend(self.take(Event::Tick));
        }
        lines
    }

    /// The answer to what `worker` was given as `key`, which is round and attempt; to the oldest unanswered
    /// without.
    pub fn answer(&mut self, worker: WorkerId, key: Option<(u64, u32)>) -> Option<Reply> {
        let piece = self.pieces.iter_mut().find(|piece| {
            let own = (piece.header.round, piece.header.attempt);
            piece.worker == worker && key.map_or(!piece.answered, |key| own == key)
        })?;
        piece.answered = true;
        Some(piece.reply.clone())
    }

    /// Lets every worker answer what it has until the round of that number is handed out.
    pub fn play_until(&mut self, round: u64) {
        let reached = |play: &Self| play.pieces.iter().any(|piece| piece.header.round == round);
        while !reached(self) {
            let piece = self.pieces.iter().find(|piece| !piece.answered);
            let worker = piece.expect("somebody has work").worker;
            let reply = self.answer(worker, None).expect("it has work");
            self.now += USUAL;
            self.take(Event::Replied { worker, reply });
        }
    }

    /// Starts the coordinator again from its last checkpoint, if there is one; every connection is gone.
    pub fn restart(&mut self, config: impl FnOnce(&mut Config)) -> Result<(), CheckpointError> {
        self.training = match &self.disk {
            Some(snapshot) => self.fixture.resume(snapshot, config)?,
            None => self.fixture.begin(),
        };
        self.training.assert_invariants();
        self.now = Duration::ZERO;
        self.names.clear();
        self.computes.clear();
        self.pieces.clear();
        self.ended = false;
        Ok(())
    }
}
