//! What a person looks at: the report at the end of a run, runs compared, configurations checked.

use crate::binary::{failure, four_steps, json, lagrange, path, stderr, text};
use crate::pictures::drawn;
use crate::take_away::trained;
use std::fs;
use std::path::Path;

/// A run of four steps of MNIST.
fn run(folder: &Path, name: &str, more: &[&str]) {
    let output = four_steps(&folder.join(name)).args(more).output();
    let output = output.expect("runs");
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn a_run_ends_with_a_report_unless_none_is_wanted_or_it_cannot_be_written() {
    let folder = tempfile::tempdir().expect("folder");
    run(folder.path(), "usual", &[]);
    let html = fs::read_to_string(folder.path().join("usual/report.html")).expect("written");
    for words in [
        "Primal residual of outputs",
        "Confusion",
        "Mistakes",
        "Kernels",
    ] {
        assert!(html.contains(words), "{words}");
    }
    run(folder.path(), "bare", &["--no-report"]);
    assert!(!folder.path().join("bare/report.html").exists());
    // Where it cannot be written, the run is complete all the same.
    fs::create_dir_all(folder.path().join("blocked/report.html")).expect("folder");
    let output = four_steps(&folder.path().join("blocked")).output();
    let output = output.expect("runs");
    assert!(output.status.success() && text(&output.stdout).contains("weights_sha256"));
    let said = stderr(&output);
    assert!(said.contains("without report.html"), "{said}");
}

#[test]
fn data_that_would_have_to_be_decoded_again_are_left_to_the_report_command() {
    let folder = trained();
    let html = fs::read_to_string(folder.path().join("run/report.html")).expect("written");
    assert!(html.contains("--data PATH") && !html.contains("Confusion"));
}

#[test]
fn what_differs_between_runs_is_told_and_drawn() {
    let folder = tempfile::tempdir().expect("folder");
    run(folder.path(), "a", &["--no-report"]);
    run(folder.path(), "b/a", &["--no-report", "--seed", "7"]);
    let [one, other] = ["a", "b/a"].map(|name| folder.path().join(name));
    let compared = json(&["runs", "compare", path(&one), path(&other), "--json"]);
    let keys = compared["configuration"].as_array().expect("keys");
    assert_eq!((keys.len(), &keys[0]["key"]), (1, &"seed".into()));
    assert_eq!(keys[0]["values"], serde_json::json!([0, 7]));
    assert_ne!(compared["runs"][0], compared["runs"][1]);
    let output = lagrange(&["runs", "compare", path(&one), path(&other)]).output();
    let table = text(&output.expect("runs").stdout);
    for words in ["test accuracy %", "weights", "MB from workers", "b/a"] {
        assert!(table.contains(words), "{words}: {table}");
    }
    let out = folder.path().join("both.html");
    let report = ["report", path(&one), path(&other), "--out", path(&out)];
    assert!(lagrange(&report).status().expect("runs").success());
    let html = fs::read_to_string(out).expect("written");
    assert!(html.contains("curve c0") && html.contains("curve c1") && html.contains("b/a"));
    let alone = failure(&["runs", "compare", path(&one)], 2);
    assert!(alone.contains("2 values"), "{alone}");
}

#[test]
fn a_configuration_is_checked_by_itself_and_against_data() {
    let folder = drawn();
    let [data, config] = ["pictures", "tiny.toml"].map(|name| folder.path().join(name));
    let fits = [
        "config",
        "validate",
        "--config",
        path(&config),
        "--data",
        path(&data),
        "--json",
    ];
    let valid = json(&fits);
    assert_eq!(valid["run"]["classes"].as_array().map(Vec::len), Some(3));
    assert!(valid["run"]["steps"].as_u64() > Some(0), "{valid}");
    let valid = json(&["config", "validate", "--json"]);
    assert_eq!(valid["run"]["steps"], 936);
    // For other data than the embedded ones it may be right all the same.
    let other = ["config", "validate", "--positive", "red"];
    let output = lagrange(&other).output().expect("runs");
    let said = text(&output.stdout);
    assert!(
        output.status.success() && said.contains("not for the embedded MNIST"),
        "{said}"
    );
    let with_data = [
        &other[..],
        &["--data", path(&data), "--config", path(&config)],
    ]
    .concat();
    assert!(lagrange(&with_data).status().expect("runs").success());
    for (more, key) in [
        (&["--set", "schedule.trust=-1"][..], "schedule.trust"),
        (&["--set", "schedule.trsut=1"], "schedule.trsut"),
        (&["--set", "data.shards=7"], "schedule.gram-rows"),
        (
            &["--positive", "green-ish", "--data", path(&data)],
            "green-ish",
        ),
    ] {
        let said = failure(&[&["config", "validate"], more].concat(), 1);
        assert!(said.contains(key), "{key}: {said}");
    }
}
