//! What a run folder holds.

use crate::Curves;
use serde_json::Value;
use std::collections::BTreeSet;
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
    /// Name of the folder, or as [`tell_apart`] has it.
    pub name: String,
    /// `result.json`; null while the run is not complete.
    pub result: Value,
    /// `config.toml`
    pub configuration: String,
    pub(crate) events: Vec<Value>,
    /// The folder, from the root.
    pub(crate) path: PathBuf,
}

/// Names `runs` so that no two have one name: where folders in different places are called alike, by as many of
/// the folders above them as it takes.
pub fn tell_apart(runs: &mut [Run]) {
    let deepest = runs.iter().map(|run| run.path.components().count()).max();
    for depth in 1..=deepest.unwrap_or(0) {
        for run in &mut *runs {
            let parts: Vec<_> = run.path.components().collect();
            let last: PathBuf = parts[parts.len().saturating_sub(depth)..].iter().collect();
            run.name = last.display().to_string();
        }
        let names: BTreeSet<&str> = runs.iter().map(|run| run.name.as_str()).collect();
        if names.len() == runs.len() {
            return;
        }
    }
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
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let name = path.file_name().unwrap_or(path.as_os_str());
        Ok(Self {
            name: name.to_string_lossy().into_owned(),
            path: path.clone(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_are_called_alike_are_told_apart_by_where_they_lie() {
        let named = |paths: &[&str]| -> Vec<String> {
            let run = |path: &&str| Run {
                name: String::new(),
                result: Value::Null,
                configuration: String::new(),
                events: Vec::new(),
                path: path.into(),
            };
            let mut runs: Vec<Run> = paths.iter().map(run).collect();
            tell_apart(&mut runs);
            runs.into_iter().map(|run| run.name).collect()
        };
        assert_eq!(named(&["/x/a", "/x/b"]), ["a", "b"]);
        assert_eq!(
            named(&["/x/run", "/y/run", "/y/b"]),
            ["x/run", "y/run", "y/b"]
        );
        assert_eq!(named(&["/x/a", "/x/a"]), ["/x/a", "/x/a"]);
    }
}
