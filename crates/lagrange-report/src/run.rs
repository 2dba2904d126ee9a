//! What a run folder holds.

use crate::Curves;
use serde_json::Value;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file of the run folder cannot be read.
    #[error("{}: cannot be read: {cause}; is this a run folder?", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The result is none.
    #[error("{}: not a result: {fault}", path.display())]
    Result {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: String,
    },
    /// The model, or what it was to judge.
    #[error(transparent)]
    Model(#[from] lagrange::ModelError),
}

/// A run: its result, its configuration, and the events of its metrics.
#[derive(Debug, Clone)]
pub struct Run {
    /// Name of the folder.
    pub name: String,
    /// `result.json`; null while the run is not complete.
    pub result: Value,
    /// `config.toml`
    pub configuration: String,
    events: Vec<Value>,
}

impl Run {
    /// Reads the folder at `path`. A run that is not complete has a report too.
    ///
    /// # Errors
    /// [`ReportError::Read`] if there is no run, [`ReportError::Result`] if its result is damaged. Lines of
    /// metrics that are cut off are passed over.
    pub fn read(path: &Path) -> Result<Self, ReportError> {
        let text = |name: &str| {
            let path = path.join(name);
            // What is no file may have no end.
            if path.metadata().is_ok_and(|kind| !kind.is_file()) {
                let cause = io::Error::other("it is no file");
                return Err(ReportError::Read { path, cause });
            }
            fs::read_to_string(&path).map_err(|cause| ReportError::Read { path, cause })
        };
        let configuration = text("config.toml")?;
        let result = match text("result.json") {
            Err(_) => Value::Null,
            Ok(text) => serde_json::from_str(&text).map_err(|fault| ReportError::Result {
                path: path.join("result.json"),
                fault: fault.to_string(),
            })?,
        };
        let metrics = text("metrics.jsonl")?;
        let lines = metrics.lines();
        let name = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let name = name.file_name().unwrap_or(path.as_os_str());
        Ok(Self {
            name: name.to_string_lossy().into_owned(),
            result,
            configuration,
            events: lines
                .filter_map(|line| serde_json::from_str(line).ok())
                .collect(),
        })
    }

    /// A number of the result.
    pub(crate) fn figure(&self, key: &str) -> Option<f64> {
        self.result[key].as_f64()
    }

    /// Its curves.
    pub(crate) fn curves(&self) -> Curves {
        Curves::of(&self.events)
    }

    /// How often training went back to an earlier point.
    pub(crate) fn rollbacks(&self) -> usize {
        let went_back = |event: &&Value| event["event"] == "rollback";
        self.events.iter().filter(went_back).count()
    }
}
