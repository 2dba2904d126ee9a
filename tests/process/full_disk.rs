//! Disks that are full: what cannot be written costs itself, and nothing else.

use crate::binary::process::{borrowed, short_run, signal, wait_for_step, with_room_for};
use crate::binary::run_files::{assert_same_result, checkpoints};
use crate::binary::{json, lagrange, last_json};
use std::path::Path;
use std::process::{Command, Stdio};

fn resume(run_dir: &Path) -> Command {
    let run_dir = run_dir.to_str().expect("UTF-8");
    lagrange(&[
        "train",
        "--json",
        "--workers",
        "2",
        "--checkpoint-steps",
        "2",
        "--resume",
        run_dir,
    ])
}

/// Starts a run and kills it once the metrics show a step.
fn kill_at(mut command: Command, run_dir: &Path, step: u64) {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("starts");
    wait_for_step(run_dir, step);
    signal(child.id(), "KILL");
    child.wait().expect("reaped");
}

#[test]
fn without_room_for_checkpoints_a_run_goes_on_and_the_one_before_stays_good() {
    let folder = tempfile::tempdir().expect("folder");
    let run_dir = folder.path().join("run");
    let rules = ["--workers", "2", "--checkpoint-steps", "2"];
    let baseline = json(&borrowed(&short_run(
        folder.path(),
        "left-alone",
        5,
        &rules,
    )));
    kill_at(
        lagrange(&borrowed(&short_run(folder.path(), "run", 5, &rules))),
        &run_dir,
        10,
    );
    let before = checkpoints(&run_dir);
    let (newest, _) = before.last().expect("one at least");
    let room = std::fs::metadata(newest).expect("size").len() / 2;

    kill_at(with_room_for(room, &resume(&run_dir)), &run_dir, 20);
    assert_eq!(checkpoints(&run_dir), before);

    let output = with_room_for(room, &resume(&run_dir))
        .output()
        .expect("runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(
        stderr.contains("a checkpoint cannot be written") && stderr.contains("step-"),
        "{stderr}"
    );
    assert_same_result("resumed", &last_json(&output), &baseline);
}

#[test]
fn a_model_that_cannot_be_written_is_an_error_and_the_run_can_still_be_ended() {
    let folder = tempfile::tempdir().expect("folder");
    let rules = ["--workers", "2", "--checkpoint-steps", "2"];
    let baseline = json(&borrowed(&short_run(
        folder.path(),
        "left-alone",
        2,
        &rules,
    )));
    let run_dir = folder.path().join("run");
    // No file can be put in the place of a folder.
    let place = run_dir.join("model.safetensors");
    std::fs::create_dir_all(&place).expect("folder");
    let arguments = short_run(folder.path(), "run", 2, &rules);
    let output = lagrange(&borrowed(&arguments)).output().expect("runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("model.safetensors: cannot be written"),
        "{stderr}"
    );
    assert!(!run_dir.join("result.json").exists());
    assert!(!checkpoints(&run_dir).is_empty());

    std::fs::remove_dir(&place).expect("removed");
    let output = resume(&run_dir).output().expect("runs");
    assert!(output.status.success());
    assert_same_result("resumed", &last_json(&output), &baseline);
    assert!(place.is_file());
}
