//! What a run leaves in its folder, and whether it is what a run that was left alone leaves.

use std::path::{Path, PathBuf};

/// What must not depend on what befell a run.
const RESULT: [&str; 6] = [
    "weights_sha256",
    "multipliers_sha256",
    "test_accuracy",
    "steps",
    "rollbacks",
    "certificate",
];

/// The run ended as one that was left alone.
pub fn assert_same_result(what: &str, result: &serde_json::Value, baseline: &serde_json::Value) {
    for key in RESULT {
        assert_eq!(result[key], baseline[key], "{what}: {key}");
    }
}

/// Everything in the metrics.
#[must_use]
pub fn metrics(run_dir: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(run_dir.join("metrics.jsonl")).expect("metrics");
    let line = |line| serde_json::from_str(line).expect("JSON");
    text.lines().map(line).collect()
}

/// Everything in the checkpoints' folder, by name.
#[must_use]
pub fn checkpoint_files(run_dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(run_dir.join("checkpoints")) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort_unstable();
    paths
}

/// Whole checkpoints and their steps, oldest first.
#[must_use]
pub fn checkpoints(run_dir: &Path) -> Vec<(PathBuf, u64)> {
    let files = checkpoint_files(run_dir).into_iter();
    let whole = files.filter_map(|path| {
        let name = path.file_name()?.to_str()?;
        let step = name.strip_prefix("step-")?.strip_suffix(".safetensors")?;
        let step = step.parse().ok()?;
        Some((path, step))
    });
    whole.collect()
}

/// Checkpoints that are being written, or were when their writer was killed.
#[must_use]
pub fn half_written(run_dir: &Path) -> Vec<PathBuf> {
    let mut files = checkpoint_files(run_dir);
    files.retain(|path| {
        let name = path.file_name().unwrap_or_default();
        name.to_string_lossy().starts_with(".checkpoint-")
    });
    files
}
