//! Models in the formats of other programs.

mod layers;
mod npz;
mod onnx;
mod torch;

use crate::{Model, ModelError};
use std::fmt;
use std::str::FromStr;

/// A format that models are exported to.
///
/// ```
/// use lagrange::{Cluster, Dataset, ExportFormat, Sources};
///
/// let config = Sources::default().preset("quick").set("train-limit=320")?.resolve()?;
/// let data = std::sync::Arc::new(Dataset::load(None)?);
/// let model = Cluster::in_process(1).train_blocking(config, data)?.model;
/// let files = model.export(ExportFormat::Onnx)?;
/// assert_eq!(files[0].name, "model.onnx");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// One ONNX file: opset 17, IR version 8, normalisation inside the graph.
    Onnx,
    /// Weights as PyTorch lays them out, in a safetensors file, with `config.json` and a loader.
    Torch,
    /// One archive of NumPy arrays.
    Npz,
}

/// A file of an exported model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedFile {
    /// Its name.
    pub name: &'static str,
    /// Its contents.
    pub bytes: Vec<u8>,
}

impl ExportFormat {
    /// All, in the order in which messages list them.
    pub const ALL: [Self; 3] = [Self::Onnx, Self::Torch, Self::Npz];

    fn name(self) -> &'static str {
        match self {
            Self::Onnx => "onnx",
            Self::Torch => "torch",
            Self::Npz => "npz",
        }
    }
}

impl fmt::Display for ExportFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ExportFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let format = Self::ALL.into_iter().find(|format| format.name() == text);
        format.ok_or_else(|| format!("known formats are {}", Self::ALL.map(Self::name).join(", ")))
    }
}

impl Model {
    /// The model in `format`: its files, of which all but [`ExportFormat::Torch`] have one.
    ///
    /// # Errors
    /// [`ModelError::Damaged`] if a library refuses to write the model.
    pub fn export(&self, format: ExportFormat) -> Result<Vec<ExportedFile>, ModelError> {
        match format {
            ExportFormat::Onnx => Ok(onnx::files(self)),
            ExportFormat::Torch => torch::files(self),
            ExportFormat::Npz => npz::files(self),
        }
    }

    /// SHA-256 of the weights as little-endian f32, as [`crate::RunResult::weights_sha256`] has it.
    #[must_use]
    pub fn weights_sha256(&self) -> String {
        lagrange_coordinator::sha256_of(self.weights.as_slice().iter())
    }
}

/// Why a library does not write a model.
fn unwritten(fault: impl fmt::Display) -> ModelError {
    ModelError::Damaged(fault.to_string())
}
