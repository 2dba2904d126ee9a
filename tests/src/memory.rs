//! A cluster in memory: the coordinator's state machine and the workers' mathematics under virtual time, with
//! messages delayed, duplicated and lost, and workers killed, frozen, slowed and added as a seed decides. No
//! sockets and no clock, so a seed replays exactly.

use crate::Prepared;
use lagrange::Config;
use lagrange_coordinator::{
    Command, Event, Outcome, Rules, Snapshot, Training, TrainingError, WorkerId,
};
use lagrange_core::schedule::ScheduleKind;
use lagrange_data::Dataset;
use lagrange_protocol::{Reply, RunSpec, Work};
use lagrange_worker::{Compute, DataSource, ShardStore};
use rand::{Rng, RngExt as _};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How often things go wrong, in percent per piece of work.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// A worker dies with everything it has in hand.
    pub death: u32,
    /// A worker stands still, longer than its lease or not, and goes on as if nothing had been.
    pub freeze: u32,
    /// A worker takes twenty times as long.
    pub slow: u32,
    /// A worker wants to go.
    pub leave: u32,
    /// A new worker joins.
    pub join: u32,
    /// A reply arrives twice.
    pub duplicate: u32,
    /// A reply holds values that are no numbers.
    pub garbage: u32,
    /// The coordinator dies, in tenths of a percent per event, and is started again from what it had written
    /// down.
    pub crash: u32,
}

/// What went wrong in a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Workers that died.
    pub deaths: u32,
    /// Workers that the coordinator gave up: silent for too long, or sending what are no numbers.
    pub expelled: u32,
    /// Workers let go.
    pub released: u32,
    /// Pieces of work handed out beyond the first time.
    pub repeated: u32,
    /// Rounds of the past done over.
    pub replayed: u32,
    /// Deaths of the coordinator.
    pub crashes: u32,
}

/// A run and what went wrong in it.
#[derive(Debug)]
pub struct Simulated {
    /// How it ended.
    pub result: Result<Box<Outcome>, TrainingError>,
    /// What went wrong.
    pub counts: Counts,
}

const LEASE: Duration = Duration::from_secs(2);

enum Item {
    Event(Event),
    /// A worker finishes the work it has begun.
    Finish(WorkerId),
    Beat(WorkerId),
    Die(WorkerId),
}

/// A worker between its connection's beginning and end.
struct Worker {
    compute: Arc<Compute>,
    /// Work in hand and waiting, oldest first.
    waiting: Vec<Work>,
    /// Until when it stands still.
    frozen: Duration,
    slow: bool,
}

struct Cluster<'a, R> {
    config: &'a Config,
    dataset: &'a Arc<Dataset>,
    faults: Faults,
    random: R,
    training: Training,
    prepared: Prepared,
    rules: Rules,
    /// The last checkpoint.
    disk: Option<Vec<u8>>,
    now: Duration,
    /// When the coordinator was started last.
    begin: Duration,
    queue: BTreeMap<(Duration, u64), Item>,
    number: u64,
    workers: BTreeMap<WorkerId, Worker>,
    next_worker: WorkerId,
    spec: RunSpec,
    /// One calculator can stand for all workers that hold no state.
    shared: Option<Arc<Compute>>,
    counts: Counts,
    handed_out: BTreeMap<(u64, Vec<u32>), u32>,
}

/// Runs `config` on `dataset` with `workers` workers at first, under faults drawn from `seed`.
#[must_use]
pub fn run(
    config: &Config,
    dataset: &Arc<Dataset>,
    workers: u64,
    faults: Faults,
    seed: u64,
) -> Simulated {
    lagrange_core::blas::use_one_thread();
    let prepared = Prepared::new(config, dataset);
    let rules = Rules {
        workers: workers as usize,
        lease: LEASE,
        checkpoint_steps: 1 + seed % 4,
        ..Rules::default()
    };
    let mut cluster = Cluster {
        config,
        dataset,
        faults,
        random: lagrange_core::random::stream(seed, lagrange_core::random::Purpose::Rows, 99, 0),
        shared: None,
        training: prepared.begin(rules),
        spec: prepared.spec.clone(),
        prepared,
        rules,
        disk: None,
        begin: Duration::ZERO,
        now: Duration::ZERO,
        queue: BTreeMap::new(),
        number: 0,
        workers: BTreeMap::new(),
        next_worker: 1,
        counts: Counts::default(),
        handed_out: BTreeMap::new(),
    };
    for _ in 0..workers {
        cluster.join(Duration::ZERO);
    }
    let result = cluster.run();
    Simulated {
        result,
        counts: cluster.counts,
    }
}

impl<R: Rng> Cluster<'_, R> {
    fn run(&mut self) -> Result<Box<Outcome>, TrainingError> {
        loop {
            if self.random.random_range(0..1000) < self.faults.crash {
                self.crash();
            }
            let deadline = self.begin + self.training.deadline();
            let event = match self.queue.first_key_value() {
                Some((&(time, _), _)) if time <= deadline => self.next(),
                _ => {
                    self.now = self.now.max(deadline);
                    Some(Event::Tick)
                }
            };
            let Some(event) = event else {
                continue;
            };
            for command in self.training.handle(self.now - self.begin, event) {
                match command {
                    Command::End(result) => return result,
                    command => self.carry_out(command),
                }
            }
            self.training.assert_invariants();
            if self.chance(50) {
                self.training.prepare();
            }
            assert!(self.now < Duration::from_secs(86_400), "the run hangs");
        }
    }

    /// Takes the next item; the event that it is for the coordinator, if any.
    fn next(&mut self) -> Option<Event> {
        let ((time, _), item) = self.queue.pop_first()?;
        self.now = self.now.max(time);
        match item {
            Item::Event(event) => return Some(event),
            Item::Finish(worker) => self.finish(worker),
            Item::Beat(worker) => self.beat(worker),
            Item::Die(worker) => self.die(worker),
        }
        None
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Send {
                worker,
                header,
                payload,
                reply_floats: _,
            } => {
                assert_eq!(header.payload_floats as usize, payload.floats());
                if header.replay {
                    self.counts.replayed += 1;
                } else {
                    let key = (header.round, header.shards.clone());
                    let times = self.handed_out.entry(key).or_default();
                    *times += 1;
                    self.counts.repeated += u32::from(*times > 1);
                }
                let payload = payload.to_vec();
                self.take(worker, Work { header, payload });
            }
            Command::Drop {
                worker, may_return, ..
            } => {
                self.counts.expelled += 1;
                if self.workers.remove(&worker).is_some() && may_return {
                    self.join(Duration::from_millis(300));
                }
                self.replace();
            }
            Command::Release { worker } => {
                self.counts.released += 1;
                self.workers.remove(&worker);
                self.replace();
            }
            Command::Checkpoint(snapshot) => {
                self.disk = Some(snapshot.to_bytes().expect("bytes"));
            }
            Command::Report(_) | Command::End(_) => {}
        }
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.random.random_range(0..100) < percent
    }

    fn after(&mut self, delay: Duration, item: Item) {
        self.number += 1;
        self.queue.insert((self.now + delay, self.number), item);
    }

    /// A message under way: it may overtake others.
    fn deliver(&mut self, delay: Duration, event: Event) {
        let way = Duration::from_micros(self.random.random_range(100..20_000));
        self.after(delay + way, Item::Event(event));
    }

    fn join(&mut self, delay: Duration) {
        let compute = self.calculator();
        self.join_with(compute, delay);
    }

    fn join_with(&mut self, compute: Arc<Compute>, delay: Duration) {
        let worker = self.next_worker;
        self.next_worker += 1;
        self.workers.insert(
            worker,
            Worker {
                compute,
                waiting: Vec::new(),
                frozen: Duration::ZERO,
                slow: false,
            },
        );
        let threads = self.random.random_range(1..4);
        self.deliver(delay, Event::Joined { worker, threads });
        self.after(delay, Item::Beat(worker));
    }

    fn calculator(&mut self) -> Arc<Compute> {
        if let Some(shared) = &self.shared {
            return Arc::clone(shared);
        }
        let store = ShardStore::new(
            DataSource::Shared(Arc::clone(self.dataset)),
            Arc::clone(self.dataset),
            self.dataset.sha256(),
            &self.spec,
        );
        let store = store.expect("store");
        let compute = Arc::new(Compute::new(self.spec.clone(), self.spec.network(), store));
        if self.config.schedule.kind == ScheduleKind::Streaming {
            self.shared = Some(Arc::clone(&compute));
        }
        compute
    }

    /// A worker gets work, and fate has its say.
    fn take(&mut self, worker: WorkerId, work: Work) {
        if !self.workers.contains_key(&worker) {
            return;
        }
        let faults = self.faults;
        let fate = [
            self.chance(faults.death),
            self.chance(faults.freeze),
            self.chance(faults.slow),
            self.chance(faults.leave),
            self.chance(faults.join) && self.workers.len() < 6,
        ];
        let moment = Duration::from_millis(self.random.random_range(0..60));
        let freeze = Duration::from_millis(self.random.random_range(1..6_000));
        let now = self.now;
        let Some(member) = self.workers.get_mut(&worker) else {
            return;
        };
        member.waiting.push(work);
        member.slow = fate[2];
        if fate[1] {
            member.frozen = now + freeze;
        }
        let begins = member.waiting.len() == 1;
        if fate[0] {
            self.after(moment, Item::Die(worker));
        }
        if fate[3] {
            self.deliver(moment, Event::Leaving { worker });
        }
        if fate[4] {
            self.join(moment);
        }
        if begins {
            self.begin(worker);
        }
    }

    /// A worker begins the oldest work it has.
    fn begin(&mut self, worker: WorkerId) {
        let mut took = Duration::from_micros(self.random.random_range(5_000..20_000));
        if let Some(member) = self.workers.get(&worker) {
            if member.slow {
                took *= 20;
            }
            took += member.frozen.saturating_sub(self.now);
            self.after(took, Item::Finish(worker));
        }
    }

    fn finish(&mut self, worker: WorkerId) {
        let Some(member) = self.workers.get_mut(&worker) else {
            return;
        };
        let work = member.waiting.remove(0);
        let (more, compute) = (!member.waiting.is_empty(), Arc::clone(&member.compute));
        let replay = work.header.replay;
        let answer = compute.answer(&work).expect("answer");
        if more {
            self.begin(worker);
        }
        if replay {
            return;
        }
        let mut reply = Reply {
            header: answer.header,
            payload: answer.payload.to_vec(),
        };
        if self.chance(self.faults.garbage) && !reply.payload.is_empty() {
            let place = self.random.random_range(0..reply.payload.len());
            // Faulty memory does not err the same way twice.
            let bits = self.random.random_range(1..1 << 22);
            reply.payload[place] = f32::from_bits(f32::INFINITY.to_bits() | bits);
        }
        if self.chance(self.faults.duplicate) {
            let reply = reply.clone();
            self.deliver(Duration::ZERO, Event::Replied { worker, reply });
        }
        self.deliver(Duration::ZERO, Event::Replied { worker, reply });
    }

    fn beat(&mut self, worker: WorkerId) {
        let Some(member) = self.workers.get(&worker) else {
            return;
        };
        let frozen = member.frozen.saturating_sub(self.now);
        if frozen.is_zero() {
            self.deliver(Duration::ZERO, Event::Heard { worker });
        }
        self.after(frozen + LEASE / 4, Item::Beat(worker));
    }

    /// The coordinator dies and starts again. Its workers dial again, and hold what they had.
    fn crash(&mut self) {
        self.counts.crashes += 1;
        self.begin = self.now + Duration::from_millis(500);
        self.training = match &self.disk {
            Some(bytes) => {
                let snapshot = Snapshot::from_bytes(bytes).expect("a sound checkpoint");
                let resumed = self.prepared.resume(&snapshot, self.rules);
                resumed.expect("resumes")
            }
            None => self.prepared.begin(self.rules),
        };
        self.queue.clear();
        for (_, worker) in std::mem::take(&mut self.workers) {
            worker.compute.forget_states();
            let delay = Duration::from_millis(self.random.random_range(500..3_000));
            self.join_with(worker.compute, delay);
        }
        while self.workers.len() < self.rules.workers {
            self.join(Duration::from_secs(1));
        }
    }

    /// Its connection's end is heard of at some time, maybe after replies that it sent before.
    fn die(&mut self, worker: WorkerId) {
        if self.workers.remove(&worker).is_none() {
            return;
        }
        self.counts.deaths += 1;
        let reason = "killed".to_owned();
        self.deliver(Duration::ZERO, Event::Lost { worker, reason });
        self.replace();
    }

    /// Where nobody is left, somebody comes in time.
    fn replace(&mut self) {
        if self.workers.is_empty() {
            self.join(Duration::from_secs(1));
        }
    }
}
