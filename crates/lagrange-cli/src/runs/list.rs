//! The runs of a folder, with what they came to.

use crate::output::{print, print_json};
use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A run folder.
#[derive(Debug, Serialize)]
struct Row {
    #[serde(serialize_with = "lagrange::as_text")]
    folder: PathBuf,
    state: &'static str,
    task: String,
    seed: Option<u64>,
    epochs: Option<f64>,
    steps: Option<u64>,
    validation_accuracy: Option<f64>,
    test_accuracy: Option<f64>,
    seconds: Option<f64>,
    weights_sha256: Option<String>,
}

/// Folders within folders that are looked into.
const DEPTH: usize = 4;

/// Prints the runs in `folder` and below it.
///
/// # Errors
/// If the folder cannot be listed.
pub(super) fn run(folder: &Path, json: bool) -> Result<()> {
    let mut rows = Vec::new();
    find(folder, DEPTH, &mut rows)
        .with_context(|| format!("{}: cannot be listed", folder.display()))?;
    rows.sort_by(|a, b| a.folder.cmp(&b.folder));
    match json {
        true => print_json(&rows),
        false => Ok(print(&table(&rows))?),
    }
}

/// Adds the runs in `folder` and below it; what cannot be listed below it is passed over.
fn find(folder: &Path, depth: usize, rows: &mut Vec<Row>) -> std::io::Result<()> {
    if folder.join("config.toml").is_file() && folder.join("metrics.jsonl").is_file() {
        rows.push(row(folder));
        return Ok(());
    }
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if depth > 0 && entry.file_type()?.is_dir() {
            let _ = find(&entry.path(), depth - 1, rows);
        }
    }
    Ok(())
}

fn row(folder: &Path) -> Row {
    let result = text(folder, "result.json").map(|text| serde_json::from_str::<Value>(&text));
    let state = result.as_ref().map(Result::is_ok);
    let result = result.and_then(Result::ok).unwrap_or_default();
    let config: toml::Table = text(folder, "config.toml")
        .and_then(|text| text.parse().ok())
        .unwrap_or_default();
    let number = |key: &str| result[key].as_f64();
    let epochs = config
        .get("schedule")
        .and_then(|table| table.get("epochs"))
        .and_then(|value| {
            let whole = value.as_integer().map(|whole| whole as f64);
            value.as_float().or(whole)
        });
    // A run that is to go on for longer than its result tells of.
    let goes_on =
        matches!((number("epochs"), epochs), (Some(of_result), Some(all)) if of_result < all);
    Row {
        folder: folder.to_owned(),
        state: match (state, result["interrupted"].as_bool()) {
            (Some(false), _) | (Some(true), None) => "damaged",
            (None, _) => "not complete",
            (_, Some(true)) => "interrupted",
            (_, Some(false)) if goes_on => "not complete",
            (_, Some(false)) => "complete",
        },
        task: config
            .get("task")
            .and_then(|task| task.as_str())
            .unwrap_or("?")
            .to_owned(),
        seed: config
            .get("seed")
            .and_then(toml::Value::as_integer)
            .and_then(|seed| seed.try_into().ok()),
        epochs: epochs.or(number("epochs")),
        steps: result["steps"].as_u64(),
        validation_accuracy: number("validation_accuracy"),
        test_accuracy: number("test_accuracy"),
        seconds: number("seconds"),
        weights_sha256: result["weights_sha256"].as_str().map(str::to_owned),
    }
}

/// The text of a file, if there is one; damaged bytes do not hide the rest. What is no file may have no end.
fn text(folder: &Path, name: &str) -> Option<String> {
    let path = folder.join(name);
    let is_file = path.metadata().is_ok_and(|kind| kind.is_file());
    let bytes = is_file.then(|| std::fs::read(path)).and_then(Result::ok);
    bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn table(rows: &[Row]) -> String {
    let names = rows.iter().map(|row| row.folder.display().to_string());
    let names: Vec<String> = names.collect();
    let width = names
        .iter()
        .map(|name| name.chars().count())
        .max()
        .unwrap_or(0)
        .max(3);
    let mut text = format!(
        "{:<width$}  {:<12} {:<9} {:>5} {:>7} {:>7} {:>7} {:>7} {:>9}  weights\n",
        "run", "state", "task", "seed", "epochs", "steps", "val %", "test %", "seconds"
    );
    let maybe = |number: Option<String>| number.unwrap_or_else(|| "-".to_owned());
    let percent = |share: Option<f64>| maybe(share.map(|share| format!("{:.2}", 100.0 * share)));
    for (row, name) in rows.iter().zip(names) {
        text += &format!(
            "{name:<width$}  {:<12} {:<9} {:>5} {:>7} {:>7} {:>7} {:>7} {:>9}  {}\n",
            row.state,
            row.task,
            maybe(row.seed.map(|seed| seed.to_string())),
            maybe(row.epochs.map(|epochs| epochs.to_string())),
            maybe(row.steps.map(|steps| steps.to_string())),
            percent(row.validation_accuracy),
            percent(row.test_accuracy),
            maybe(row.seconds.map(|seconds| format!("{seconds:.1}"))),
            maybe(
                row.weights_sha256
                    .as_ref()
                    .map(|hash| hash.chars().take(8).collect())
            ),
        );
    }
    text
}
