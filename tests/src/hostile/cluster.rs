//! What workers may do to a coordinator.

use super::runs::{TinyRun, answer, tiny_runs};
use super::{assert_sound, byte, number, place, value};
use crate::RUN;
use arbitrary::Unstructured;
use lagrange_coordinator::{Command, Event, Snapshot, Training, WorkerId};
use lagrange_core::check::{Check, Tally};
use lagrange_core::tree::Node;
use lagrange_protocol::{NodeSum, Reply, ReplyHeader, ShardRecord};
use lagrange_worker::Compute;
use std::time::Duration;

/// A tiny run among workers that answer, answer wrongly, come, go and say what they please. It goes on, or
/// ends with a result or an error.
pub fn cluster(bytes: &[u8]) {
    let mut bytes = Unstructured::new(bytes);
    let runs = tiny_runs();
    let run = &runs[place(&mut bytes, runs.len())];
    let mut hostile = Hostile {
        run,
        worker: run.worker(),
        training: run.begin(),
        now: Duration::ZERO,
        open: Vec::new(),
        ended: false,
    };
    hostile.tell(Event::Joined {
        worker: 1,
        threads: 1,
    });
    while !bytes.is_empty() && !hostile.ended {
        hostile.act(&mut bytes);
    }
    if hostile.ended {
        let later = hostile.training.handle(hostile.now, Event::Interrupted);
        assert!(later.is_empty(), "an ended run stays ended");
    }
}

/// Most pieces of work remembered: the last ones are those that matter.
const MOST_OPEN: usize = 32;

struct Hostile<'a> {
    run: &'a TinyRun,
    worker: Compute,
    training: Training,
    now: Duration,
    /// Work that has been handed out and not answered, or answered already.
    open: Vec<Command>,
    ended: bool,
}

impl Hostile<'_> {
    fn act(&mut self, bytes: &mut Unstructured<'_>) {
        match byte(bytes) % 16 {
            0 => self.tell(Event::Joined {
                worker: u64::from(byte(bytes) % 4),
                threads: number(bytes) as u32,
            }),
            1 => self.tell(Event::Heard {
                worker: any_worker(bytes),
            }),
            2 => self.tell(Event::Leaving {
                worker: any_worker(bytes),
            }),
            3 => self.tell(Event::Lost {
                worker: any_worker(bytes),
                reason: "gone".to_owned(),
            }),
            4 if byte(bytes).is_multiple_of(4) => self.tell(Event::Failed {
                worker: any_worker(bytes),
                message: "failed".to_owned(),
            }),
            5 if byte(bytes).is_multiple_of(8) => self.tell(Event::Interrupted),
            6 => {
                let milliseconds = number(bytes).min(1 << 40);
                self.now = self.now.saturating_add(Duration::from_millis(milliseconds));
                self.tell(Event::Tick);
            }
            7 => self.tell(Event::Replied {
                worker: any_worker(bytes),
                reply: any_reply(bytes),
            }),
            8 => self.training.prepare(),
            9..12 => self.answer_one(bytes),
            _ => (0..=byte(bytes) % 16).for_each(|_| self.answer_all()),
        }
    }

    /// Answers a piece of work, with something changed.
    fn answer_one(&mut self, bytes: &mut Unstructured<'_>) {
        if self.open.is_empty() {
            return;
        }
        let command = &self.open[place(bytes, self.open.len())];
        if let Some(Event::Replied { worker, mut reply }) = answer(&self.worker, command) {
            for _ in 0..1 + byte(bytes) % 3 {
                change(&mut reply, bytes);
            }
            let times = 1 + byte(bytes) % 12;
            for _ in 0..times {
                let reply = reply.clone();
                self.tell(Event::Replied { worker, reply });
            }
        }
    }

    fn answer_all(&mut self) {
        for command in std::mem::take(&mut self.open) {
            if let Some(event) = answer(&self.worker, &command) {
                self.tell(event);
            }
        }
    }

    fn tell(&mut self, event: Event) {
        for command in self.training.handle(self.now, event) {
            match command {
                Command::Send { .. } => self.open.push(command),
                Command::End(result) => {
                    self.ended = true;
                    result.iter().for_each(|outcome| assert_sound(outcome));
                }
                Command::Checkpoint(snapshot) => self.take_up(&snapshot),
                _ => {}
            }
        }
        self.training.assert_invariants();
        let old = self.open.len().saturating_sub(MOST_OPEN);
        self.open.drain(..old);
        assert!(self.ended || self.training.deadline() >= Duration::ZERO);
    }

    /// Whatever the workers did, what is written down can be taken up.
    fn take_up(&self, snapshot: &Snapshot) {
        let bytes = snapshot.to_bytes().expect("written");
        let read = Snapshot::from_bytes(&bytes).expect("read");
        assert_eq!(&read, snapshot);
        self.run.resume(&read).expect("a checkpoint of this run");
    }
}

fn any_worker(bytes: &mut Unstructured<'_>) -> WorkerId {
    u64::from(byte(bytes) % 5)
}

fn any_reply(bytes: &mut Unstructured<'_>) -> Reply {
    let mut reply = Reply {
        header: ReplyHeader {
            run: RUN.to_owned(),
            round: number(bytes),
            attempt: number(bytes) as u32,
            nodes: Vec::new(),
            shards: Vec::new(),
            payload_floats: 0,
            records: Vec::new(),
        },
        payload: Vec::new(),
    };
    (0..byte(bytes) % 8).for_each(|_| change(&mut reply, bytes));
    reply
}

fn any_tally(bytes: &mut Unstructured<'_>) -> Tally {
    Tally {
        check: Check::ALL[usize::from(byte(bytes)) % Check::ALL.len()],
        stage: usize::from(byte(bytes) % 4),
        ran: number(bytes),
        held: number(bytes),
        worst: value(bytes).into(),
    }
}

fn change(reply: &mut Reply, bytes: &mut Unstructured<'_>) {
    let header = &mut reply.header;
    match byte(bytes) % 14 {
        0 => header.run = "another".to_owned(),
        1 => header.round = number(bytes),
        2 => header.attempt = number(bytes) as u32,
        3 => header.shards.push(number(bytes) as u32),
        4 => drop(header.shards.pop()),
        5 => {
            let at = place(bytes, header.shards.len());
            let to = number(bytes) as u32;
            header.shards[at..].iter_mut().take(1).for_each(|s| *s = to);
        }
        6 => header.nodes.push(NodeSum {
            node: Node {
                level: number(bytes) as u32,
                index: number(bytes) as u32,
            },
            scalars: vec![0.0; usize::from(byte(bytes) % 16)],
        }),
        7 => {
            let at = place(bytes, header.nodes.len());
            let (change, scalar) = (byte(bytes), value(bytes).into());
            for sum in header.nodes.iter_mut().skip(at).take(1) {
                match change % 4 {
                    0 => sum.node.level = number(bytes) as u32,
                    1 => sum.node.index = number(bytes) as u32,
                    2 => drop(sum.scalars.pop()),
                    _ => sum.scalars.iter_mut().take(1).for_each(|s| *s = scalar),
                }
            }
        }
        12 => header.records.push(ShardRecord {
            crc32: number(bytes) as u32,
            checks: vec![any_tally(bytes); usize::from(byte(bytes) % 3)],
        }),
        13 => drop(header.records.pop()),
        8 => drop(reply.payload.pop()),
        9 => reply.payload.push(value(bytes)),
        10 => {
            let to = value(bytes);
            reply.payload.iter_mut().for_each(|v| *v = to);
        }
        _ => {
            let (at, to) = (place(bytes, reply.payload.len()), value(bytes));
            let payload = reply.payload.iter_mut();
            payload.skip(at).take(1).for_each(|v| *v = to);
        }
    }
}
