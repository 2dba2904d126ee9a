//! What a model says of images, and how often it is right.

use super::{Model, ModelError};
use crate::machine::set_up_blas;
use crate::{Dataset, Split};
use lagrange_core::forward::Forward;
use lagrange_core::network::Shape;
use lagrange_data::{Images, Normaliser};

/// Images of one forward pass.
const BLOCK: usize = 50;

/// Predictions beside the truth, as [`Model::evaluate`] counts them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion {
    support: Vec<u64>,
    counts: Vec<Vec<u64>>,
}

/// Figures of one class. Those with a denominator of 0 are none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassFigures {
    /// Share of the images predicted to be of the class that are.
    pub precision: Option<f64>,
    /// Share of the class's images that were predicted to be.
    pub recall: Option<f64>,
    /// Harmonic mean of precision and recall.
    pub f1: Option<f64>,
    /// Images of the class.
    pub support: u64,
}

impl Confusion {
    /// Counts `pairs` of the true class and the predicted one, none for an image that the model says nothing
    /// of.
    ///
    /// # Panics
    /// If a class is not below `classes`.
    #[must_use]
    pub fn of(classes: usize, pairs: impl Iterator<Item = (usize, Option<usize>)>) -> Self {
        let mut confusion = Self {
            support: vec![0; classes],
            counts: vec![vec![0; classes]; classes],
        };
        for (truth, prediction) in pairs {
            confusion.support[truth] += 1;
            if let Some(prediction) = prediction {
                confusion.counts[truth][prediction] += 1;
            }
        }
        confusion
    }

    /// Images of each class (row) that were taken for each class (column). Images that the model says nothing
    /// of, because its outputs overflow, are in none.
    #[must_use]
    pub fn counts(&self) -> &[Vec<u64>] {
        &self.counts
    }

    /// Images.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.support.iter().sum()
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
        share(self.correct(), self.samples())
    }

    /// Mean recall of the classes that have images, each counting alike; none without images.
    #[must_use]
    pub fn balanced_accuracy(&self) -> Option<f64> {
        let figures = self.of_classes();
        let recalls: Vec<f64> = figures.iter().filter_map(|class| class.recall).collect();
        let sum: f64 = recalls.iter().sum();
        (!recalls.is_empty()).then(|| sum / recalls.len() as f64)
    }

    /// Figures of each class.
    #[must_use]
    pub fn of_classes(&self) -> Vec<ClassFigures> {
        let mut predicted = vec![0; self.counts.len()];
        for row in &self.counts {
            for (sum, count) in predicted.iter_mut().zip(row) {
                *sum += count;
            }
        }
        let of_class = |(class, &support): (usize, &u64)| {
            let (hits, predicted) = (self.counts[class][class], predicted[class]);
            ClassFigures {
                precision: share(hits, predicted),
                recall: share(hits, support),
                f1: share(2 * hits, predicted + support),
                support,
            }
        };
        self.support.iter().enumerate().map(of_class).collect()
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

impl Model {
    /// The class of each image: an index into the names of the model's question, or none where the outputs
    /// overflow.
    ///
    /// # Errors
    /// [`ModelError::Shape`] where the images have another shape than the network's input,
    /// [`ModelError::Pixels`] where their bytes are no whole number of images.
    pub fn predict(&self, images: &Images) -> Result<Vec<Option<usize>>, ModelError> {
        self.classify(images, &images.pixels)
    }

    /// The network's outputs of each image, `[n, O]`: of two groups one output, above 0 for the second, else
    /// one for each class, of which the largest wins.
    ///
    /// # Errors
    /// As [`Model::predict`].
    pub fn scores(&self, images: &Images) -> Result<Vec<f32>, ModelError> {
        let mut scores = Vec::new();
        self.each_output(images.shape(), &images.pixels, |outputs| {
            scores.extend_from_slice(outputs);
        })?;
        Ok(scores)
    }

    /// What the outputs of one image, `[O]`, say of every class, from 0 to 1 and 1 together: their softmax;
    /// of two groups, that of -output and output. Only for the loss `softmax` are these estimates of
    /// probabilities; the outputs of other losses are margins, for which they rank alike, but are no
    /// likelihoods.
    #[must_use]
    pub fn probabilities(&self, outputs: &[f32]) -> Vec<f32> {
        let of_two;
        let outputs = match outputs {
            [output] => {
                of_two = [-output, *output];
                &of_two
            }
            outputs => outputs,
        };
        let most = outputs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let parts: Vec<f32> = outputs.iter().map(|output| (output - most).exp()).collect();
        let sum: f32 = parts.iter().sum();
        parts.iter().map(|part| part / sum).collect()
    }

    /// Classes, as indices into the names of the model's question, with what [`Model::probabilities`] says of
    /// them: first the one that the model predicts, then the most probable; none where it says nothing.
    #[must_use]
    pub fn ranked(&self, outputs: &[f32]) -> Vec<(usize, f32)> {
        let Some(first) = self.question.predict(outputs) else {
            return Vec::new();
        };
        let probabilities = self.probabilities(outputs).into_iter();
        let mut classes: Vec<(usize, f32)> = probabilities.enumerate().collect();
        classes.sort_by(|a, b| {
            let later = (b.0 == first).cmp(&(a.0 == first));
            later.then(b.1.total_cmp(&a.1))
        });
        classes
    }

    /// [`Model::predict`] of those images among `images` that have these `pixels`.
    fn classify(&self, images: &Images, pixels: &[u8]) -> Result<Vec<Option<usize>>, ModelError> {
        let mut classes = Vec::new();
        self.each_output(images.shape(), pixels, |outputs| {
            // Weights were checked to be finite, but their products may still overflow.
            classes.push(self.question.predict(outputs));
        })?;
        Ok(classes)
    }

    /// Gives the outputs of each image of shape `images` among `pixels` to `each`.
    fn each_output(
        &self,
        images: Shape,
        pixels: &[u8],
        mut each: impl FnMut(&[f32]),
    ) -> Result<(), ModelError> {
        let model = self.network.input();
        if model != images {
            return Err(ModelError::Shape { model, images });
        }
        let image = model.len();
        if !pixels.len().is_multiple_of(image) {
            let pixels = pixels.len();
            return Err(ModelError::Pixels { pixels, image });
        }
        self.scorer().each(pixels, &mut each);
        Ok(())
    }

    /// What computes outputs, ready for many images: with it, weights are laid out once.
    #[must_use]
    pub fn scorer(&self) -> Scorer {
        set_up_blas();
        let mut forward = Forward::new(&self.network, BLOCK);
        forward.load(&self.weights);
        let image = self.network.input().len();
        Scorer {
            forward,
            normaliser: Normaliser::new(&self.normalisation),
            inputs: vec![0.0; BLOCK * image],
            image,
            outputs: self.network.outputs(),
        }
    }

    /// Predictions of a split's images beside the truth, as [`Dataset::part`] has them with `validation` of
    /// the training images held out. Classes are compared by name: those of the data may be fewer than the
    /// model's, or in another order.
    ///
    /// # Errors
    /// [`ModelError::Shape`] if the data's images have another shape than the network's input,
    /// [`ModelError::Task`] if the model does not know one of its classes.
    pub fn evaluate(
        &self,
        dataset: &Dataset,
        split: Split,
        validation: usize,
    ) -> Result<Confusion, ModelError> {
        let class_of = self.question.classes_of(&dataset.classes)?;
        let (set, range) = dataset.part(split, validation);
        let (labels, length) = (&set.labels[range.clone()], set.images.shape().len());
        let pixels = &set.images.pixels[range.start * length..range.end * length];
        let predictions = self.classify(&set.images, pixels)?;
        let truths = labels.iter().map(|&label| class_of[usize::from(label)]);
        let classes = self.question.names().len();
        Ok(Confusion::of(classes, truths.zip(predictions)))
    }
}

/// Computes outputs, image after image; see [`Model::scorer`].
#[derive(Debug)]
pub struct Scorer {
    forward: Forward,
    normaliser: Normaliser,
    /// Inputs of one block.
    inputs: Vec<f32>,
    image: usize,
    outputs: usize,
}

impl Scorer {
    /// Bytes of an image.
    #[must_use]
    pub fn image(&self) -> usize {
        self.image
    }

    /// Outputs of an image.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Gives the outputs of each image among `pixels`, `[n, height, width, channels]`, to `each`. Bytes beyond
    /// the last whole image are passed over.
    pub fn each(&mut self, pixels: &[u8], mut each: impl FnMut(&[f32])) {
        for pixels in pixels.chunks(BLOCK * self.image) {
            let count = pixels.len() / self.image;
            let pixels = &pixels[..count * self.image];
            let inputs = &mut self.inputs[..pixels.len()];
            self.normaliser.apply(pixels, inputs);
            self.forward.run(inputs);
            let outputs = self.forward.outputs().chunks_exact(self.outputs);
            outputs.take(count).for_each(&mut each);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_the_textbook() {
        // Of class 0 three images, one of them without a prediction; class 2 has none.
        let pairs = [
            (0, Some(0)),
            (0, Some(1)),
            (0, None),
            (1, Some(1)),
            (1, Some(2)),
        ];
        let confusion = Confusion::of(3, pairs.into_iter());
        assert_eq!((confusion.samples(), confusion.correct()), (5, 2));
        assert_eq!(confusion.accuracy(), Some(0.4));
        let figures = confusion.of_classes();
        let class = |precision, recall, f1, support| ClassFigures {
            precision,
            recall,
            f1,
            support,
        };
        assert_eq!(figures[0], class(Some(1.0), Some(1.0 / 3.0), Some(0.5), 3));
        assert_eq!(figures[1], class(Some(0.5), Some(0.5), Some(0.5), 2));
        assert_eq!(figures[2], class(Some(0.0), None, Some(0.0), 0));
        let balanced = confusion.balanced_accuracy().expect("images");
        assert!((balanced - (1.0 / 3.0 + 0.5) / 2.0).abs() < 1e-12);
        let nothing = Confusion::of(2, std::iter::empty());
        assert_eq!(
            (nothing.accuracy(), nothing.balanced_accuracy()),
            (None, None)
        );
    }
}
