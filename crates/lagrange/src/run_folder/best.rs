//! The model that predicted held-out images best.

use crate::folder::write_file;
use crate::model::{Model, ModelError};
use crate::{Observed, Observer, RunEvent};
use lagrange_coordinator::Best;
use std::path::PathBuf;

/// Writes the best model so far, whenever there is a better one.
#[derive(Debug)]
pub(crate) struct BestModel {
    path: PathBuf,
    /// What was best, as a model.
    model: Model,
}

impl BestModel {
    pub(super) fn new(path: PathBuf, model: Model) -> Self {
        Self { path, model }
    }

    /// Writes `best`. That it cannot be written costs the run nothing.
    pub(crate) fn keep(&mut self, best: &Best) {
        self.model.weights = (*best.weights).clone();
        let bytes = self.model.to_bytes();
        let written = bytes.and_then(|bytes| Ok(write_file(&self.path, &bytes)?));
        if let Err(error) = written as Result<(), ModelError> {
            tracing::warn!(%error, "the best model so far cannot be kept; the run goes on");
        }
    }
}

impl Observer for BestModel {
    fn event(&mut self, observed: &Observed) {
        if let RunEvent::Best(best) = &observed.event {
            self.keep(best);
        }
    }
}
