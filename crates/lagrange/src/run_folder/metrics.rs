//! Metrics: a line of JSON for every event of a run.

use crate::{Observed, RunEvent, Split};
use lagrange_coordinator::Journal;
use serde_json::json;
use std::fs::{File, OpenOptions};
use std::io::{self, LineWriter, Write as _};
use std::path::Path;

/// Appends every event to a file, for readers to see at once.
#[derive(Debug)]
pub(crate) struct JsonLines {
    /// None once it could not be written.
    file: Option<LineWriter<File>>,
}

impl JsonLines {
    /// Appends to the file at `path`.
    pub(super) fn append(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        let file = Some(LineWriter::new(file));
        Ok(Self { file })
    }
}

impl Journal for JsonLines {
    /// A disk that is full must not cost the run its result: the metrics end there, the run goes on.
    fn keep(&mut self, observed: &Observed) {
        let Some(file) = &mut self.file else { return };
        if matches!(
            observed.event,
            RunEvent::Iterate { .. } | RunEvent::Workers { .. }
        ) {
            return;
        }
        let line = serde_json::to_writer(&mut *file, observed).map_err(io::Error::from);
        if let Err(error) = line.and_then(|()| file.write_all(b"\n")) {
            tracing::warn!(%error, "metrics.jsonl cannot be written; the run goes on without");
            self.file = None;
        }
    }
}

/// The moment of a run that its metrics are kept up to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Steps completed.
    pub(crate) step: u64,
    /// Splits that will be evaluated at this step again.
    pub(crate) due: Vec<Split>,
}

impl Kept {
    /// The part of `metrics` that ends with the last line of this moment or an earlier one.
    pub(super) fn part<'a>(&self, metrics: &'a str) -> &'a str {
        let (mut good, mut end) = (0, 0);
        for line in metrics.split_inclusive('\n') {
            end += line.len();
            // The last one may have been cut off.
            if line.ends_with('\n') && self.has(line) {
                good = end;
            }
        }
        &metrics[..good]
    }

    /// Whether a line of the metrics is of this moment or an earlier one.
    fn has(&self, line: &str) -> bool {
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
        let is_due = || self.due.iter().any(|split| line["split"] == json!(split));
        let Some(step) = line["step"].as_u64() else {
            return false;
        };
        step < self.step || (step == self.step && !is_due())
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
            (
                false,
                json!({ "event": "best", "step": 8, "split": "test" }),
            ),
            (false, json!({ "event": "step", "step": 9 })),
            (false, json!({ "event": "membership", "workers": 2 })),
        ] {
            assert_eq!(kept.has(&line.to_string()), is_kept, "{line}");
        }
    }
}
