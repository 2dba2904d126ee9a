//! The run folder: configuration, metrics as JSON lines, model and result.

use crate::config::Config;
use crate::model::Model;
use anyhow::{Context as _, Result, bail};
use lagrange_coordinator::{CheckpointStore, Facts, Observed, Outcome};
use lagrange_data::{Split, Task};
use serde::Serialize;
use serde_json::json;
use std::fs::{File, TryLockError};
use std::io::{LineWriter, Write as _};
use std::path::{Path, PathBuf};

/// What a run came to: the line that `--json` prints, and `result.json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunResult {
    /// What the network was asked.
    pub task: Task,
    /// Key of every random draw.
    pub seed: u64,
    /// Workers the run started with.
    pub workers: usize,
    /// Share of test images predicted correctly; none if an interrupted run had nobody left to evaluate it.
    pub test_accuracy: Option<f64>,
    /// Share of held-out images predicted correctly, where some were held out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_accuracy: Option<f64>,
    /// Seconds from the first listening to the last evaluation.
    pub seconds: f64,
    /// Steps completed.
    pub steps: u64,
    /// How often training diverged and was taken up again from an earlier point.
    pub rollbacks: u32,
    /// Equations per output that weight updates were fitted to, over all stages and steps.
    pub equations: u64,
    /// Whether the run was asked to stop early.
    pub interrupted: bool,
    /// SHA-256 of the final weights as little-endian f32.
    pub weights_sha256: String,
    /// SHA-256 of the final multipliers as little-endian f32.
    pub multipliers_sha256: String,
    /// The OpenBLAS kernels of the process that writes this: the same bits can be expected of the same kernels.
    pub kernels: String,
    /// Bytes on the wire in both directions.
    pub bytes_sent: u64,
    /// Of these, bytes from the coordinator to workers.
    pub bytes_to_workers: u64,
    /// Of these, bytes from workers to the coordinator.
    pub bytes_from_workers: u64,
    /// Where everything was written.
    pub run_dir: PathBuf,
}

/// An open run folder. No other process opens it meanwhile.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    metrics: LineWriter<File>,
    _lock: File,
}

impl RunFolder {
    /// Makes the folder, named after the run unless `chosen`, and writes the configuration.
    ///
    /// # Errors
    /// If it holds another run already, or cannot be written.
    pub fn create(chosen: Option<&Path>, config: &Config) -> Result<Self> {
        let path = match chosen {
            Some(path) => path.to_owned(),
            None => default_path(config),
        };
        let config_path = path.join("config.toml");
        if config_path.exists() {
            bail!(
                "{} holds another run; choose a new --run-dir",
                path.display()
            );
        }
        let failed = || format!("--run-dir {}: cannot be written", path.display());
        std::fs::create_dir_all(&path).with_context(failed)?;
        let lock = lock(&path)?;
        write_whole(&config_path, config.to_toml()?.as_bytes())?;
        let metrics = File::create(path.join("metrics.jsonl")).with_context(failed)?;
        Ok(Self {
            path,
            metrics: LineWriter::new(metrics),
            _lock: lock,
        })
    }

    /// Opens the folder of a run that was stopped or killed, and its configuration.
    ///
    /// # Errors
    /// If it holds no run, or one that is complete or under way.
    pub fn reopen(path: &Path) -> Result<(Self, Config)> {
        let shown = path.display();
        let text = std::fs::read_to_string(path.join("config.toml"))
            .with_context(|| format!("--resume {shown}: there is no run in it"))?;
        let lock = lock(path)?;
        if let Ok(result) = std::fs::read(path.join("result.json")) {
            let result: serde_json::Value = serde_json::from_slice(&result).unwrap_or_default();
            if result["interrupted"] == serde_json::Value::Bool(false) {
                bail!("--resume {shown}: this run is complete; its result is in result.json");
            }
        }
        let config: Config = toml::from_str(&text)
            .with_context(|| format!("{shown}/config.toml: not a configuration"))?;
        let metrics = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(path.join("metrics.jsonl"))
            .with_context(|| format!("{shown}/metrics.jsonl: cannot be written"))?;
        let folder = Self {
            path: path.to_owned(),
            metrics: LineWriter::new(metrics),
            _lock: lock,
        };
        Ok((folder, config))
    }

    /// Keeps the metrics up to the moment of the checkpoint that a resumed run goes on from, if there is one: what came after will come again.
    ///
    /// # Errors
    /// If they cannot be rewritten.
    pub fn keep_metrics(&mut self, checkpoint: Option<&Facts>) -> Result<()> {
        let path = self.path.join("metrics.jsonl");
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let mut kept = 0;
        let mut end = 0;
        for line in text.split_inclusive('\n') {
            end += line.len();
            // The last one may have been cut off.
            if line.ends_with('\n') && checkpoint.is_some_and(|facts| belongs(line, facts)) {
                kept = end;
            }
        }
        write_whole(&path, &text.as_bytes()[..kept])?;
        let metrics = std::fs::OpenOptions::new().append(true).open(&path);
        self.metrics = LineWriter::new(metrics.with_context(|| path.display().to_string())?);
        Ok(())
    }

    /// Where the run's checkpoints lie.
    #[must_use]
    pub fn checkpoints(&self) -> CheckpointStore {
        CheckpointStore::new(self.path.join("checkpoints"))
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a line to `metrics.jsonl`, for readers to see at once.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn record(&mut self, observed: &Observed) -> Result<()> {
        serde_json::to_writer(&mut self.metrics, observed)?;
        self.metrics.write_all(b"\n")?;
        Ok(())
    }

    /// Writes model and result, each whole or not at all.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn finish(self, model: &Model, result: &RunResult) -> Result<()> {
        write_whole(&self.path.join("model.safetensors"), &model.to_bytes()?)?;
        let mut text = serde_json::to_vec_pretty(result)?;
        text.push(b'\n');
        write_whole(&self.path.join("result.json"), &text)?;
        if !result.interrupted {
            self.checkpoints().clear();
        }
        Ok(())
    }
}

impl RunResult {
    /// The result of `outcome`.
    #[must_use]
    pub fn new(config: &Config, outcome: &Outcome, run_dir: &Path) -> Self {
        let accuracy = |split| outcome.evaluation(split).map(|e| e.accuracy);
        Self {
            task: config.task,
            seed: config.seed,
            workers: 0,
            test_accuracy: accuracy(Split::Test),
            validation_accuracy: accuracy(Split::Validation),
            seconds: 0.0,
            steps: outcome.steps,
            rollbacks: outcome.rollbacks,
            equations: outcome.equations,
            interrupted: outcome.interrupted,
            weights_sha256: outcome.weights_sha256.clone(),
            multipliers_sha256: outcome.multipliers_sha256.clone(),
            kernels: lagrange_core::blas::kernels(),
            bytes_sent: 0,
            bytes_to_workers: 0,
            bytes_from_workers: 0,
            run_dir: run_dir.to_owned(),
        }
    }
}

/// `runs/TASK-seedN-TIME`, with a number behind it where that exists.
fn default_path(config: &Config) -> PathBuf {
    let time = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S");
    let name = format!("{}-seed{}-{time}", config.task, config.seed);
    let base = Path::new("runs");
    let numbered = (2..).map(|n| base.join(format!("{name}-{n}")));
    std::iter::once(base.join(&name))
        .chain(numbered)
        .find(|path| !path.exists())
        .unwrap_or_else(|| base.join(&name))
}

/// Whether a line of the metrics tells of what a checkpoint holds.
fn belongs(line: &str, checkpoint: &Facts) -> bool {
    let line: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
    let still_due = || {
        checkpoint
            .due
            .iter()
            .any(|split| line["split"] == json!(split))
    };
    let Some(step) = line["step"].as_u64() else {
        return false;
    };
    step < checkpoint.step
        || (step == checkpoint.step && (line["event"] != "evaluation" || !still_due()))
}

/// Keeps other processes out of a folder, for as long as this one lives.
pub(crate) fn lock(folder: &Path) -> Result<File> {
    let path = folder.join(".lock");
    let failed = || format!("{}: cannot be written", path.display());
    let file = File::create(&path).with_context(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!(
            "{}: another lagrange process is at work in it",
            folder.display()
        ),
        Err(TryLockError::Error(error)) => Err(error).with_context(failed),
    }
}

/// A reader sees the old file or the new one, never a part: write beside it, then rename.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = || format!("{}: cannot be written", path.display());
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(failed)?;
    file.write_all(bytes).with_context(failed)?;
    file.as_file().sync_all().with_context(failed)?;
    file.persist(path).with_context(failed)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_kept_up_to_what_the_checkpoint_holds() {
        let facts: Facts = serde_json::from_value(json!({
            "run": "", "configuration": "", "dataset_sha256": "", "round": 9, "step": 8, "total_steps": 16,
            "due": ["test"], "evaluations": [], "equations": 0, "balance": 0,
            "guard": { "sum": 0, "count": 0, "returns": 0 }, "updates": {}, "history": [],
        }))
        .expect("facts");
        for (kept, line) in [
            (true, json!({ "event": "step", "step": 8 })),
            (true, json!({ "event": "rollback", "step": 8 })),
            (
                true,
                json!({ "event": "evaluation", "step": 4, "split": "test" }),
            ),
            (
                true,
                json!({ "event": "evaluation", "step": 8, "split": "validation" }),
            ),
            (
                false,
                json!({ "event": "evaluation", "step": 8, "split": "test" }),
            ),
            (false, json!({ "event": "step", "step": 9 })),
            (false, json!({ "event": "membership", "workers": 2 })),
        ] {
            assert_eq!(belongs(&line.to_string(), &facts), kept, "{line}");
        }
    }
}
