//! Commands that run many others: sweep and compare, and the baselines, on a tiny set.

use crate::binary::process::borrowed;
use crate::binary::studies::{sweep, text, tiny};
use crate::binary::{failure, json, lagrange, last_json};
use std::path::Path;
use std::time::SystemTime;

#[test]
fn a_sweep_goes_on_where_it_stopped_and_selects_on_held_out_images() {
    let folder = tempfile::tempdir().expect("folder");
    let _data = tiny(folder.path());
    let grid = [
        "--validation",
        "40",
        "--grid",
        "schedule.trust=0.02,0.05",
        "--seeds",
        "0..2",
        "--json",
    ];
    let arguments = sweep(folder.path(), &grid);
    let first = json(&borrowed(&arguments));
    assert_eq!(first["settings"].as_array().map(Vec::len), Some(2));
    assert_eq!(first["settings"][0]["seeds"], 2);
    assert!(first["best_test"].is_null());
    assert!(
        first["settings"][1]["validation"]["mean"].as_f64() > Some(0.8),
        "{first}"
    );

    let cell = |setting: &str, seed: u32| {
        folder
            .path()
            .join(format!("sweep/{setting}/seed-{seed}/cell.json"))
    };
    let written = |path: &Path| -> SystemTime {
        std::fs::metadata(path)
            .and_then(|m| m.modified())
            .expect("a finished cell")
    };
    let (kept, lost) = (
        cell("schedule.trust=0.02", 0),
        cell("schedule.trust=0.05", 1),
    );
    let before = written(&kept);
    // As if the sweep had been killed in its last cell.
    std::fs::remove_file(&lost).expect("removed");
    let again = json(&borrowed(&sweep(
        folder.path(),
        &[&grid[..], &["--report-test"]].concat(),
    )));
    assert_eq!(written(&kept), before, "a finished cell is not run again");
    assert!(lost.exists());
    assert_eq!(again["best"], first["best"]);
    assert!(again["best_test"]["mean"].as_f64() > Some(0.8), "{again}");

    let other = sweep(folder.path(), &[&grid[..], &["--epochs", "1"]].concat());
    let error = failure(&borrowed(&other), 1);
    assert!(
        error.contains("another configuration") && error.contains("--out"),
        "{error}"
    );
}

#[test]
fn slips_of_a_sweep_are_named_before_anything_runs() {
    let folder = tempfile::tempdir().expect("folder");
    let _data = tiny(folder.path());
    let error = |more: &[&str], code| failure(&borrowed(&sweep(folder.path(), more)), code);
    assert!(error(&[], 1).contains("--validation"));
    let held_out = ["--validation", "40"];
    let with = |more: &[&str]| error(&[&held_out[..], more].concat(), 1);
    assert!(with(&["--grid", "schedule.tusk=1"]).contains("tusk"));
    assert!(with(&["--grid", "seed=1", "--seed", "2"]).contains("--seeds"));
    assert!(with(&["--grid", "seed=1,2"]).contains("--seeds"));
    assert!(with(&["--grid", "schedule.epochs=1,2", "--epochs", "3"]).contains("--epochs"));
    assert!(with(&["--grid", "schedule.trust=0.1,0.10"]).contains("the same setting"));
    assert!(with(&["--grid", "a=1", "--grid", "a=2"]).contains("twice"));
    let preset = with(&["--preset", "best", "--grid", "schedule.trust=1"]);
    assert!(preset.contains("error: unknown preset `best`"), "{preset}");
    assert!(
        failure(&["sweep", "--validation", "40", "--workers", "1000"], 1).contains("--workers")
    );
    assert!(error(&["--seeds", "5..1"], 2).contains("5..1"));
    assert!(error(&["--grid", "a"], 2).contains("KEY=VALUE"));
    assert!(!folder.path().join("sweep").exists());
}

#[test]
fn values_that_cannot_be_run_are_named_before_anything_runs() {
    let folder = tempfile::tempdir().expect("folder");
    let _data = tiny(folder.path());
    for (grid, reason) in [
        ("schedule.trust=0.01,-1", "above 0"),
        ("schedule.trust=0.01,a-little", "expected f32"),
        ("schedule.loss=squared,cubic", "cubic"),
        ("schedule.batch=32,33", "multiple"),
        ("schedule.batch=32,4096", "the smallest has"),
        ("task=odd-even,primes", "primes"),
        ("start.patches=256,999999999999", "start.patches"),
    ] {
        let more = ["--validation", "40", "--grid", grid];
        let error = failure(&borrowed(&sweep(folder.path(), &more)), 1);
        let (key, values) = grid.split_once('=').expect("a grid");
        let value = values.split(',').next_back().expect("a value");
        assert!(
            error.contains(&format!("--grid {key}={value}: ")),
            "{error}"
        );
        assert!(error.contains(reason), "{error}");
    }
    assert!(!folder.path().join("sweep").exists());
    let out = text(&folder.path().join("compare"));
    for (limit, row) in [("100", "row streaming: "), ("20", "row vanilla: ")] {
        if row.contains("vanilla") && !BACK_PROPAGATION {
            continue;
        }
        let row_name = &row[4..row.len() - 2];
        let arguments = ["compare", "--out", &out, "--train-limit", limit, "--only"];
        let error = failure(&[&arguments[..], &[row_name]].concat(), 1);
        assert!(error.contains(row) && error.contains("batch"), "{error}");
    }
    assert!(!folder.path().join("compare").exists());
}

#[test]
fn a_failed_training_is_a_collapse_and_not_the_end() {
    let folder = tempfile::tempdir().expect("folder");
    let _data = tiny(folder.path());
    // Steps that overflow f32 at once, however often training goes back to its start.
    let more = [
        "--validation",
        "40",
        "--seeds",
        "0",
        "--json",
        "--grid",
        "schedule.output-rate=0.1,1e38",
        "--epochs",
        "4",
    ];
    let summary = json(&borrowed(&sweep(folder.path(), &more)));
    for (setting, (collapses, finished)) in [(0, 1), (1, 0)].into_iter().enumerate() {
        let setting = &summary["settings"][setting];
        assert_eq!(setting["collapses"], collapses, "{summary}");
        assert_eq!(setting["finished"], finished, "{summary}");
        assert_eq!(setting["failed"], serde_json::json!([]), "{summary}");
    }
    assert_eq!(summary["best"], "schedule.output-rate=0.1");
    let cell = "sweep/schedule.output-rate=1e38/seed-0/cell.json";
    let kept = std::fs::read_to_string(folder.path().join(cell)).expect("kept");
    assert!(kept.contains("training diverged"), "{kept}");
    assert_eq!(json(&borrowed(&sweep(folder.path(), &more))), summary);
}

#[test]
fn a_training_that_diverges_says_so_by_its_exit_code() {
    let folder = tempfile::tempdir().expect("folder");
    let data = text(&tiny(folder.path()));
    let config = text(&folder.path().join("tiny.toml"));
    let run_dir = text(&folder.path().join("run"));
    let arguments = ["train", "--quiet", "--workers", "1", "--data", &data];
    let more = ["--config", &config, "--run-dir", &run_dir];
    let rate = ["--set", "schedule.output-rate=1e38", "--epochs", "4"];
    let error = failure(&[&arguments[..], &more, &rate].concat(), 3);
    assert!(error.contains("training diverged"), "{error}");
}

#[test]
fn a_comparison_has_a_row_for_every_system_asked_for() {
    let folder = tempfile::tempdir().expect("folder");
    let out = text(&folder.path().join("compare"));
    let table = json(&[
        "compare",
        "--train-limit",
        "640",
        "--seeds",
        "3",
        "--only",
        "streaming,ridge,random-filters",
        "--out",
        &out,
        "--json",
        "--quiet",
    ]);
    let rows = table["rows"].as_array().expect("rows");
    let names: Vec<_> = rows
        .iter()
        .map(|row| row["name"].as_str().expect("name"))
        .collect();
    assert_eq!(names, ["streaming", "ridge", "random-filters"]);
    for row in rows {
        assert_eq!(row["collapses"], 0, "{row}");
        assert!(row["accuracy"]["mean"].as_f64() > Some(0.7), "{row}");
    }
    assert!(rows[0]["bytes"]["mean"].as_f64() > Some(0.0));
    assert!(rows[0]["equations"]["mean"].as_f64() > Some(0.0));
    let markdown =
        std::fs::read_to_string(folder.path().join("compare/compare.md")).expect("saved");
    assert!(markdown.contains("| ridge |"), "{markdown}");
    assert!(failure(&["compare", "--only", "best"], 2).contains("streaming"));
}

#[test]
fn a_baseline_reports_its_score() {
    let folder = tempfile::tempdir().expect("folder");
    let data = text(&tiny(folder.path()));
    let output = lagrange(&["baseline", "ridge", "--json", "--data", &data])
        .output()
        .expect("runs");
    assert!(last_json(&output)["seconds"].as_f64() >= Some(0.0));
}

/// Whether the binary has the baselines that are trained by back-propagation.
const BACK_PROPAGATION: bool = cfg!(feature = "back-propagation");

#[test]
fn back_propagation_trains_or_says_how_it_is_built() {
    let folder = tempfile::tempdir().expect("folder");
    let data = text(&tiny(folder.path()));
    let config = text(&folder.path().join("tiny.toml"));
    let of = |kind: &'static str| ["baseline", kind, "--data", &data, "--config", &config];
    if !BACK_PROPAGATION {
        let error = failure(&of("vanilla"), 1);
        assert!(error.contains("--features back-propagation"), "{error}");
        let compared = ["compare", "--only", "adam", "--train-limit", "640", "--out"];
        let out = text(&folder.path().join("compare"));
        let error = failure(&[&compared[..], &[&out]].concat(), 1);
        assert!(
            error.contains("row adam: this build has no back-propagation"),
            "{error}"
        );
        return;
    }
    let result = json(&[&of("vanilla")[..], &["--json", "--epochs", "8"]].concat());
    assert_eq!(result["baseline"], "vanilla");
    assert!(result["test_accuracy"].as_f64() > Some(0.8), "{result}");
    let step = ["--set", "network.activation=step"];
    let error = failure(&[&of("adam")[..], &step].concat(), 1);
    assert!(error.contains("one has pool - step"), "{error}");
}

#[test]
fn bench_measures_every_part_of_a_step_and_every_number_of_workers() {
    let measured = json(&["bench", "--json", "--set", "schedule.batch=32"]);
    let rows = |key: &str| measured[key].as_array().cloned().unwrap_or_default();
    let names: Vec<String> = rows("kernels")
        .iter()
        .map(|row| row["name"].as_str().unwrap_or_default().to_owned())
        .collect();
    for name in [
        "stage 1 convolution",
        "stage 2 adjoint",
        "stage 2 pool prox",
        "stage 3 solve, per step",
        "a shard's step with Gram refresh",
    ] {
        assert!(names.iter().any(|found| found == name), "{names:?}");
    }
    for row in rows("kernels") {
        assert!(row["micros"].as_f64().is_some_and(|t| t > 0.0), "{row}");
    }
    let scaling = rows("scaling");
    assert_eq!(scaling[0]["workers"], 1);
    assert_eq!(scaling[0]["speed_up"], 1.0);
    for row in &scaling {
        for key in ["images_per_second", "bytes_per_step", "wait_ms"] {
            assert!(row[key].as_f64().is_some_and(|v| v > 0.0), "{key}: {row}");
        }
    }
    let refused = failure(&["bench", "--preset", "classic"], 1);
    assert!(refused.contains("schedule.kind"), "{refused}");
}
