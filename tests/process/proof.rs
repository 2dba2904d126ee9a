//! What a run proves of itself: its certificate, and its steps done again.

use crate::binary::process::{borrowed, short_run, signal, start_until_step, wait_until};
use crate::binary::run_files::checkpoints;
use crate::binary::{failure, json, lagrange, last_json, path, stderr, text};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

/// A run of eight steps in `folder`, with `extra` flags.
fn trained(folder: &Path, extra: &[&str]) -> PathBuf {
    let _ = json(&borrowed(&short_run(folder, "run", 1, extra)));
    folder.join("run")
}

fn replay(run: &Path, flags: &[&str]) -> Output {
    let arguments = [&["replay", path(run)], flags].concat();
    lagrange(&arguments).output().expect("runs")
}

fn replayed(run: &Path, flags: &[&str], code: i32) -> serde_json::Value {
    let output = replay(run, &[flags, &["--json"]].concat());
    assert_eq!(
        output.status.code(),
        Some(code),
        "{flags:?}: {}",
        stderr(&output)
    );
    last_json(&output)
}

#[test]
fn the_certificate_is_in_the_last_lines_the_result_the_card_and_the_report() {
    let folder = tempfile::tempdir().expect("folder");
    let run = folder.path().join("run");
    let mut arguments = vec!["train", "--quiet", "--train-limit", "2048", "--epochs", "1"];
    arguments.extend(["--set", "schedule.check-every=4", "--run-dir", path(&run)]);
    let output = lagrange(&arguments).output().expect("runs");
    let printed = text(&output.stdout);
    let line = printed
        .lines()
        .find_map(|line| line.strip_prefix("certificate    "));
    let line = line.unwrap_or_else(|| panic!("a line of it in {printed}"));
    let result = fs::read_to_string(run.join("result.json")).expect("written");
    let result: serde_json::Value = serde_json::from_str(&result).expect("JSON");
    let certificate = &result["certificate"];
    let ran = certificate["ran"].as_u64().expect("a number");
    assert!(ran > 50 && ran < 1000, "{certificate}");
    assert_eq!(line, format!("{ran} checks, all held"));
    assert_eq!(
        (&certificate["held"], &certificate["failed"]),
        (&ran.into(), &0.into())
    );
    let entries = certificate["entries"].as_array().expect("a list");
    let of = |check: &str| {
        entries
            .iter()
            .filter(|entry| entry["check"] == check)
            .count()
    };
    let checks = [
        "sweep",
        "output-prox",
        "hidden-prox",
        "activation-step",
        "normal-equations",
    ];
    assert_eq!(checks.map(of), [3, 1, 2, 2, 3]);
    let card = fs::read_to_string(run.join("README.md")).expect("written");
    assert!(
        card.contains(&format!("| certificate | {line} |")),
        "{card}"
    );
    let report = lagrange(&["report", path(&run)]).output().expect("runs");
    assert!(report.status.success(), "{}", stderr(&report));
    let report = fs::read_to_string(run.join("report.html")).expect("written");
    assert!(report.contains("<h2>Certificate</h2>") && report.contains("all held"));

    // Without checks the bits are the same.
    let set = ["--set", "schedule.check-every=0"];
    let without = json(&borrowed(&short_run(folder.path(), "without", 1, &set)));
    assert_eq!(without["weights_sha256"], result["weights_sha256"]);
    assert_eq!(without["certificate"]["ran"], 0);
}

#[test]
fn a_step_done_again_is_that_of_the_run() {
    let folder = tempfile::tempdir().expect("folder");
    let run = trained(folder.path(), &["--workers", "3"]);
    let output = replay(&run, &["--step", "5", "--shard", "3", "--threads", "1"]);
    let told = text(&output.stdout);
    assert!(output.status.success(), "{told}{}", stderr(&output));
    assert!(
        told.contains("step           5, computed again from the beginning"),
        "{told}"
    );
    assert!(
        told.contains(": equal") && told.contains("kernels"),
        "{told}"
    );
    let all = replayed(&run, &["--step", "8", "--all"], 0);
    assert_eq!(
        (&all["agrees"], &all["first_difference"]),
        (&true.into(), &serde_json::Value::Null)
    );
    assert_eq!(all["shards"].as_array().map(Vec::len), Some(16));
    assert_eq!(all["kernels"], all["recorded_kernels"]);
    // The classic schedule keeps z and a from step to step.
    let folder = tempfile::tempdir().expect("folder");
    let run = trained(
        folder.path(),
        &["--workers", "2", "--set", "schedule.kind=classic"],
    );
    replayed(&run, &["--step", "4", "--all"], 0);
}

#[test]
fn a_run_that_was_killed_is_done_again_from_its_checkpoint() {
    let folder = tempfile::tempdir().expect("folder");
    let run = folder.path().join("run");
    let arguments = short_run(folder.path(), "run", 8, &["--checkpoint-steps", "3"]);
    let mut child = start_until_step(&arguments, &run, 10);
    wait_until("a checkpoint", || {
        checkpoints(&run).last().is_some_and(|(_, step)| *step >= 9)
    });
    signal(child.id(), "KILL");
    child.wait().expect("reaped");
    let (_, step) = checkpoints(&run).pop().expect("a checkpoint");
    let found = replayed(&run, &["--step", &step.to_string(), "--all"], 0);
    assert!(found["from_step"].as_u64() < Some(step), "{found}");
    let (_, before) = checkpoints(&run)[0];
    assert_eq!(found["from_step"].as_u64(), Some(before));
    // Taken up again, it has a record of each step still.
    let resumed = ["train", "--json", "--resume", path(&run)];
    let result = json(&resumed);
    replayed(&run, &["--step", &result["steps"].to_string(), "--all"], 0);
    let bytes = fs::read(run.join("shards.crc")).expect("written").len();
    assert_eq!(bytes, 100 + 64 * (8 + 8 + 16 * 4 + 4));
}

#[test]
fn what_was_recorded_otherwise_is_found_and_what_is_damaged_is_named() {
    let folder = tempfile::tempdir().expect("folder");
    let run = trained(folder.path(), &[]);
    let file = run.join("shards.crc");
    let sound = fs::read(&file).expect("written");
    let record = 8 + 8 + 16 * 4 + 4;
    let of_step = |step: usize| 100 + (step - 1) * record;
    // Another checksum of shard 2 in step 3, as a machine with bad memory would have sent it.
    let mut other = sound.clone();
    other[of_step(3) + 16 + 2 * 4] ^= 1;
    let end = of_step(4) - 4;
    let checksum = crc32fast::hash(&other[of_step(3)..end]);
    other[end..end + 4].copy_from_slice(&checksum.to_le_bytes());
    fs::write(&file, &other).expect("written");
    let found = replayed(&run, &["--step", "3", "--shard", "2"], 1);
    assert_eq!(found["agrees"], false);
    let first = serde_json::json!({ "step": 3, "shard": 2, "shards": 1 });
    assert_eq!(found["first_difference"], first);
    let output = replay(&run, &["--step", "3", "--shard", "2"]);
    assert!(text(&output.stdout).contains(": DIFFERENT"));
    // Other shards, and later steps, are as they were; the difference is told all the same.
    replayed(&run, &["--step", "3", "--shard", "1"], 0);
    assert_eq!(
        replayed(&run, &["--step", "6", "--all"], 0)["first_difference"],
        first
    );

    let mut flipped = sound.clone();
    flipped[of_step(5) + 30] ^= 16;
    fs::write(&file, &flipped).expect("written");
    let told = failure(&["replay", path(&run), "--step", "5", "--all"], 1);
    assert!(
        told.contains("shards.crc") && told.contains("damaged"),
        "{told}"
    );
    replayed(&run, &["--step", "6", "--all"], 0);
    for (bytes, words) in [
        (b"nonsense".to_vec(), "not a shard record"),
        (flip(&sound, 40), "head is damaged"),
    ] {
        fs::write(&file, bytes).expect("written");
        let told = failure(&["replay", path(&run), "--step", "5", "--all"], 1);
        assert!(told.contains(words), "{told}");
    }
}

fn flip(bytes: &[u8], place: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[place] ^= 1;
    bytes
}

#[test]
fn what_cannot_be_done_again_is_named() {
    let folder = tempfile::tempdir().expect("folder");
    let run = trained(folder.path(), &[]);
    let pictures = crate::pictures::drawn();
    let other = pictures.path().join("pictures");
    let told = |flags: &[&str]| failure(&[&["replay", path(&run)], flags].concat(), 1);
    for (flags, words) in [
        (
            &["--step", "9", "--all"][..],
            "--step 9: the run has records of steps 1 to 8",
        ),
        (
            &["--step", "2", "--shard", "16"],
            "--shard 16: the run has shards 0 to 15",
        ),
        (
            &["--step", "2", "--all", "--data", path(&other)],
            "the run was trained on dataset",
        ),
    ] {
        let told = told(flags);
        assert!(told.contains(words), "{flags:?}: {told}");
    }
    let _ = failure(&["replay", path(&run), "--step", "0", "--all"], 2);
    let _ = failure(&["replay", path(&run), "--step", "1"], 2);
    fs::remove_file(run.join("shards.crc")).expect("removed");
    assert!(told(&["--step", "1", "--all"]).contains("shards.crc: cannot be read"));
    let empty = folder.path().join("nothing");
    let told = failure(&["replay", path(&empty), "--step", "1", "--all"], 1);
    assert!(told.contains("there is no run in it"), "{told}");
}

#[test]
#[cfg(target_arch = "x86_64")]
fn other_kernels_are_named_and_the_first_difference_is_told() {
    let folder = tempfile::tempdir().expect("folder");
    let run = trained(folder.path(), &[]);
    let mut command = lagrange(&["replay", path(&run), "--step", "8", "--all", "--json"]);
    let output = command
        .env("OPENBLAS_CORETYPE", "Nehalem")
        .output()
        .expect("runs");
    let found = last_json(&output);
    let warned = stderr(&output).contains("with the OpenBLAS kernels");
    // A build of OpenBLAS may have a single core.
    assert_eq!(warned, found["kernels"] != found["recorded_kernels"]);
    assert_eq!(
        output.status.code(),
        Some(i32::from(found["agrees"] == false))
    );
    assert_eq!(
        found["agrees"] == false,
        !found["first_difference"].is_null() && warned
    );
}
