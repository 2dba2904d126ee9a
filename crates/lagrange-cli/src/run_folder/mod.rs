//! The run folder: configuration, metrics as JSON lines, model and result.

mod metrics;
mod result;

pub use metrics::Kept;
pub(crate) use result::as_text;
pub use result::{RunResult, Unsaved};

use crate::config::Config;
use crate::folder::{lock, make_default, make_folder, write_file};
use crate::model::Model;
use anyhow::{Context as _, Result, bail};
use lagrange_coordinator::{
    Access, CheckpointStore, Observed, Place, Report, means_full, write_whole,
};
use std::fs::File;
use std::io::{self, ErrorKind, LineWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Room kept for the result, which is a page of text.
const RESULT_BYTES: u64 = 16 << 10;
/// How long a full disk may take to get room for model and result.
const PATIENCE: Duration = Duration::from_secs(30);
/// Beginning of the names of files that have no contents yet.
const UNFINISHED: &str = ".place-";

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
