//! Whole clusters on a simulated network, cut, slowed and crashed as a seed has it: the same bits in the end,
//! whatever happened.
//!
//! `LAGRANGE_SEEDS=17 cargo test --release --package lagrange-tests --test network` replays one seed,
//! `LAGRANGE_SEEDS=0..5000` runs more of them than usual.

use lagrange::Seeds;
use lagrange_coordinator::{Observed, RunEvent};
use lagrange_tests::network::{Cluster, Counts, Simulated};
use lagrange_tests::{bars, small_config};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Seeds of a usual run.
const SEEDS: &str = "0..1000";

fn cluster() -> Cluster {
    let dataset = Arc::new(bars(150, 40));
    let mut config = small_config(5);
    config.schedule.epochs = 4.0;
    Cluster::new(&config, &dataset)
}

/// What a run tells of its mathematics: steps, start and evaluations, each as it was reported last.
fn mathematics(reports: &[Observed]) -> BTreeMap<String, String> {
    let mut last = BTreeMap::new();
    for observed in reports {
        let key = match &observed.event {
            RunEvent::Step(step) => format!("step {}", step.step),
            RunEvent::Evaluation(of) => format!("evaluation {:?} {}", of.split, of.step),
            _ => continue,
        };
        last.insert(key, format!("{:?}", observed.event));
    }
    last
}

fn assert_same(seed: u64, run: &Simulated, baseline: &Simulated) {
    let hashes = |run: &Simulated| {
        let outcome = &run.outcome;
        [
            outcome.weights_sha256.clone(),
            outcome.multipliers_sha256.clone(),
        ]
    };
    assert_eq!(hashes(run), hashes(baseline), "seed {seed}");
    let certificate = |run: &Simulated| run.outcome.certificate.clone();
    assert_eq!(certificate(run), certificate(baseline), "seed {seed}");
    assert_eq!(
        mathematics(&run.reports),
        mathematics(&baseline.reports),
        "seed {seed}"
    );
}

fn seeds() -> Vec<u64> {
    let text = std::env::var("LAGRANGE_SEEDS").unwrap_or_else(|_| SEEDS.to_owned());
    text.parse::<Seeds>().expect("seeds").as_slice().to_vec()
}

/// Keeps the other test of this process from making tasks, which would disturb a replay.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs every seed, on all cores.
fn disturbed(cluster: &Cluster, seeds: &[u64], baseline: &Simulated) -> Vec<Counts> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let parts = seeds.chunks(seeds.len().div_ceil(cores).max(1));
    std::thread::scope(|scope| {
        let threads: Vec<_> = parts
            .map(|part| {
                scope.spawn(move || {
                    let run = |&seed| {
                        let run = cluster.disturbed(seed);
                        assert_same(seed, &run, baseline);
                        run.counts
                    };
                    part.iter().map(run).collect::<Vec<_>>()
                })
            })
            .collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, _>| match thread.join() {
            Ok(counts) => counts,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        threads.into_iter().flat_map(join).collect()
    })
}

#[test]
fn cut_links_and_crashed_hosts_change_nothing() {
    let _alone = alone();
    let cluster = cluster();
    let baseline = cluster.undisturbed(1);
    println!("undisturbed: {:?}", baseline.time);
    let seeds = seeds();
    let counts = disturbed(&cluster, &seeds, &baseline);
    let mut faults = BTreeMap::new();
    for (kind, count) in counts.iter().flat_map(|counts| &counts.faults) {
        *faults.entry(kind).or_insert(0) += count;
    }
    let sum = |of: fn(&Counts) -> usize| counts.iter().map(of).sum::<usize>();
    let (resumed, lost) = (sum(|c| c.resumed), sum(|c| c.lost));
    println!(
        "{} seeds: {faults:?}, {lost} workers lost, {resumed} times resumed",
        seeds.len()
    );
    if seeds.len() >= 1000 {
        assert_eq!(faults.len(), 9, "a kind of fault never happened");
        assert!(faults.values().all(|&count| count > 100));
        assert!(lost > 500 && resumed > 50);
    }
}

#[test]
fn a_seed_replays_exactly() {
    let _alone = alone();
    let cluster = cluster();
    for seed in 0..12 {
        let [one, other] = [0, 1].map(|_| cluster.disturbed(seed));
        assert_eq!(one.reports, other.reports, "seed {seed}");
    }
}
