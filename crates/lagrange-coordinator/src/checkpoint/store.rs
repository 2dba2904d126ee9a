//! The folder that a run's checkpoints lie in.

use super::{CheckpointError, Snapshot};
use crate::files::{Access, Place};
use std::path::PathBuf;

/// Checkpoints kept: the newest, and the one before it in case that turns out to be damaged.
const KEPT: usize = 2;
const ENDING: &str = "safetensors";
/// Beginning of the name of a file that is being written.
const UNFINISHED: &str = ".checkpoint-";

/// A run's checkpoints.
#[derive(Debug, Clone)]
pub struct CheckpointStore {
    folder: PathBuf,
}

/// The newest sound checkpoint, and newer ones that are not.
#[derive(Debug, Default)]
pub struct Found {
    /// The checkpoint, and where it lies.
    pub snapshot: Option<(PathBuf, Snapshot)>,
    /// Damaged files, newest first.
    pub damaged: Vec<(PathBuf, CheckpointError)>,
}

impl CheckpointStore {
    /// The checkpoints in `folder`, which need not exist yet.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Writes a checkpoint: under another name, to the disk, and only then in place, so that a crash at any
    /// time leaves the one before it whole. Then the oldest are removed.
    ///
    /// # Errors
    /// [`CheckpointError`]; earlier checkpoints are as they were.
    pub fn save(&self, snapshot: &Snapshot) -> Result<PathBuf, CheckpointError> {
        let path = self
            .folder
            .join(format!("step-{:012}.{ENDING}", snapshot.facts.plan.step));
        let failed = |cause| CheckpointError::Io {
            path: path.clone(),
            cause,
        };
        let bytes = snapshot.to_bytes()?;
        std::fs::create_dir_all(&self.folder).map_err(failed)?;
        Place::beside(&path, UNFINISHED, Access::Usual)
            .and_then(|place| place.fill(&path, &bytes))
            .map_err(failed)?;
        for old in self.files()?.into_iter().skip(KEPT) {
            // One too many does no harm.
            let _ = std::fs::remove_file(old);
        }
        Ok(path)
    }

    /// [`CheckpointStore::save`], whose failure costs no more than that checkpoint.
    pub(crate) fn keep(&self, snapshot: &Snapshot) {
        match self.save(snapshot) {
            Ok(path) => {
                tracing::debug!(step = snapshot.facts.plan.step, path = %path.display(), "checkpoint");
            }
            Err(error) => {
                tracing::warn!(%error, "a checkpoint cannot be written; the run goes on, the one before is kept");
            }
        }
    }

    /// Removes all checkpoints but the newest: the run is complete, and may be gone on with.
    pub fn keep_newest(&self) {
        for old in self.files().into_iter().flatten().skip(1) {
            // One too many does no harm.
            let _ = std::fs::remove_file(old);
        }
    }

    /// Removes what was being written when its writer was killed. Nobody may be writing now.
    pub fn tidy(&self) {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten();
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                // It only takes room.
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    /// The newest checkpoint that is sound.
    ///
    /// # Errors
    /// [`CheckpointError`] if the folder cannot be read, or if the newest readable checkpoint is of
    /// another format.
    pub fn newest(&self) -> Result<Found, CheckpointError> {
        self.newest_until(u64::MAX)
    }

    /// The newest checkpoint that is sound, of `step` or an earlier one.
    ///
    /// # Errors
    /// As [`CheckpointStore::newest`].
    pub fn newest_until(&self, step: u64) -> Result<Found, CheckpointError> {
        let mut found = Found::default();
        let early = |path: &PathBuf| step_of(path).is_none_or(|found| found <= step);
        for path in self.files()?.into_iter().filter(early) {
            let read = std::fs::read(&path).map_err(|cause| CheckpointError::Io {
                path: path.clone(),
                cause,
            });
            match read.and_then(|bytes| Snapshot::from_bytes(&bytes)) {
                Ok(snapshot) => {
                    found.snapshot = Some((path, snapshot));
                    break;
                }
                // Older ones would be of the same release.
                Err(error @ CheckpointError::Format { .. }) => return Err(error),
                Err(error) => found.damaged.push((path, error)),
            }
        }
        Ok(found)
    }

    /// Checkpoint files, newest first.
    fn files(&self) -> Result<Vec<PathBuf>, CheckpointError> {
        let failed = |cause| CheckpointError::Io {
            path: self.folder.clone(),
            cause,
        };
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut files = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with("step-") && path.extension().is_some_and(|e| e == ENDING) {
                files.push(path);
            }
        }
        files.sort_unstable();
        files.reverse();
        Ok(files)
    }
}

/// Steps completed at the checkpoint of this name.
fn step_of(path: &std::path::Path) -> Option<u64> {
    let name = path.file_stem()?.to_str()?;
    name.strip_prefix("step-")?.parse().ok()
}
