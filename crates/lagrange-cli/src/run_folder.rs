//! The run folder: configuration, metrics as JSON lines, model and result.

use crate::config::Config;
use crate::model::Model;
use anyhow::{Context as _, Result, bail};
use lagrange_coordinator::{
    Access, CheckpointStore, Observed, Outcome, Place, Report, means_full, write_whole,
};
use lagrange_data::{Split, Task};
use serde::{Serialize, Serializer};
use serde_json::json;
use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind, LineWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Room kept for the result, which is a page of text.
const RESULT_BYTES: u64 = 16 << 10;
/// How long a full disk may take to get room for model and result.
const PATIENCE: Duration = Duration::from_secs(30);
/// Beginning of the names of files that have no contents yet.
const UNFINISHED: &str = ".place-";

/// What a run came to: the line that `--json` prints, and `result.json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunResult {
    /// What the network was asked.
    pub task: Task,
    /// Key of every random draw.
    pub seed: u64,
    /// Workers the run started with.
    pub workers: usize,
    /// Passes over the training data that the run was to make.
    pub epochs: f64,
    /// Share of test images that the saved model predicts correctly; none if that cannot be told.
    pub test_accuracy: Option<f64>,
    /// Share of held-out images that it predicts correctly, where some were held out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_accuracy: Option<f64>,
    /// Why an accuracy cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_evaluated: Option<String>,
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
    #[serde(serialize_with = "as_text")]
    pub run_dir: PathBuf,
}

/// A path for people: JSON has no other bytes than those of Unicode.
pub(crate) fn as_text<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

/// Model and result that could not be written.
#[derive(Debug, thiserror::Error)]
#[error(
    "{}: cannot be written: {cause}; the result is on stdout, and --resume {} ends the run once more \
     from its last checkpoint", path.display(), folder.display()
)]
pub struct Unsaved {
    /// The file.
    pub path: PathBuf,
    /// The run's folder.
    pub folder: PathBuf,
    /// What the system said.
    pub cause: io::Error,
    /// What the run came to.
    pub result: Box<RunResult>,
}

/// An open run folder. No other process opens it meanwhile.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    metrics: LineWriter<File>,
    /// Whether the folder was made for this run and holds no step of it yet.
    is_empty: bool,
    /// Room for model and result, which a full disk must not cost.
    places: Option<[Place; 2]>,
    _lock: Option<File>,
}

impl RunFolder {
    /// Makes the folder, named after the run unless `chosen`, and writes the configuration.
    ///
    /// # Errors
    /// If it holds another run already, or cannot be written.
    pub fn create(chosen: Option<&Path>, config: &Config) -> Result<Self> {
        let path = match chosen {
            Some(path) => {
                make_folder("--run-dir", path)?;
                path.to_owned()
            }
            None => make_default(config)?,
        };
        let failed = || format!("--run-dir {}: cannot be written", path.display());
        let lock = lock(&path)?;
        let config_path = path.join("config.toml");
        if config_path.exists() {
            bail!(
                "{shown} holds another run; choose a new --run-dir, or go on with that one: --resume {shown}",
                shown = path.display()
            );
        }
        write_file(&config_path, config.to_toml()?.as_bytes())?;
        let metrics = File::create(path.join("metrics.jsonl")).with_context(failed)?;
        Ok(Self {
            path,
            metrics: LineWriter::new(metrics),
            is_empty: true,
            places: None,
            _lock: lock,
        })
    }

    /// Opens the folder of a run that was stopped or killed, and its configuration: with `epochs`, also of one that is
    /// complete and is to go on.
    ///
    /// # Errors
    /// If it holds no run, or one that is complete or under way.
    pub fn reopen(path: &Path, epochs: Option<f64>) -> Result<(Self, Config)> {
        let shown = path.display();
        let text = std::fs::read_to_string(path.join("config.toml"))
            .with_context(|| format!("--resume {shown}: there is no run in it"))?;
        let lock = lock(path)?;
        let mut config: Config = toml::from_str(&text)
            .with_context(|| format!("{shown}/config.toml: not a configuration"))?;
        if let Some(epochs) = epochs {
            config.schedule.epochs = epochs;
        }
        if let Some(done) = completed(path).filter(|&done| done >= config.schedule.epochs) {
            bail!(
                "--resume {shown}: this run is complete, its result is in result.json; to go on with it, give more \
                 --epochs than {done}"
            );
        }
        let metrics = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(path.join("metrics.jsonl"))
            .with_context(|| format!("{shown}/metrics.jsonl: cannot be written"))?;
        let folder = Self {
            path: path.to_owned(),
            metrics: LineWriter::new(metrics),
            is_empty: false,
            places: None,
            _lock: lock,
        };
        Ok((folder, config))
    }

    /// Writes the configuration of a run that is to go on for longer.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn rewrite_config(&self, config: &Config) -> Result<()> {
        write_file(&self.path.join("config.toml"), config.to_toml()?.as_bytes())
    }

    /// Keeps room on the disk for a model of `model_bytes` and the result.
    ///
    /// # Errors
    /// If there is none.
    pub fn reserve(&mut self, model_bytes: u64) -> Result<()> {
        remove_unfinished(&self.path);
        let place = |bytes| {
            let place = Place::beside(&self.path.join("model"), UNFINISHED, Access::Usual)?;
            place.reserve(bytes)?;
            io::Result::Ok(place)
        };
        let places = place(model_bytes).and_then(|model| Ok([model, place(RESULT_BYTES)?]));
        self.places = Some(places.with_context(|| {
            let kilobytes = (model_bytes + RESULT_BYTES).div_ceil(1000);
            let shown = self.path.display();
            format!("{shown}: no room for the model and the result, {kilobytes} kB")
        })?);
        Ok(())
    }

    /// Whether nothing has been computed yet that would be lost with the folder.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Removes what there is of a run that has ended before its first step: the same command can then be given again.
    pub fn discard_if_empty(self) {
        if !self.is_empty {
            return;
        }
        drop(self.places);
        for name in ["config.toml", "metrics.jsonl", ".lock"] {
            let _ = std::fs::remove_file(self.path.join(name));
        }
        // Not where the user keeps something else in it.
        let _ = std::fs::remove_dir(&self.path);
    }

    /// Keeps the metrics up to the moment that a resumed run goes on from, if there is one: what came after will come again.
    ///
    /// # Errors
    /// If they cannot be rewritten.
    pub fn keep_metrics(&mut self, kept: Option<&Kept>) -> Result<()> {
        let path = self.path.join("metrics.jsonl");
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let (mut good, mut end) = (0, 0);
        for line in text.split_inclusive('\n') {
            end += line.len();
            // The last one may have been cut off.
            if line.ends_with('\n') && kept.is_some_and(|kept| kept.has(line)) {
                good = end;
            }
        }
        write_file(&path, &text.as_bytes()[..good])?;
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
    pub fn record(&mut self, observed: &Observed) -> io::Result<()> {
        self.is_empty &= !matches!(observed.report, Report::Step(_));
        serde_json::to_writer(&mut self.metrics, observed)?;
        self.metrics.write_all(b"\n")
    }

    /// Writes model and result, each whole or not at all. A full disk is waited for.
    ///
    /// # Errors
    /// [`Unsaved`], with the result.
    pub fn finish(mut self, model: &Model, result: RunResult) -> Result<RunResult> {
        let model = model.to_bytes()?;
        let mut text = serde_json::to_vec_pretty(&result)?;
        text.push(b'\n');
        let [place, next] = self
            .places
            .take()
            .map_or([None, None], |[one, other]| [Some(one), Some(other)]);
        let written = [
            ("model.safetensors", place, model),
            ("result.json", next, text),
        ]
        .into_iter()
        .try_for_each(|(name, place, bytes)| {
            let path = self.path.join(name);
            fill(place, &path, &bytes).map_err(|cause| (path, cause))
        });
        if let Err((path, cause)) = written {
            let (folder, result) = (self.path, Box::new(result));
            return Err(Unsaved {
                path,
                folder,
                cause,
                result,
            }
            .into());
        }
        if !result.interrupted {
            self.checkpoints().keep_newest();
        }
        Ok(result)
    }
}

/// Writes a file where room was kept for it, or anywhere, as soon as there is some.
fn fill(place: Option<Place>, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut result = match place {
        Some(place) => place.fill(path, bytes),
        None => write_whole(path, bytes, Access::Usual),
    };
    let begin = Instant::now();
    while result
        .as_ref()
        .is_err_and(|e| means_full(e) && e.kind() != ErrorKind::FileTooLarge)
        && begin.elapsed() < PATIENCE
    {
        if begin.elapsed() < Duration::from_secs(1) {
            let shown = path.display();
            tracing::warn!(
                "{shown}: no room on the disk; trying for {} s more",
                PATIENCE.as_secs()
            );
        }
        std::thread::sleep(Duration::from_secs(1));
        result = write_whole(path, bytes, Access::Usual);
    }
    result
}

impl RunResult {
    /// The result of `outcome`.
    #[must_use]
    pub fn new(config: &Config, outcome: &Outcome, run_dir: &Path) -> Self {
        // Of these weights, not of earlier ones.
        let accuracy = |split| {
            let evaluation = outcome.evaluation(split)?;
            (evaluation.step == outcome.steps).then_some(evaluation.accuracy)
        };
        Self {
            task: config.task,
            seed: config.seed,
            workers: 0,
            epochs: config.schedule.epochs,
            not_evaluated: None,
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

/// Makes the folder that a flag names, and those above it.
///
/// # Errors
/// If it cannot be made.
pub(crate) fn make_folder(flag: &str, path: &Path) -> Result<()> {
    let Err(error) = std::fs::create_dir_all(path) else {
        return Ok(());
    };
    let shown = path.display();
    match path.symlink_metadata().is_ok() && !path.is_dir() {
        true => bail!(
            "{flag} {shown}: there is something of that name that is no folder; choose another"
        ),
        false => bail!("{flag} {shown}: cannot be made: {error}"),
    }
}

/// Makes `runs/TASK-seedN-TIME`, with a number behind it where that exists: runs that begin together each get their own.
fn make_default(config: &Config) -> Result<PathBuf> {
    let base = Path::new("runs");
    make_folder("without --run-dir, runs lie in", base)?;
    let time = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S");
    let name = format!("{}-seed{}-{time}", config.task, config.seed);
    for number in 1.. {
        let path = match number {
            1 => base.join(&name),
            number => base.join(format!("{name}-{number}")),
        };
        match std::fs::create_dir(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => {
                made.with_context(|| format!("{}: cannot be made", path.display()))?;
                return Ok(path);
            }
        }
    }
    unreachable!("there are more numbers than folders")
}

/// Epochs of the whole run whose result a folder has, if it has one.
fn completed(folder: &Path) -> Option<f64> {
    let result = std::fs::read(folder.join("result.json")).ok()?;
    let result: serde_json::Value = serde_json::from_slice(&result).ok()?;
    // Results of earlier releases do not tell.
    let epochs = result["epochs"].as_f64().unwrap_or(f64::INFINITY);
    (result["interrupted"] == serde_json::Value::Bool(false)).then_some(epochs)
}

/// Removes places that killed processes have left.
fn remove_unfinished(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// The moment of a run that its metrics are kept up to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Steps completed.
    pub step: u64,
    /// Splits that will be evaluated at this step again.
    pub due: Vec<Split>,
}

impl Kept {
    /// Whether a line of the metrics is of this moment or an earlier one.
    fn has(&self, line: &str) -> bool {
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
        let still_due = || self.due.iter().any(|split| line["split"] == json!(split));
        let Some(step) = line["step"].as_u64() else {
            return false;
        };
        step < self.step || (step == self.step && (line["event"] != "evaluation" || !still_due()))
    }
}

/// Writes a file whole or not at all, for whoever the umask lets read it.
///
/// # Errors
/// If it cannot be written, naming it.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    write_whole(path, bytes, Access::Usual)
        .with_context(|| format!("{}: cannot be written", path.display()))
}

/// Keeps other processes out of a folder, for as long as this one lives; nothing where the file system has no locks.
///
/// # Errors
/// If another process is at work in it, or its file cannot be made.
pub(crate) fn lock(folder: &Path) -> Result<Option<File>> {
    let path = folder.join(".lock");
    let file =
        File::create(&path).with_context(|| format!("{}: cannot be written", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => bail!(
            "{}: another lagrange process is at work in it",
            folder.display()
        ),
        // Lustre and NFS may be mounted without.
        Err(TryLockError::Error(error)) => {
            tracing::warn!(
                "{}: cannot be locked ({error}); going on: make sure that no other lagrange process works in it",
                folder.display()
            );
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_kept_up_to_what_the_checkpoint_holds() {
        let kept = Kept {
            step: 8,
            due: vec![Split::Test],
        };
        for (is_kept, line) in [
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
            assert_eq!(kept.has(&line.to_string()), is_kept, "{line}");
        }
    }
}
