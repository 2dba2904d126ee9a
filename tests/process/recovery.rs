//! How long a run stands still when a process is lost: from the loss to the next step that is completed
//! without it.

#![allow(clippy::print_stdout, reason = "the times are the result")]

use crate::binary::cluster::{Launch, Process, quiet_address};
use crate::binary::process::{send_signal, wait_until};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const WORKERS: usize = 3;

/// The lines that are appended to a run's metrics.
struct Tail {
    reader: BufReader<File>,
    line: String,
}

impl Tail {
    fn of(path: &Path) -> Self {
        let mut file = File::open(path).expect("metrics");
        file.seek(SeekFrom::End(0)).expect("the end");
        Self {
            reader: BufReader::new(file),
            line: String::new(),
        }
    }

    /// Waits for a line of this kind.
    fn wait_for(&mut self, kind: &str) {
        let begin = Instant::now();
        loop {
            assert!(begin.elapsed() < Duration::from_secs(60), "no {kind}");
            let read = self.reader.read_line(&mut self.line).expect("metrics");
            if !self.line.ends_with('\n') {
                // Nothing new, or not yet all of it.
                if read == 0 {
                    std::thread::sleep(Duration::from_millis(1));
                }
                continue;
            }
            let found = self.line.contains(kind);
            self.line.clear();
            if found {
                return;
            }
        }
    }
}

/// A run of real digits without end, and its workers.
struct Cluster {
    launch: Launch,
    metrics: PathBuf,
    coordinator: Process,
    workers: Vec<Process>,
}

impl Cluster {
    fn start(folder: &Path, rules: &[&str]) -> Self {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let launch = Launch {
            command: "coordinator",
            workers: WORKERS,
            address: quiet_address(),
            run_dir: folder.join("run"),
            run: owned(&["--train-limit", "2048", "--epochs", "5000"]),
            rules: owned(rules),
            data: Vec::new(),
        };
        let cluster = Self {
            metrics: launch.run_dir.join("metrics.jsonl"),
            coordinator: launch.coordinator(),
            workers: (0..WORKERS).map(|_| launch.worker()).collect(),
            launch,
        };
        wait_until("the first steps", || cluster.launch.step() > 3);
        cluster
    }
}

/// Prints what was measured, and holds it against the lease.
fn judge(what: &str, lease: Duration, mut times: Vec<Duration>) {
    times.sort_unstable();
    let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
    println!(
        "{what}, {} times: the next step after {median:.2?} in the median, {worst:.2?} at worst; lease {lease:?}",
        times.len()
    );
    assert!(worst < 2 * lease, "{what}: {times:?}");
}

#[test]
fn a_run_goes_on_within_two_leases_of_any_loss() {
    workers_killed();
    workers_stopped();
    coordinators_killed();
}

/// The connection of a process that was killed is reset: nobody has to wait for its lease, which is the
/// default.
fn workers_killed() {
    let folder = tempfile::tempdir().expect("folder");
    let mut cluster = Cluster::start(folder.path(), &[]);
    let mut times = Vec::new();
    for _ in 0..20 {
        let mut tail = Tail::of(&cluster.metrics);
        let begin = Instant::now();
        assert!(cluster.workers.remove(0).kill());
        tail.wait_for(" left: ");
        tail.wait_for("\"event\":\"step\"");
        times.push(begin.elapsed());
        cluster.workers.push(cluster.launch.worker());
        tail.wait_for(" joined");
    }
    judge(
        "one of three workers killed",
        Duration::from_secs(10),
        times,
    );
}

/// A process that was stopped says nothing: only its lease tells, as long as nobody else is asked to do its
/// work as well.
fn workers_stopped() {
    let folder = tempfile::tempdir().expect("folder");
    let rules = ["--lease", "2", "--speculate", "0"];
    let mut cluster = Cluster::start(folder.path(), &rules);
    let mut times = Vec::new();
    for _ in 0..8 {
        let mut tail = Tail::of(&cluster.metrics);
        let begin = Instant::now();
        assert!(send_signal(cluster.workers[0].pid(), "STOP"));
        tail.wait_for("nothing was heard of it");
        tail.wait_for("\"event\":\"step\"");
        times.push(begin.elapsed());
        assert!(send_signal(cluster.workers[0].pid(), "CONT"));
        cluster.workers.rotate_left(1);
        tail.wait_for(" joined");
    }
    judge(
        "one of three workers stopped",
        Duration::from_secs(2),
        times,
    );
}

/// A coordinator that is started again at once reads its checkpoint, and its workers find it.
fn coordinators_killed() {
    let folder = tempfile::tempdir().expect("folder");
    let mut cluster = Cluster::start(folder.path(), &["--checkpoint-steps", "2"]);
    let mut times = Vec::new();
    let inode = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.ino());
    for _ in 0..10 {
        let step = cluster.launch.step();
        wait_until("more steps", || cluster.launch.step() > step + 4);
        assert!(cluster.coordinator.kill());
        let (checkpoint, before) = (cluster.launch.checkpoint(), inode(&cluster.metrics));
        let begin = Instant::now();
        cluster.coordinator = cluster.launch.coordinator();
        // The metrics are cut at the checkpoint, and then go on.
        wait_until("a step", || {
            inode(&cluster.metrics) != before && cluster.launch.step() > checkpoint
        });
        times.push(begin.elapsed());
    }
    judge(
        "the coordinator killed and started again",
        Duration::from_secs(10),
        times,
    );
}
