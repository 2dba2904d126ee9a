//! Runs that something keeps from their end, and what a sweep and a comparison make of them: they are
//! named, count nowhere, and are tried again.

use crate::binary::process::{
    borrowed, children_of, signal, wait_for_step, wait_until, with_room_for,
};
use crate::binary::studies::{sweep, text, tiny};
use crate::binary::{failure, json, lagrange, last_json};
use serde_json::Value;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// A sweep of one setting and two seeds, each of which takes long enough to be disturbed.
const LONG: [&str; 7] = [
    "--validation",
    "40",
    "--seeds",
    "0..2",
    "--json",
    "--epochs",
    "100",
];

/// The first run of that sweep.
const FIRST: &str = "sweep/base/seed-0";

fn start(arguments: &[&str]) -> Child {
    lagrange(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts")
}

/// Kills the run that a process has started; returns what the process came to.
fn kill_its_run(process: Child) -> Output {
    let children = children_of(process.id());
    let [run] = children.as_slice() else {
        panic!("one run at a time: {children:?}");
    };
    signal(*run, "KILL");
    process.wait_with_output().expect("ends")
}

/// Accuracies and counts of a sweep: what must not depend on what befell it before.
fn figures(summary: &Value) -> Value {
    let setting = &summary["settings"][0];
    let keys = ["seeds", "finished", "validation", "collapses", "failed"];
    keys.iter()
        .map(|&key| (key.to_owned(), setting[key].clone()))
        .chain([("best".to_owned(), summary["best"].clone())])
        .collect()
}

/// The figures of a sweep that was left alone.
fn undisturbed(more: &[&str]) -> Value {
    let folder = tempfile::tempdir().expect("folder");
    let _data = tiny(folder.path());
    figures(&json(&borrowed(&sweep(folder.path(), more))))
}

#[test]
fn a_killed_run_has_failed_and_the_next_call_tries_it_again() {
    let folder = tempfile::tempdir().expect("folder");
    let _data = tiny(folder.path());
    let arguments = sweep(folder.path(), &LONG);
    let process = start(&borrowed(&arguments));
    wait_for_step(&folder.path().join(FIRST).join("run"), 5);
    let output = kill_its_run(process);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let summary = last_json(&output);
    let setting = &summary["settings"][0];
    assert_eq!(
        (&setting["seeds"], &setting["finished"]),
        (&2.into(), &1.into())
    );
    assert_eq!(setting["collapses"], 0, "{summary}");
    assert_eq!(setting["failed"][0]["seed"], 0, "{summary}");
    assert_eq!(
        setting["failed"][0]["reason"],
        "killed by signal 9 (SIGKILL)"
    );
    assert_eq!(summary["best_is_incomplete"], true);
    assert!(!folder.path().join(FIRST).join("cell.json").exists());
    let again = json(&borrowed(&arguments));
    assert_eq!(figures(&again), undisturbed(&LONG));
    assert_eq!(again["best_is_incomplete"], false);
}

#[test]
fn a_sweep_that_was_killed_goes_on_at_once_and_two_do_not_work_in_one_folder() {
    let folder = tempfile::tempdir().expect("folder");
    let _data = tiny(folder.path());
    let arguments = sweep(folder.path(), &LONG);
    let mut process = start(&borrowed(&arguments));
    wait_for_step(&folder.path().join(FIRST).join("run"), 5);
    let error = failure(&borrowed(&arguments), 1);
    assert!(
        error.contains("another lagrange process is at work in it"),
        "{error}"
    );
    process.kill().expect("killed");
    process.wait().expect("reaped");
    // The run that it had started must not go on in the folder that the next sweep uses.
    let summary = json(&borrowed(&arguments));
    assert_eq!(figures(&summary), undisturbed(&LONG));
}

#[test]
fn a_signal_to_the_whole_group_leaves_nothing_that_is_believed_later() {
    let folder = tempfile::tempdir().expect("folder");
    let _data = tiny(folder.path());
    let more = ["--validation", "40", "--seeds", "0..2", "--json"];
    let arguments = sweep(folder.path(), &more);
    let begun = folder.path().join(FIRST).join("sweep.toml");
    for (millis, name) in (0..6).flat_map(|millis| [(millis, "TERM"), (millis, "INT")]) {
        let process = lagrange(&borrowed(&arguments))
            .process_group(0)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        while !begun.exists() {
            std::thread::sleep(Duration::from_micros(200));
        }
        std::thread::sleep(Duration::from_millis(millis));
        signal_group(process.id(), name);
        let output = process.wait_with_output().expect("ends");
        assert_eq!(output.status.code(), Some(130), "{millis} ms: {output:?}");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(error.ends_with("sweep holds what is complete\n"), "{error}");
        assert!(!folder.path().join(FIRST).join("cell.json").exists());
        assert!(!folder.path().join("sweep/summary.json").exists());
        std::fs::remove_file(&begun).expect("removed");
    }
    assert_eq!(figures(&json(&borrowed(&arguments))), undisturbed(&more));
}

fn signal_group(leader: u32, name: &str) {
    let status = Command::new("kill")
        .args([&format!("-{name}"), "--", &format!("-{leader}")])
        .status();
    assert!(status.expect("kill").success(), "group {leader} was there");
}

#[test]
fn what_earlier_calls_left_torn_or_failed_is_run_again() {
    let folder = tempfile::tempdir().expect("folder");
    let _data = tiny(folder.path());
    let more = ["--validation", "40", "--seeds", "0..4", "--json"];
    let arguments = sweep(folder.path(), &more);
    let first = figures(&json(&borrowed(&arguments)));
    let file = |seed: u32, name: &str| {
        let folder = folder.path().join(format!("sweep/base/seed-{seed}"));
        folder.join(name)
    };
    let cut = |path: &Path| {
        let bytes = std::fs::read(path).expect("read");
        std::fs::write(path, &bytes[..bytes.len() / 2]).expect("written");
    };
    cut(&file(0, "cell.json"));
    cut(&file(1, "sweep.toml"));
    std::fs::write(file(2, "sweep.toml"), "").expect("written");
    // As earlier releases kept a run that was killed.
    let failed = r#"{"seed":3,"validation_accuracy":null,"test_accuracy":null,"seconds":0.0,"error":"lost the coordinator"}"#;
    std::fs::write(file(3, "cell.json"), failed).expect("written");
    assert_eq!(figures(&json(&borrowed(&arguments))), first);
    for seed in 0..4 {
        let cell = std::fs::read_to_string(file(seed, "cell.json")).expect("kept");
        let cell: Value = serde_json::from_str(&cell).expect("whole");
        assert!(cell["validation_accuracy"].as_f64() > Some(0.5), "{cell}");
    }
}

#[test]
fn a_run_without_room_for_its_model_has_failed_with_its_own_words() {
    let folder = tempfile::tempdir().expect("folder");
    let _data = tiny(folder.path());
    let wide = "[{ kernel = 3, channels = 64 }]";
    let config = folder.path().join("tiny.toml");
    let text = std::fs::read_to_string(&config).expect("read");
    let text = text.replace("[{ kernel = 3, channels = 4 }]", wide);
    std::fs::write(&config, text).expect("written");
    let more = ["--validation", "40", "--seeds", "0", "--json"];
    let arguments = sweep(folder.path(), &more);
    // Room for everything but the model.
    let command = with_room_for(4096, &lagrange(&borrowed(&arguments)));
    let output = { command }.output().expect("runs");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let summary = last_json(&output);
    let failed = &summary["settings"][0]["failed"][0]["reason"];
    let reason = failed.as_str().expect("a reason");
    assert!(
        reason.contains("no room for the model and the result"),
        "{reason}"
    );
    assert_eq!(summary["best"], Value::Null, "{summary}");
    assert_eq!(summary["settings"][0]["collapses"], 0, "{summary}");
    let again = json(&borrowed(&arguments));
    assert_eq!(again["settings"][0]["finished"], 1, "{again}");
}

#[test]
fn a_killed_run_of_a_comparison_counts_nowhere() {
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().join("compare");
    let out_text = text(&out);
    let arguments = [
        "compare",
        "--train-limit",
        "4096",
        "--seeds",
        "0..2",
        "--only",
        "streaming",
        "--out",
        &out_text,
        "--json",
    ];
    let process = start(&arguments);
    wait_until("the first run", || {
        out.join("runs/streaming-seed0/config.toml").exists()
    });
    let output = kill_its_run(process);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let table = last_json(&output);
    let row = &table["rows"][0];
    assert_eq!(
        (&row["finished"], &row["collapses"]),
        (&1.into(), &0.into())
    );
    assert_eq!(row["failed"][0]["seed"], 0, "{table}");
    assert_eq!(row["failed"][0]["reason"], "killed by signal 9 (SIGKILL)");
    assert_eq!(row["accuracy"]["mean"], row["cells"][1]["accuracy"]);
    let saved = std::fs::read_to_string(out.join("compare.json")).expect("saved");
    let saved: Value = serde_json::from_str(&saved).expect("whole");
    assert_eq!(saved, table);
    let markdown = std::fs::read_to_string(out.join("compare.md")).expect("saved");
    assert!(markdown.contains("| 1 of 2 | 0 of 1 |"), "{markdown}");
    assert!(
        markdown.contains("streaming, seed 0: failed: killed by signal 9"),
        "{markdown}"
    );
}

#[test]
fn a_comparison_does_not_use_a_folder_that_is_in_use() {
    let folder = tempfile::tempdir().expect("folder");
    let lock = std::fs::File::create(folder.path().join(".lock")).expect("made");
    lock.lock().expect("locked");
    let out = text(folder.path());
    let error = failure(&["compare", "--only", "ridge", "--out", &out], 1);
    assert!(
        error.contains("another lagrange process is at work in it"),
        "{error}"
    );
}
