//! What a run came to.

use super::CertificateFigures;
use crate::{Config, Split, Task};
use lagrange_coordinator::Outcome;
use serde::{Serialize, Serializer};
use std::io;
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
    /// Passes over the training data that the run was to make.
    pub epochs: f64,
    /// Share of test images that the saved model predicts correctly; none if that cannot be told.
    pub test_accuracy: Option<f64>,
    /// Share of held-out images that it predicts correctly, where some were held out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_accuracy: Option<f64>,
    /// The best of the run on held-out images, whose model is kept beside the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best: Option<BestFigures>,
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
    /// What the checks of optimality came to.
    pub certificate: CertificateFigures,
    /// Whether the run was asked to stop early.
    pub interrupted: bool,
    /// SHA-256 of the final weights as little-endian f32.
    pub weights_sha256: String,
    /// SHA-256 of the final multipliers as little-endian f32.
    pub multipliers_sha256: String,
    /// SHA-256 of the data, as [`crate::Dataset::sha256`] has it.
    pub dataset_sha256: String,
    /// Version of Lagrange.
    pub version: &'static str,
    /// The command line of the process that writes this.
    pub command: String,
    /// The OpenBLAS kernels of the process that writes this: the same bits can be expected of the same
    /// kernels.
    pub kernels: String,
    /// Bytes on the wire in both directions.
    pub bytes_sent: u64,
    /// Of these, bytes from the coordinator to workers.
    pub bytes_to_workers: u64,
    /// Of these, bytes from workers to the coordinator.
    pub bytes_from_workers: u64,
    /// Where everything was written, if anywhere.
    #[serde(
        serialize_with = "maybe_as_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub run_dir: Option<PathBuf>,
}

/// When held-out images were predicted best.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BestFigures {
    /// Steps completed then.
    pub step: u64,
    /// Share of held-out images that were predicted correctly.
    pub validation_accuracy: f64,
}

fn maybe_as_text<S: Serializer>(path: &Option<PathBuf>, to: S) -> Result<S::Ok, S::Error> {
    as_text(path.as_deref().unwrap_or(Path::new("")), to)
}

/// A path as text, for serde: JSON has no other bytes than those of Unicode.
///
/// # Errors
/// Those of the serializer.
pub fn as_text<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

/// Model and result that could not be written.
#[derive(Debug, thiserror::Error)]
#[error(
    "{}: cannot be written: {cause}; --resume {} ends the run once more from its last checkpoint", path.display(), folder.display()
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

/// The command line, its parts with spaces between them.
fn command_line() -> String {
    let parts = std::env::args_os().map(|part| part.to_string_lossy().into_owned());
    parts.collect::<Vec<_>>().join(" ")
}

impl RunResult {
    /// The result of `outcome`.
    #[must_use]
    pub(crate) fn new(config: &Config, outcome: &Outcome) -> Self {
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
            best: outcome.best().map(|best| BestFigures {
                step: best.step,
                validation_accuracy: best.accuracy,
            }),
            seconds: 0.0,
            steps: outcome.steps,
            rollbacks: outcome.rollbacks,
            equations: outcome.equations,
            certificate: CertificateFigures::new(config, &outcome.certificate),
            interrupted: outcome.interrupted,
            weights_sha256: outcome.weights_sha256.clone(),
            multipliers_sha256: outcome.multipliers_sha256.clone(),
            dataset_sha256: String::new(),
            version: env!("CARGO_PKG_VERSION"),
            command: command_line(),
            kernels: lagrange_core::blas::core_name(),
            bytes_sent: 0,
            bytes_to_workers: 0,
            bytes_from_workers: 0,
            run_dir: None,
        }
    }
}
