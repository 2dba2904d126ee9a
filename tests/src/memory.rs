//! A cluster in memory: the coordinator's state machine and the workers' mathematics, with messages delivered, delayed,
//! duplicated and lost as a seed decides. No sockets and no clock, so a seed replays exactly.

use lagrange_cli::config::Config;
use lagrange_coordinator::{Command, Event, Outcome, Plan, Training, TrainingError, WorkerId};
use lagrange_data::{Dataset, Partition};
use lagrange_protocol::{Reply, Work};
use lagrange_worker::{Compute, DataSource, ShardStore};
use rand::RngExt as _;
use std::sync::Arc;

/// How often things go wrong, in percent per delivered message.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// A worker dies with everything it has in hand.
    pub death: u32,
    /// A new worker joins.
    pub join: u32,
    /// A reply arrives twice.
    pub duplicate: u32,
}

/// Runs `config` on `dataset` with `workers` workers at first, under faults drawn from `seed`.
///
/// # Errors
/// As the run itself.
pub fn run(
    config: &Config,
    dataset: &Arc<Dataset>,
    workers: u64,
    faults: Faults,
    seed: u64,
) -> Result<Box<Outcome>, TrainingError> {
    let run = config
        .plan(dataset.side(), dataset.train.labels.len())
        .expect("configuration");
    let spec = run.spec.clone();
    let partition =
        Partition::new(dataset, spec.shards, spec.validation, spec.train_limit).expect("partition");
    let network = spec.resolve().expect("network");
    let store = ShardStore::new(
        DataSource::Shared(Arc::clone(dataset)),
        Arc::clone(dataset),
        dataset.sha256(),
        &spec,
    )
    .expect("store");
    // Work is a pure function of its inputs, so one calculator can stand for all workers.
    let compute = Compute::new(spec, network, store);
    let mut random =
        lagrange_core::random::stream(seed, lagrange_core::random::Purpose::Rows, 99, 0);
    let mut training = Training::new(
        "simulated".to_owned(),
        Plan::new(run, partition).expect("plan"),
        workers as usize,
    );
    let mut live: Vec<WorkerId> = Vec::new();
    let mut events: Vec<Event> = (1..=workers)
        .map(|worker| Event::Joined { worker, threads: 1 })
        .collect();
    let mut next_worker = workers + 1;
    let mut started = false;
    loop {
        // Any message may overtake any other.
        let event = events.swap_remove(random.random_range(0..events.len()));
        if let Event::Joined { worker, .. } = event {
            live.push(worker);
        }
        let sender = match &event {
            Event::Replied { worker, .. } => Some(*worker),
            _ => None,
        };
        if sender.is_some_and(|worker| !live.contains(&worker)) {
            continue;
        }
        if let Event::Replied { worker, reply } = &event
            && random.random_range(0..100) < faults.duplicate
        {
            events.push(Event::Replied {
                worker: *worker,
                reply: reply.clone(),
            });
        }
        let commands = training.handle(event);
        for command in commands {
            match command {
                Command::Send {
                    worker,
                    header,
                    payload,
                    reply_floats,
                } => {
                    started = true;
                    assert_eq!(header.payload_floats as usize, payload.floats());
                    let answer = compute
                        .answer(&Work {
                            header,
                            payload: payload.to_vec(),
                        })
                        .expect("answer");
                    assert_eq!(answer.payload.floats(), reply_floats);
                    let reply = Reply {
                        header: answer.header,
                        payload: answer.payload.to_vec(),
                    };
                    events.push(Event::Replied { worker, reply });
                }
                Command::End(result) => return result,
                Command::Drop { worker, reason } => panic!("worker {worker} was dropped: {reason}"),
                Command::StartGrace => {
                    // Somebody comes back in time.
                    events.push(Event::Joined {
                        worker: next_worker,
                        threads: 1,
                    });
                    next_worker += 1;
                }
                Command::CancelGrace | Command::Report(_) => {}
            }
        }
        // Before the first round a run simply waits for enough workers; the shell's clock bounds that.
        if started && !live.is_empty() && random.random_range(0..100) < faults.death {
            let worker = live.swap_remove(random.random_range(0..live.len()));
            // Its connection's end is heard of at some time, maybe after replies that it sent before.
            events.push(Event::Lost {
                worker,
                reason: "killed".to_owned(),
            });
        }
        if random.random_range(0..100) < faults.join && live.len() < 6 {
            events.push(Event::Joined {
                worker: next_worker,
                threads: random.random_range(1..4),
            });
            next_worker += 1;
        }
        assert!(!events.is_empty(), "nothing is under way: the run hangs");
    }
}
