//! Chaos: processes killed, stopped and asked to go at moments drawn from a seed. The run ends as if nothing
//! had been.
//!
//! A seed decides the topology, the rules and what happens when ([`Schedule`]); how fast processes run it
//! does not decide, so a schedule meets other instants of a run each time. A failure names its seed.
//! `LAGRANGE_CHAOS_SEEDS=17 cargo test --release --test process chaos` replays it alone, and
//! `LAGRANGE_CHAOS_SEEDS=0..200` goes on for longer; `-- --nocapture` shows what happens.

use crate::binary::cluster::{Launch, quiet_address};
use crate::binary::json;
use crate::binary::play::{Counts, LEASE, Play, STEPS_PER_EPOCH};
use crate::binary::run_files::{assert_same_result, metrics};
use lagrange::Seeds;
use lagrange_tests::schedule::Schedule;
use lagrange_tests::{bars, small_config, write_idx};
use std::net::TcpListener;
use std::path::Path;
use std::time::Instant;

/// Seeds of a run of this test that was not asked for others.
const SEEDS: &str = "0..20";
const SHARDS: usize = 8;
const TRAIN: usize = 512;
/// So many that their evaluation takes as long as a few steps.
const TEST: usize = 2000;
/// Epochs of eight steps: long enough for every strike.
const STREAMING: u64 = 64;
/// A classic run has what a lost worker knew done over from the beginning, which takes its time.
const CLASSIC: u64 = 6;

/// A run that was left alone.
struct Baseline {
    result: serde_json::Value,
    metrics: Vec<serde_json::Value>,
}

/// The dataset, the configuration and the command line of a run.
fn launch(folder: &Path, name: &str, classic: bool, address: &str) -> Launch {
    let text = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let (kind, epochs) = match classic {
        true => ("classic", CLASSIC),
        false => ("streaming", STREAMING),
    };
    let schedule = format!("schedule.kind={kind}");
    let (config, epochs) = (text("config.toml"), epochs.to_string());
    let run = ["--config", &config, "--epochs", &epochs, "--set", &schedule];
    Launch {
        command: "train",
        workers: 2,
        address: address.to_owned(),
        run_dir: folder.join(name),
        run: run.map(str::to_owned).to_vec(),
        rules: Vec::new(),
        data: vec!["--data".to_owned(), text("")],
    }
}

/// Runs without any fault, for both schedules.
fn baseline(folder: &Path, classic: bool) -> Baseline {
    let name = format!("baseline-{classic}");
    let launch = launch(folder, &name, classic, "127.0.0.1:0");
    let run_dir = launch.run_dir.to_string_lossy();
    let begin = ["train", "--json", "--workers", "2", "--run-dir", &*run_dir];
    let more = launch.run.iter().chain(&launch.data).map(String::as_str);
    let arguments: Vec<&str> = begin.into_iter().chain(more).collect();
    Baseline {
        result: json(&arguments),
        metrics: comparable(&launch),
    }
}

/// The metrics without what may differ from run to run: times, bytes, and who joined or left.
fn comparable(launch: &Launch) -> Vec<serde_json::Value> {
    let mut lines = metrics(&launch.run_dir);
    lines.retain(|line| line["event"] != "membership");
    for line in &mut lines {
        let line = line.as_object_mut().expect("an object");
        for key in [
            "seconds",
            "bytes_sent",
            "bytes_received",
            "wait_seconds",
            "work_seconds",
        ] {
            assert!(line.remove(key).is_some(), "{key}");
        }
    }
    lines
}

/// The run ended as one that was left alone.
fn check(seed: u64, launch: &Launch, baseline: &Baseline) {
    let result = launch.result().expect("a result");
    assert_same_result(&format!("seed {seed}"), &result, &baseline.result);
    let metrics = comparable(launch);
    for (line, expected) in metrics.iter().zip(&baseline.metrics) {
        assert_eq!(line, expected, "seed {seed}");
    }
    assert_eq!(metrics.len(), baseline.metrics.len(), "seed {seed}");
    let port = TcpListener::bind(&launch.address);
    assert!(port.is_ok(), "seed {seed}: {port:?}");
}

#[test]
fn whatever_is_killed_and_whenever_the_run_ends_as_if_nothing_had_been() {
    let chosen = std::env::var("LAGRANGE_CHAOS_SEEDS").ok();
    let seeds: Seeds = chosen.as_deref().unwrap_or(SEEDS).parse().expect("seeds");
    let folder = tempfile::tempdir().expect("folder");
    write_idx(&bars(TRAIN, TEST), folder.path());
    let mut config = small_config(SHARDS);
    config.schedule.batch = TRAIN / STEPS_PER_EPOCH as usize;
    let config = config.to_toml();
    std::fs::write(folder.path().join("config.toml"), config).expect("written");
    let baselines = [false, true].map(|classic| baseline(folder.path(), classic));
    // The next run gets the port of the one before.
    let address = quiet_address();
    let (mut counts, begin) = (Counts::new(), Instant::now());
    for &seed in seeds.as_slice() {
        let schedule = Schedule::of_seed(
            seed,
            STREAMING * STEPS_PER_EPOCH,
            CLASSIC * STEPS_PER_EPOCH,
            LEASE,
        );
        println!(
            "seed {seed}: {} workers, {:?}, classic: {}, one command: {}",
            schedule.workers, schedule.checkpoints, schedule.classic, schedule.one_command
        );
        let name = format!("seed-{seed}");
        let launch = launch(folder.path(), &name, schedule.classic, &address);
        let mut play = Play::begin(&schedule, launch);
        play.play();
        let baseline = &baselines[usize::from(schedule.classic)];
        check(seed, &play.launch, baseline);
        for (what, count) in &play.counts {
            *counts.entry(what).or_default() += count;
        }
    }
    println!(
        "{} seeds in {:.0?}: {counts:#?}",
        seeds.as_slice().len(),
        begin.elapsed()
    );
    if chosen.is_none() {
        check_counts(&counts);
    }
}

/// Chaos that did not happen proves nothing.
fn check_counts(counts: &Counts) {
    for (what, least) in [
        ("kill -9", 50),
        ("kills of one worker", 10),
        ("kills of several workers", 5),
        ("kills of the coordinator", 10),
        ("kills before the first step", 3),
        ("kills of a process that had just started", 3),
        ("kills in a step", 20),
        ("kills in an evaluation", 2),
        ("checkpoints cut off", 1),
        ("workers stopped", 3),
        ("coordinators stopped", 1),
        ("workers asked to go", 1),
        ("late workers", 1),
    ] {
        let count = counts.get(what).copied().unwrap_or(0);
        assert!(count >= least, "only {count} {what}");
    }
}
