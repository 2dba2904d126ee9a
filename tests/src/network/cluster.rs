//! Hosts, links, and a run on them.

use super::faults::{Fault, Incident, Kind, schedule};
use crate::Prepared;
use lagrange::Config;
use lagrange_coordinator::{
    CheckpointStore, Observed, Outcome, Rules, RunEvent, Security, ServeOptions, Training, serve,
};
use lagrange_data::Dataset;
use lagrange_protocol::{Address, Host};
use lagrange_worker::{
    Computation, Connecting, Connection, DataSource, Dial, Executor, WorkerOptions,
};
use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::sync::mpsc::unbounded_channel;
use tokio_stream::wrappers::UnboundedReceiverStream;
use turmoil::Sim;

const PORT: u16 = 7400;
const COORDINATOR: &str = "coordinator";
const TICK: Duration = Duration::from_millis(10);
const LEASE: Duration = Duration::from_secs(2);
/// Faults begin within this time; an undisturbed run takes about as long.
const SPAN: Duration = Duration::from_secs(6);
/// No run takes longer, whatever happens: a hang.
const LIMIT: Duration = Duration::from_secs(300);
/// Longest delay of a message.
const USUAL_LATENCY: Duration = Duration::from_millis(25);
/// What a worker computes at a time.
const COMPUTING: Duration = Duration::from_millis(60);
/// More than the lists that a tokio runtime keeps its tasks in.
const ALIGNED: u64 = 64;
/// What is slow takes so many times what it usually takes.
const SLOWNESS: u32 = 20;

type Shared<T> = Arc<Mutex<T>>;

/// What is the same for every seed.
#[derive(Debug)]
pub struct Cluster {
    dataset: Arc<Dataset>,
    prepared: Prepared,
}

/// What happened in a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counts {
    /// Faults by kind.
    pub faults: BTreeMap<Kind, u32>,
    /// Times that the coordinator went on from a checkpoint.
    pub resumed: usize,
    /// Times that a worker was gone from the coordinator's list.
    pub lost: usize,
}

/// A run, and what happened in it.
#[derive(Debug)]
pub struct Simulated {
    /// How it ended.
    pub outcome: Outcome,
    /// When it ended, on the simulation's clock.
    pub time: Duration,
    /// Every report of every coordinator, in order.
    pub reports: Vec<Observed>,
    /// What happened.
    pub counts: Counts,
}

impl Cluster {
    /// Runs of `config` on `dataset`.
    #[must_use]
    pub fn new(config: &Config, dataset: &Arc<Dataset>) -> Self {
        lagrange_core::blas::use_one_thread();
        Self {
            dataset: Arc::clone(dataset),
            prepared: Prepared::new(config, dataset),
        }
    }

    /// A run with `workers` workers that nothing disturbs.
    #[must_use]
    pub fn undisturbed(&self, workers: usize) -> Simulated {
        self.simulate(0, workers, &[])
    }

    /// A run under the faults of `seed`.
    #[must_use]
    pub fn disturbed(&self, seed: u64) -> Simulated {
        let workers = 1 + seed as usize % 4;
        let incidents = schedule(seed, workers, SPAN, LEASE);
        self.simulate(seed, workers, &incidents)
    }

    fn coordinator(
        &self,
        rules: Rules,
        folder: &Path,
        observer: Sender<Observed>,
    ) -> Arc<CoordinatorHost> {
        Arc::new(CoordinatorHost {
            prepared: self.prepared.clone(),
            rules,
            dataset_sha256: self.dataset.sha256(),
            folder: folder.to_owned(),
            observer,
            outcome: Arc::default(),
            resumed: AtomicUsize::new(0),
        })
    }

    fn simulate(&self, seed: u64, workers: usize, incidents: &[Incident]) -> Simulated {
        align_task_numbers();
        let folder = tempfile::tempdir().expect("folder");
        let mut sim = healthy_network(seed);
        let (observer, reports) = channel();
        let rules = Rules {
            workers,
            lease: LEASE,
            checkpoint_steps: 1 + seed % 5,
            ..Rules::default()
        };
        let coordinator = self.coordinator(rules, folder.path(), observer);
        let host = Arc::clone(&coordinator);
        sim.host(COORDINATOR, move || Arc::clone(&host).serve());
        let workers: Vec<_> = (0..workers)
            .map(|index| WorkerHost::new(index, &self.dataset))
            .collect();
        for worker in &workers {
            let host = worker.clone();
            sim.host(worker.name.as_str(), move || host.clone().work());
        }
        let counts = Scene {
            sim: &mut sim,
            workers: &workers,
        }
        .play(incidents, || coordinator.has_ended());
        let time = sim.elapsed();
        drop(sim);
        let outcome = coordinator.take_outcome();
        let resumed = coordinator.resumed.load(Ordering::Relaxed);
        // With it goes the last observer.
        drop(coordinator);
        let reports: Vec<_> = reports.iter().collect();
        let lost = lost(&reports);
        Simulated {
            outcome: outcome.unwrap_or_else(|| panic!("seed {seed}: no result after {time:?}")),
            time,
            reports,
            counts: Counts {
                faults: counts,
                resumed,
                lost,
            },
        }
    }
}

/// Has the numbers of a simulation's tasks begin at a multiple of [`ALIGNED`]. A host that crashes hangs up
/// its connections in an order that depends on them, and tokio numbers the tasks of the whole process: a seed
/// replays exactly where no other thread makes tasks meanwhile.
fn align_task_numbers() {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("a runtime");
    let next = || {
        let id = runtime.spawn(std::future::ready(())).id().to_string();
        id.parse::<u64>().expect("a number") + 1
    };
    while !next().is_multiple_of(ALIGNED) {}
}

/// Hosts to come, and links with their usual delays.
fn healthy_network<'a>(seed: u64) -> Sim<'a> {
    turmoil::Builder::new()
        .rng_seed(seed)
        .tick_duration(TICK)
        .simulation_duration(2 * LIMIT)
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(USUAL_LATENCY)
        .tcp_capacity(1024)
        .build()
}

/// How often the reports say that there were fewer workers than before.
fn lost(reports: &[Observed]) -> usize {
    let present = reports.iter().filter_map(|observed| match observed.event {
        RunEvent::Membership { workers, .. } => Some(workers),
        _ => None,
    });
    let present: Vec<_> = present.collect();
    present.windows(2).filter(|pair| pair[1] < pair[0]).count()
}

/// The simulation while faults are played.
struct Scene<'a, 'b> {
    sim: &'a mut Sim<'b>,
    workers: &'a [WorkerHost],
}

impl Scene<'_, '_> {
    /// Plays all incidents, however long, until the run has ended.
    fn play(mut self, incidents: &[Incident], ended: impl Fn() -> bool) -> BTreeMap<Kind, u32> {
        let mut counts = BTreeMap::new();
        let mut incidents = incidents.iter().peekable();
        while !ended() && self.sim.elapsed() < LIMIT {
            let now = self.sim.elapsed();
            while let Some(incident) = incidents.next_if(|incident| incident.time <= now) {
                if incident.begins {
                    *counts.entry(incident.fault.kind).or_default() += 1;
                    self.begin(incident.fault);
                } else {
                    self.end(incident.fault);
                }
            }
            if let Err(error) = self.sim.step() {
                panic!("after {:?}: {error}", self.sim.elapsed());
            }
        }
        counts
    }

    fn begin(&mut self, fault: Fault) {
        let worker = &self.workers[fault.worker];
        let name = worker.name.as_str();
        match fault.kind {
            Kind::WorkerCrash => self.sim.crash(name),
            Kind::CoordinatorCrash => self.sim.crash(COORDINATOR),
            Kind::Partition => self.sim.partition(name, COORDINATOR),
            Kind::DeafWorker => self.sim.partition_oneway(COORDINATOR, name),
            Kind::MuteWorker => self.sim.partition_oneway(name, COORDINATOR),
            Kind::Hold => self.sim.hold(name, COORDINATOR),
            Kind::Latency => {
                let longest = SLOWNESS * USUAL_LATENCY;
                self.sim
                    .set_link_max_message_latency(name, COORDINATOR, longest);
            }
            Kind::Slow => worker.slowness.store(SLOWNESS, Ordering::Relaxed),
            Kind::Leave => worker.stop.notify_waiters(),
        }
    }

    fn end(&mut self, fault: Fault) {
        let worker = &self.workers[fault.worker];
        let name = worker.name.as_str();
        match fault.kind {
            Kind::WorkerCrash => self.start(name),
            Kind::CoordinatorCrash => self.start(COORDINATOR),
            Kind::Partition => self.sim.repair(name, COORDINATOR),
            Kind::DeafWorker => self.sim.repair_oneway(COORDINATOR, name),
            Kind::MuteWorker => self.sim.repair_oneway(name, COORDINATOR),
            Kind::Hold => self.sim.release(name, COORDINATOR),
            Kind::Latency => {
                self.sim
                    .set_link_max_message_latency(name, COORDINATOR, USUAL_LATENCY);
            }
            Kind::Slow => worker.slowness.store(1, Ordering::Relaxed),
            Kind::Leave => {}
        }
    }

    fn start(&mut self, name: &str) {
        if !self.sim.is_host_running(name) {
            self.sim.bounce(name);
        }
    }
}

/// The coordinator's host: its disk outlives it.
struct CoordinatorHost {
    prepared: Prepared,
    rules: Rules,
    dataset_sha256: [u8; 32],
    folder: PathBuf,
    observer: Sender<Observed>,
    outcome: Shared<Option<Outcome>>,
    resumed: AtomicUsize,
}

impl CoordinatorHost {
    fn has_ended(&self) -> bool {
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        outcome.is_some()
    }

    fn take_outcome(&self) -> Option<Outcome> {
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        outcome.take()
    }

    /// The run, from its last checkpoint or from the beginning.
    fn training(&self) -> Training {
        let store = CheckpointStore::new(self.folder.clone());
        let found = store.newest().expect("checkpoints can be read");
        assert!(found.damaged.is_empty(), "{:?}", found.damaged);
        let Some((_, snapshot)) = found.snapshot else {
            return self.prepared.begin(self.rules);
        };
        self.resumed.fetch_add(1, Ordering::Relaxed);
        let resumed = self.prepared.resume(&snapshot, self.rules);
        resumed.expect("resumes")
    }

    async fn serve(self: Arc<Self>) -> turmoil::Result {
        let listener = turmoil::net::TcpListener::bind(("0.0.0.0", PORT)).await?;
        let (accepted, incoming) = unbounded_channel();
        let accepting = tokio::spawn(async move {
            while let Ok(connection) = listener.accept().await {
                if accepted.send(Ok(connection)).is_err() {
                    break;
                }
            }
        });
        let options = ServeOptions {
            dataset_sha256: self.dataset_sha256,
            checkpoints: Some(CheckpointStore::new(self.folder.clone())),
            journal: None,
            security: Security::default(),
            observer: self.observer.clone(),
            own_threads: false,
        };
        let incoming = UnboundedReceiverStream::new(incoming);
        let run = serve(incoming, self.training(), options, std::future::pending());
        let (served, finished) = run.await?;
        finished.dismiss("the run is complete").await?;
        accepting.abort();
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(served.outcome);
        Ok(())
    }
}

/// A worker's host.
#[derive(Debug, Clone)]
struct WorkerHost {
    name: String,
    dataset: Arc<Dataset>,
    slowness: Arc<AtomicU32>,
    stop: Arc<Notify>,
}

impl WorkerHost {
    fn new(index: usize, dataset: &Arc<Dataset>) -> Self {
        Self {
            name: format!("worker-{index}"),
            dataset: Arc::clone(dataset),
            slowness: Arc::new(AtomicU32::new(1)),
            stop: Arc::default(),
        }
    }

    /// A worker that gives up or was told to go is started again, as a supervisor would.
    async fn work(self) -> turmoil::Result {
        loop {
            let options = WorkerOptions {
                coordinator: Address {
                    host: Host::Name(COORDINATOR.to_owned()),
                    port: PORT,
                },
                name: self.name.clone(),
                threads: 1,
                executor: Arc::new(Processor(Arc::clone(&self.slowness))),
                dial: Arc::new(SimulatedTcp),
                security: lagrange_worker::Security::default(),
                source: DataSource::Shared(Arc::clone(&self.dataset)),
                insist: None,
                connect_timeout: Duration::from_secs(20),
            };
            // The coordinator will tell how it ended.
            let _ = lagrange_worker::run(options, self.stop.notified()).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

/// Computes in no time at all, after the time that it should have taken.
#[derive(Debug)]
struct Processor(Arc<AtomicU32>);

impl Executor for Processor {
    fn run(&self, computation: Computation) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let took = COMPUTING * self.0.load(Ordering::Relaxed);
        Box::pin(async move {
            tokio::time::sleep(took).await;
            computation();
        })
    }
}

/// Connections of the simulated network.
#[derive(Debug)]
struct SimulatedTcp;

impl Dial for SimulatedTcp {
    fn dial(&self, address: &Address) -> Connecting {
        let (host, port) = (address.host.to_string(), address.port);
        Box::pin(async move {
            let connection = turmoil::net::TcpStream::connect((host, port)).await?;
            Ok(Box::new(connection) as Box<dyn Connection>)
        })
    }
}
