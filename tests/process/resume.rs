//! Runs that are killed or stopped and taken up again: same bits, whatever was lost and however many workers
//! go on.

use crate::binary::process::{
    borrowed, children_of, short_run, signal, start_until_step, wait_until,
};
use crate::binary::run_files::{assert_same_result, checkpoints, metrics};
use crate::binary::{failure, json, lagrange, last_json};
use std::path::{Path, PathBuf};
use std::process::Child;

/// A folder, a run in it that was left alone, and the run that a test will not leave alone.
struct Case {
    folder: tempfile::TempDir,
    baseline: serde_json::Value,
    epochs: u32,
    extra: Vec<String>,
}

impl Case {
    fn new(epochs: u32, extra: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let arguments = short_run(folder.path(), "baseline", epochs, extra);
        Self {
            baseline: json(&borrowed(&arguments)),
            extra: extra.iter().map(|&e| e.to_owned()).collect(),
            folder,
            epochs,
        }
    }

    fn run_dir(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    /// Starts the run with a checkpoint every other step, until `step`.
    fn start(&self, step: u64, more: &[&str]) -> Child {
        let extra: Vec<&str> = self.extra.iter().map(String::as_str).collect();
        let flags = [&extra[..], &["--checkpoint-steps", "2"], more].concat();
        let arguments = short_run(self.folder.path(), "run", self.epochs, &flags);
        start_until_step(&arguments, &self.run_dir(), step)
    }

    fn resume(&self, more: &[&str]) -> Vec<String> {
        let path = self.run_dir().display().to_string();
        let arguments = [
            "train",
            "--json",
            "--checkpoint-steps",
            "2",
            "--resume",
            &path,
        ];
        let all = arguments.iter().copied().chain(more.iter().copied());
        all.map(str::to_owned).collect()
    }

    fn kill(&self, mut child: Child) {
        signal(child.id(), "KILL");
        child.wait().expect("reaped");
    }

    /// Waits until a checkpoint of `step` or later is there.
    fn wait_for_checkpoint(&self, step: u64) {
        wait_until("a checkpoint", || {
            checkpoints(&self.run_dir())
                .last()
                .is_some_and(|(_, found)| *found >= step)
        });
    }

    fn check(&self, result: &serde_json::Value) {
        assert_same_result("resumed", result, &self.baseline);
        let steps = steps(&self.run_dir());
        let all: Vec<u64> = (1..=self.baseline["steps"].as_u64().expect("steps")).collect();
        assert_eq!(steps, all, "every step is in the metrics, and once");
        let kept: Vec<u64> = checkpoints(&self.run_dir())
            .iter()
            .map(|&(_, step)| step)
            .collect();
        assert_eq!(
            kept,
            all[all.len() - 1..],
            "a complete run keeps its last one"
        );
    }
}

/// Steps in the metrics, in order.
fn steps(run_dir: &Path) -> Vec<u64> {
    metrics(run_dir)
        .into_iter()
        .filter(|line| line["event"] == "step")
        .map(|line| line["step"].as_u64().expect("step"))
        .collect()
}

#[test]
fn killed_twice_and_resumed_with_other_numbers_of_workers_it_ends_with_the_same_bits() {
    let case = Case::new(6, &[]);
    let first = case.start(6, &["--workers", "1"]);
    case.wait_for_checkpoint(4);
    case.kill(first);
    let arguments = case.resume(&["--workers", "4"]);
    let second = start_until_step(&arguments, &case.run_dir(), 20);
    case.wait_for_checkpoint(18);
    case.kill(second);
    case.check(&json(&borrowed(&case.resume(&["--workers", "2"]))));
}

#[test]
fn whatever_the_number_of_workers_that_go_on_the_bits_are_the_same() {
    let case = Case::new(2, &[]);
    let first = case.start(8, &["--workers", "2"]);
    case.wait_for_checkpoint(6);
    case.kill(first);
    let kept = case.folder.path().join("kept");
    copy_folder(&case.run_dir(), &kept);
    for workers in ["1", "2", "3", "4", "8"] {
        std::fs::remove_dir_all(case.run_dir()).expect("removed");
        copy_folder(&kept, &case.run_dir());
        let arguments = case.resume(&["--workers", workers, "--threads", "1"]);
        case.check(&json(&borrowed(&arguments)));
    }
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("folder");
    for entry in std::fs::read_dir(from).expect("folder") {
        let path = entry.expect("entry").path();
        let copy = to.join(path.file_name().expect("name"));
        if path.is_dir() {
            copy_folder(&path, &copy);
        } else {
            std::fs::copy(&path, &copy).expect("copied");
        }
    }
}

#[test]
fn digits_from_k_means_kernels_and_classic_runs_resume_as_well() {
    for extra in [
        &["--task", "digits"][..],
        &["--set", "schedule.kind=classic"],
        &["--preset", "classic"],
    ] {
        let case = Case::new(3, extra);
        let first = case.start(9, &["--workers", "2"]);
        case.wait_for_checkpoint(6);
        case.kill(first);
        case.check(&json(&borrowed(&case.resume(&["--workers", "3"]))));
    }
}

#[test]
fn a_run_killed_before_its_first_checkpoint_begins_again() {
    let case = Case::new(2, &[]);
    let none = ["--checkpoint-steps", "0", "--checkpoint-seconds", "0"];
    let arguments = short_run(case.folder.path(), "run", 2, &none);
    case.kill(start_until_step(&arguments, &case.run_dir(), 3));
    assert!(checkpoints(&case.run_dir()).is_empty());
    case.check(&json(&borrowed(&case.resume(&[]))));
}

#[test]
fn an_interrupted_run_can_be_taken_up_to_its_end() {
    let case = Case::new(40, &[]);
    // No rule asks for a checkpoint: the interrupt does.
    let none = ["--checkpoint-seconds", "0", "--workers", "2"];
    let arguments = short_run(case.folder.path(), "run", 40, &none);
    let first = start_until_step(&arguments, &case.run_dir(), 12);
    signal(first.id(), "INT");
    let output = first.wait_with_output().expect("ends");
    assert_eq!(output.status.code(), Some(130));
    case.check(&json(&borrowed(&case.resume(&[]))));
}

#[test]
fn workers_outlive_their_coordinator() {
    let case = Case::new(20, &[]);
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("port");
    let address = port.local_addr().expect("address").to_string();
    drop(port);
    let cluster = [
        "--workers",
        "2",
        "--listen",
        &address,
        "--checkpoint-steps",
        "2",
    ];
    let mut arguments = short_run(case.folder.path(), "run", 20, &cluster);
    "coordinator".clone_into(&mut arguments[0]);
    let worker = || {
        let arguments = ["worker", "--connect", &address, "--threads", "1"];
        lagrange(&arguments).spawn().expect("starts")
    };
    let mut workers = [worker(), worker()];
    let coordinator = start_until_step(&arguments, &case.run_dir(), 10);
    case.wait_for_checkpoint(8);
    case.kill(coordinator);
    let mut arguments = case.resume(&["--listen", &address, "--workers", "2"]);
    "coordinator".clone_into(&mut arguments[0]);
    case.check(&json(&borrowed(&arguments)));
    for worker in &mut workers {
        assert!(
            worker.wait().expect("ends").success(),
            "the same worker to the end"
        );
    }
}

type Damage = fn(&mut Vec<u8>);

#[test]
fn damaged_checkpoints_are_named_and_passed_over() {
    let damages: [(&str, Damage); 3] = [
        ("torn", |bytes| bytes.truncate(bytes.len() / 2)),
        ("empty", Vec::clear),
        ("flipped", |bytes| {
            let place = bytes.len() - 1000;
            bytes[place] ^= 4;
        }),
    ];
    for (name, damage) in damages {
        let case = Case::new(4, &[]);
        let first = case.start(12, &["--workers", "2"]);
        case.wait_for_checkpoint(10);
        case.kill(first);
        let newest = checkpoints(&case.run_dir()).pop().expect("two of them").0;
        let mut bytes = std::fs::read(&newest).expect("read");
        damage(&mut bytes);
        std::fs::write(&newest, bytes).expect("written");
        let output = lagrange(&borrowed(&case.resume(&[])))
            .output()
            .expect("runs");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{name}: {stderr}");
        let file = newest.file_name().and_then(|n| n.to_str()).expect("name");
        assert!(
            stderr.contains(file) && stderr.contains("going back"),
            "{name}: {stderr}"
        );
        case.check(&last_json(&output));
    }
}

/// What a coordinator leaves that is killed before a checkpoint gets its name: part of a file, under another
/// name, beside the one before.
#[test]
fn a_checkpoint_that_did_not_get_its_name_is_not_one() {
    let case = Case::new(4, &[]);
    let first = case.start(12, &["--workers", "2"]);
    case.wait_for_checkpoint(10);
    case.kill(first);
    let newest = checkpoints(&case.run_dir()).pop().expect("one at least").0;
    let bytes = std::fs::read(&newest).expect("read");
    let part = newest.with_file_name(".checkpoint-cut-off");
    std::fs::write(&part, &bytes[..bytes.len() / 2]).expect("written");
    let output = lagrange(&borrowed(&case.resume(&[])))
        .output()
        .expect("runs");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    assert!(!stderr.contains("going back"), "{stderr}");
    case.check(&last_json(&output));
    assert!(!part.exists(), "nothing of it is left over");
}

#[test]
fn what_cannot_be_resumed_is_refused_with_the_reason() {
    let case = Case::new(4, &[]);
    let baseline = case.folder.path().join("baseline");
    let resume = |path: &Path, code| {
        let path = path.display().to_string();
        failure(&["train", "--resume", &path], code)
    };
    assert!(resume(&baseline, 1).contains("complete"));
    assert!(resume(&case.folder.path().join("nothing"), 1).contains("no run in it"));
    let decided = failure(&["train", "--resume", "runs/x", "--seed", "3"], 2);
    assert!(
        decided.contains("--seed") && decided.contains("--resume"),
        "{decided}"
    );

    let mut first = case.start(6, &["--workers", "2"]);
    case.wait_for_checkpoint(4);
    let busy = resume(&case.run_dir(), 1);
    assert!(busy.contains("another lagrange process"), "{busy}");
    let workers = children_of(first.id());
    signal(first.id(), "KILL");
    first.wait().expect("reaped");
    wait_until("its workers to end", || {
        workers
            .iter()
            .all(|&pid| !crate::binary::process::alive(pid))
    });

    let config = case.run_dir().join("config.toml");
    let text = std::fs::read_to_string(&config).expect("configuration");
    let other = text.replace("trust = ", "trust = 0.5 #");
    assert_ne!(text, other);
    std::fs::write(&config, other).expect("written");
    let changed = resume(&case.run_dir(), 1);
    assert!(changed.contains("schedule.trust"), "{changed}");
    std::fs::write(&config, text).expect("written");

    let newest = checkpoints(&case.run_dir()).pop().expect("one at least").0;
    let bytes = std::fs::read(&newest).expect("read");
    let later = of_a_later_release(&bytes);
    std::fs::write(&newest, later).expect("written");
    let format = resume(&case.run_dir(), 1);
    assert!(
        format.contains("`lagrange checkpoint 4`") && format.contains("release that wrote it"),
        "{format}"
    );
    std::fs::write(&newest, bytes).expect("written");

    let data = case.folder.path().join("data");
    std::fs::create_dir(&data).expect("folder");
    lagrange_tests::write_idx(&other_digits(), &data);
    let path = [case.run_dir(), data].map(|path| path.display().to_string());
    let foreign = failure(&["train", "--resume", &path[0], "--data", &path[1]], 1);
    assert!(
        foreign.contains("dataset") && foreign.contains("--data"),
        "{foreign}"
    );
}

/// A checkpoint with another format in its header.
fn of_a_later_release(bytes: &[u8]) -> Vec<u8> {
    const FORMAT: &[u8] = b"lagrange checkpoint 3";
    let mut windows = bytes.windows(FORMAT.len());
    let place = windows.position(|window| window == FORMAT).expect("format");
    let mut bytes = bytes.to_vec();
    bytes[place + FORMAT.len() - 1] = b'4';
    bytes
}

/// As many images of the same size as the run's, but others.
fn other_digits() -> lagrange_data::Dataset {
    let mut dataset = lagrange_data::Dataset::load(None).expect("embedded");
    dataset.train.images.pixels[0] ^= 1;
    dataset
}
