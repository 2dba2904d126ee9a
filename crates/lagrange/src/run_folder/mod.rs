//! The run folder: configuration, metrics as JSON lines, model and result.

mod best;
mod certificate;
mod derived;
mod journal;
mod metrics;
mod result;
mod shards;
mod tensorboard;

pub(crate) use best::BestModel;
pub use certificate::{CertificateFigures, NotRun, failure};
pub(crate) use metrics::Kept;
pub use result::{BestFigures, RunResult, Unsaved, as_text};
pub use shards::NotShards;
pub(crate) use shards::{ShardRecords, ShardsFile, ShardsHead, ShardsStep};

use crate::folder::{FolderError, lock, make_default, make_folder, unwritten, write_file};
use crate::model::Model;
use crate::{Config, Network, RunError};
use journal::RunJournal;
use lagrange_coordinator::{
    Access, CheckpointStore, Journal, Place, UNFINISHED, means_full, write_whole,
};
use metrics::JsonLines;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tensorboard::{TensorBoard, event_files};

/// Room kept for the result, which is a page of text.
const RESULT_BYTES: u64 = 32 << 10;
/// How long a full disk may take to get room for model and result.
const PATIENCE: Duration = Duration::from_secs(30);
/// Beginning of the names of files that have no contents yet.
const EMPTY: &str = ".place-";
/// The configuration's file.
const CONFIG: &str = "config.toml";
/// The metrics' file.
const METRICS: &str = "metrics.jsonl";

/// An open run folder. No other process opens it meanwhile.
#[derive(Debug)]
pub(crate) struct RunFolder {
    path: PathBuf,
    /// Whether the folder was made for this run.
    is_new: bool,
    /// Room for model and result, which a full disk must not cost.
    places: Option<[Place; 2]>,
    /// The moment that a run goes on from, if it has begun before.
    kept: Option<Kept>,
    _lock: Option<File>,
}

impl RunFolder {
    /// Makes the folder, named after the run unless `chosen`, and writes the configuration.
    ///
    /// # Errors
    /// If it holds another run already, or cannot be written.
    pub(crate) fn create(chosen: Option<&Path>, config: &Config) -> Result<Self, FolderError> {
        let path = match chosen {
            Some(path) => {
                make_folder("--run-dir", path)?;
                path.to_owned()
            }
            None => make_default(&format!("{}-seed{}", config.task, config.seed))?,
        };
        let lock = lock(&path)?;
        let config_path = path.join(CONFIG);
        if config_path.exists() {
            return Err(FolderError::HoldsRun { path });
        }
        write_file(&config_path, config.to_toml().as_bytes())?;
        let metrics = path.join(METRICS);
        File::create(&metrics).map_err(unwritten(&metrics))?;
        Ok(Self {
            path,
            is_new: true,
            places: None,
            kept: None,
            _lock: lock,
        })
    }

    /// Opens the folder of a run that was stopped or killed, and its configuration: with `epochs`, also of
    /// one that is complete and is to go on.
    ///
    /// # Errors
    /// If it holds no run, or one that is complete or under way.
    pub(crate) fn reopen(path: &Path, epochs: Option<f64>) -> Result<(Self, Config), FolderError> {
        let config_path = path.join(CONFIG);
        let path = path.to_owned();
        let text = match std::fs::read_to_string(&config_path) {
            Ok(text) => text,
            Err(cause) => return Err(FolderError::NoRun { path, cause }),
        };
        let lock = lock(&path)?;
        let config = toml::from_str(&text);
        let mut config: Config = config.map_err(|fault| FolderError::Configuration {
            path: config_path,
            fault: fault.to_string(),
        })?;
        if let Some(epochs) = epochs {
            config.schedule.epochs = epochs;
        }
        if let Some(epochs) = completed(&path).filter(|&done| done >= config.schedule.epochs) {
            return Err(FolderError::Complete { path, epochs });
        }
        let folder = Self {
            path,
            is_new: false,
            places: None,
            kept: None,
            _lock: lock,
        };
        Ok((folder, config))
    }

    /// Writes the configuration of a run that is to go on for longer.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn rewrite_config(&self, config: &Config) -> Result<(), FolderError> {
        write_file(&self.path.join(CONFIG), config.to_toml().as_bytes())
    }

    /// Keeps room on the disk for a model of `model_bytes` and the result.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) fn reserve(&mut self, model_bytes: u64) -> Result<(), FolderError> {
        remove_unfinished(&self.path);
        let place = |bytes| {
            let place = Place::beside(&self.path.join("model"), EMPTY, Access::Usual)?;
            place.reserve(bytes)?;
            io::Result::Ok(place)
        };
        let places = place(model_bytes).and_then(|model| Ok([model, place(RESULT_BYTES)?]));
        self.places = Some(places.map_err(|cause| FolderError::NoRoom {
            path: self.path.clone(),
            kilobytes: (model_bytes + RESULT_BYTES).div_ceil(1000),
            cause,
        })?);
        Ok(())
    }

    /// Whether the folder was made for this run.
    pub(crate) fn is_new(&self) -> bool {
        self.is_new
    }

    /// Removes what there is of a new run that has ended before its first step: the same command can then be
    /// given again.
    pub(crate) fn discard(self) {
        if !self.is_new {
            return;
        }
        drop(self.places);
        for name in [CONFIG, METRICS, ShardsFile::NAME, ".lock"] {
            let _ = std::fs::remove_file(self.path.join(name));
        }
        for path in event_files(&self.path) {
            let _ = std::fs::remove_file(path);
        }
        // Not where the user keeps something else in it.
        let _ = std::fs::remove_dir(&self.path);
    }

    /// Keeps the metrics up to the moment that a resumed run goes on from, if there is one: what came after
    /// will come again.
    ///
    /// # Errors
    /// If they cannot be rewritten.
    pub(crate) fn keep_metrics(&mut self, kept: Option<Kept>) -> Result<(), FolderError> {
        let path = self.path.join(METRICS);
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let part = kept.as_ref().map_or("", |kept| kept.part(&text));
        let written = write_file(&path, part.as_bytes());
        self.kept = kept;
        written
    }

    /// What appends every event of the training of `network` to the metrics and to TensorBoard's events, and
    /// every step to the shard record of `head`.
    ///
    /// # Errors
    /// If metrics or shard record cannot be written.
    pub(crate) fn journal(
        &self,
        head: ShardsHead,
        network: Network,
    ) -> Result<Box<dyn Journal>, FolderError> {
        let path = self.path.join(METRICS);
        Ok(Box::new(RunJournal {
            metrics: JsonLines::append(&path).map_err(unwritten(&path))?,
            shards: ShardsFile::of(&self.path).append(head)?,
            events: TensorBoard::begin(&self.path, network, self.kept.as_ref()),
        }))
    }

    /// Keeps the shard record up to the moment that a resumed run goes on from, if there is one.
    ///
    /// # Errors
    /// If it cannot be rewritten.
    pub(crate) fn keep_shards(&self, kept: Option<&Kept>) -> Result<(), FolderError> {
        let step = kept.map_or(0, |kept| kept.step);
        ShardsFile::of(&self.path).keep(step)
    }

    /// What keeps the model that was best on held-out images, like `model` but for its weights.
    pub(crate) fn best(&self, model: Model) -> BestModel {
        BestModel::new(self.path.join("best.safetensors"), model)
    }

    /// Where the run's checkpoints lie.
    pub(crate) fn checkpoints(&self) -> CheckpointStore {
        CheckpointStore::new(self.path.join("checkpoints"))
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes model and result, each whole or not at all. A full disk is waited for.
    ///
    /// # Errors
    /// [`Unsaved`], with the result.
    pub(crate) fn finish(
        mut self,
        model: &Model,
        mut result: RunResult,
    ) -> Result<RunResult, RunError> {
        result.run_dir = Some(self.path.clone());
        let card = derived::card(model, &result);
        let model = model.to_bytes()?;
        let text = serde_json::to_vec_pretty(&result);
        let mut text = text.unwrap_or_else(|error| unreachable!("plain values: {error}"));
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
        self.derive(&card, result.epochs);
        Ok(result)
    }
}

impl RunFolder {
    /// Writes what is made of other files: the run has its result without.
    fn derive(&self, card: &str, epochs: f64) {
        let path = self.path.join(METRICS);
        // What is no file may have no end.
        let is_file = path.metadata().is_ok_and(|kind| kind.is_file());
        let metrics = is_file.then(|| std::fs::read_to_string(&path).unwrap_or_default());
        let metrics = metrics.unwrap_or_default();
        let table = derived::table(&metrics, epochs);
        for (name, text) in [("metrics.csv", table.as_str()), ("README.md", card)] {
            if let Err(error) = write_file(&self.path.join(name), text.as_bytes()) {
                tracing::warn!(%error, "the run is complete without it");
            }
        }
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

/// Removes files that killed processes have left.
fn remove_unfinished(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if [EMPTY, UNFINISHED]
            .iter()
            .any(|start| name.starts_with(start))
        {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
