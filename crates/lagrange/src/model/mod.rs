//! Trained models: what they are, and what they say of images.

mod evaluate;
mod file;

pub use evaluate::{ClassFigures, Confusion, Scorer};

use crate::{FolderError, Network, NetworkSpec, Normalisation, TaskError};
use lagrange_core::network::Shape;
use lagrange_core::weights::Weights;
use lagrange_data::Question;
use std::io;
use std::path::PathBuf;

/// A network with its weights and what it was trained for.
///
/// ```no_run
/// use lagrange::{Dataset, Model, Split};
///
/// let model = Model::load("runs/digits/model.safetensors".as_ref())?;
/// let confusion = model.evaluate(&Dataset::load(None)?, Split::Test, 0)?;
/// println!("{:?} of {} images", confusion.accuracy(), confusion.samples());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Model {
    /// What the network is asked: the task, and the classes of its training data.
    pub question: Question,
    /// Its hidden stages.
    pub spec: NetworkSpec,
    /// The resolved network.
    pub network: Network,
    /// Its weights.
    pub weights: Weights,
    /// How images become its inputs.
    pub normalisation: Normalisation,
}

/// Why there is no model, or no answer of it.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// Its file cannot be read.
    #[error("{}: cannot be read: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Its file is none of a model.
    #[error("{}: not a model that `lagrange train` wrote: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<ModelError>,
    },
    /// Bytes that are no model of this version.
    #[error("{0}")]
    Damaged(String),
    /// Its file cannot be written.
    #[error("{0}")]
    Write(#[from] FolderError),
    /// Pixels that are no whole number of images.
    #[error("{pixels} bytes of pixels are no whole number of images of {image} bytes each")]
    Pixels {
        /// How many there are.
        pixels: usize,
        /// Bytes of an image.
        image: usize,
    },
    /// Images of another shape than those that the model was trained on.
    #[error(
        "the model was trained on images of {}, but these are {}; give images of its shape",
        written(model),
        written(images)
    )]
    Shape {
        /// Shape of the model's inputs.
        model: Shape,
        /// Shape of the images.
        images: Shape,
    },
    /// Data with classes that the model has no answer for.
    #[error("{0}")]
    Task(#[from] TaskError),
}

/// A shape for a message: channels only where there are several.
fn written(shape: &Shape) -> String {
    let Shape {
        height,
        width,
        channels,
    } = shape;
    match channels {
        1 => format!("{height}x{width} pixels"),
        _ => format!("{height}x{width} pixels in {channels} channels"),
    }
}

impl From<safetensors::SafeTensorError> for ModelError {
    fn from(error: safetensors::SafeTensorError) -> Self {
        Self::Damaged(error.to_string())
    }
}
