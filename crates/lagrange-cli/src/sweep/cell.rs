//! One run of a sweep: its folder tells whether it is still to be done.

use crate::child::{self, Line};
use crate::config::Config;
use crate::interrupt::Interrupted;
use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Its seed.
    pub seed: u64,
    /// Share of the held-out images predicted correctly; none if training failed.
    pub validation_accuracy: Option<f64>,
    /// Share of the test images predicted correctly: never looked at while selecting.
    pub test_accuracy: Option<f64>,
    /// Seconds of training.
    pub seconds: f64,
    /// What a failed run said.
    pub error: Option<String>,
}

impl Cell {
    fn of(seed: u64, line: Result<Line, String>) -> Self {
        match line {
            Ok(line) => Self {
                seed,
                validation_accuracy: line.validation_accuracy,
                test_accuracy: line.test_accuracy,
                seconds: line.seconds,
                error: None,
            },
            Err(error) => Self {
                seed,
                validation_accuracy: None,
                test_accuracy: None,
                seconds: 0.0,
                error: Some(error),
            },
        }
    }
}

/// A run of `config` in `folder`.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) folder: PathBuf,
    pub(super) config: Config,
}

const DONE: &str = "cell.json";

impl Run {
    /// What the run came to when it was done before, with the same configuration.
    ///
    /// # Errors
    /// If the folder holds a run of another configuration.
    pub(super) fn done(&self) -> Result<Option<Cell>> {
        let kept = self.folder.join("sweep.toml");
        let Ok(text) = std::fs::read_to_string(&kept) else {
            return Ok(None);
        };
        if text != self.config.to_toml()? {
            bail!(
                "{} holds a run of another configuration; choose a new --out",
                self.folder.display()
            );
        }
        let Ok(text) = std::fs::read(self.folder.join(DONE)) else {
            return Ok(None);
        };
        Ok(serde_json::from_slice(&text).ok())
    }

    /// Runs it afresh with `flags`; what is in its folder of an unfinished run goes.
    ///
    /// # Errors
    /// If it cannot be run, was interrupted, or its result cannot be kept.
    pub(super) async fn run(&self, flags: &[OsString]) -> Result<Cell> {
        let failed = || format!("{}: cannot be written", self.folder.display());
        if self.folder.exists() {
            std::fs::remove_dir_all(&self.folder).with_context(failed)?;
        }
        std::fs::create_dir_all(&self.folder).with_context(failed)?;
        let config = self.folder.join("sweep.toml");
        std::fs::write(&config, self.config.to_toml()?).with_context(failed)?;
        let mut command = child::command()?;
        command
            .args(["train", "--json", "--quiet", "--config"])
            .arg(&config)
            .arg("--run-dir")
            .arg(self.folder.join("run"))
            .args(flags);
        let line = child::run(command).await?;
        if matches!(&line, Ok(line) if line.interrupted) {
            return Err(Interrupted(folder_of(&self.folder)).into());
        }
        let cell = Cell::of(self.config.seed, line);
        std::fs::write(self.folder.join(DONE), serde_json::to_vec(&cell)?).with_context(failed)?;
        Ok(cell)
    }
}

fn folder_of(path: &Path) -> PathBuf {
    path.parent().unwrap_or(path).to_owned()
}
