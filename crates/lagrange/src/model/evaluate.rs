//! What a model says of images, and how often it is right.

use super::{Model, ModelError};
use crate::machine::set_up_blas;
use crate::{Dataset, Split};
use lagrange_core::forward::Forward;
use lagrange_data::Normaliser;

/// Images of one forward pass.
const BLOCK: usize = 50;

/// Predictions beside the truth, as [`Model::evaluate`] counts them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion {
    samples: u64,
    counts: Vec<Vec<u64>>,
}

impl Confusion {
    /// Images of each class (row) that were taken for each class (column). Images that the model says nothing
    /// of, because its outputs overflow, are in none.
    #[must_use]
    pub fn counts(&self) -> &[Vec<u64>] {
        &self.counts
    }

    /// Images.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Images that were predicted correctly.
    #[must_use]
    pub fn correct(&self) -> u64 {
        let diagonal = self.counts.iter().enumerate();
        diagonal.map(|(class, row)| row[class]).sum()
    }

    /// Share of the images that were predicted correctly; none of none.
    #[must_use]
    pub fn accuracy(&self) -> Option<f64> {
        let samples = self.samples as f64;
        (self.samples > 0).then(|| self.correct() as f64 / samples)
    }
}

impl Model {
    /// The class of each image: an index into the task's classes, or none where the outputs overflow.
    ///
    /// `pixels` are the bytes of images of the network's input, one after the other: `[n, height, width]`.
    ///
    /// # Errors
    /// [`ModelError::Pixels`] where they are no whole number of images.
    pub fn predict(&self, pixels: &[u8]) -> Result<Vec<Option<usize>>, ModelError> {
        let image = self.network.input().len();
        if !pixels.len().is_multiple_of(image) {
            let pixels = pixels.len();
            return Err(ModelError::Pixels { pixels, image });
        }
        set_up_blas();
        let mut forward = Forward::new(&self.network, BLOCK);
        forward.load(&self.weights);
        let normaliser = Normaliser::new(self.normalisation);
        let mut inputs = vec![0.0; BLOCK * image];
        let mut classes = Vec::with_capacity(pixels.len() / image);
        for pixels in pixels.chunks(BLOCK * image) {
            let inputs = &mut inputs[..pixels.len()];
            normaliser.apply(pixels, inputs);
            forward.run(inputs);
            let outputs = forward.outputs().chunks_exact(self.network.outputs());
            let outputs = outputs.take(pixels.len() / image);
            // Weights were checked to be finite, but their products may still overflow.
            classes.extend(outputs.map(|outputs| self.task.predict(outputs)));
        }
        Ok(classes)
    }

    /// Predictions of a split's images beside the truth, `validation` of the training images being held out.
    ///
    /// # Panics
    /// If the data's images have another size than the network's input.
    #[must_use]
    pub fn evaluate(&self, dataset: &Dataset, split: Split, validation: usize) -> Confusion {
        assert_eq!(
            dataset.side(),
            self.network.input().height,
            "side of images"
        );
        let held_out = dataset.train.labels.len().saturating_sub(validation);
        let (set, from) = match split {
            Split::Test => (&dataset.test, 0),
            Split::Train => (&dataset.train, 0),
            Split::Validation => (&dataset.train, held_out),
        };
        let labels = &set.labels[from..];
        let pixels = &set.images.pixels[from * self.network.input().len()..];
        let predictions = self.predict(pixels);
        let predictions = predictions.unwrap_or_else(|error| unreachable!("whole images: {error}"));
        let classes = self.task.classes().len();
        let mut counts = vec![vec![0; classes]; classes];
        for (prediction, &label) in predictions.into_iter().zip(labels) {
            if let Some(prediction) = prediction {
                counts[self.task.class_of(label)][prediction] += 1;
            }
        }
        let samples = labels.len() as u64;
        Confusion { samples, counts }
    }
}
