//! The data of a comparison, cut and normalised as for a training run, and the score of what was fitted to
//! it.

use crate::BaselineError;
use lagrange_core::network::{Network, NetworkSpec, Shape};
use lagrange_data::{Dataset, Normalisation, Normaliser, Partition, ShardData, Split, Task};
use ndarray::Array2;
use serde::Serialize;

/// Normalised images and their labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples {
    /// `[n, H * W]`, with the training set's [`Normalisation`].
    pub images: Array2<f32>,
    /// One label per image.
    pub labels: Vec<u8>,
}

impl Samples {
    /// Number of samples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no sample.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    fn gather(shard: &ShardData, normaliser: &Normaliser, side: usize) -> Self {
        let pixels = side * side;
        let mut images = Array2::zeros((shard.len(), pixels));
        let mut labels = Vec::with_capacity(shard.len());
        for (position, mut image) in images.rows_mut().into_iter().enumerate() {
            let inputs = image
                .as_slice_mut()
                .unwrap_or_else(|| unreachable!("rows of a new matrix are contiguous"));
            normaliser.apply(shard.image(position), inputs);
            labels.push(shard.label(position));
        }
        Self { images, labels }
    }
}

/// What is to be learnt: a task, and the images to learn it from and to be judged on.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// What is asked.
    pub task: Task,
    /// Side of the square images, in pixels.
    pub side: usize,
    /// Images to fit to.
    pub train: Samples,
    /// Training images held out to choose settings on; may be empty.
    pub validation: Samples,
    /// The test set; never empty.
    pub test: Samples,
}

impl Problem {
    /// Cuts `dataset` as a training run does: the last `validation` training images are held out, then the
    /// first `train_limit` of the rest are fitted to.
    ///
    /// # Errors
    /// [`BaselineError::Partition`] if nothing is left to fit to, [`BaselineError::Task`] if the task has no
    /// output for a label, [`BaselineError::NoContrast`], [`BaselineError::NoTestImages`].
    pub fn new(
        dataset: &Dataset,
        task: Task,
        train_limit: Option<usize>,
        validation: usize,
    ) -> Result<Self, BaselineError> {
        task.check_labels("training", &dataset.train.labels)?;
        task.check_labels("test", &dataset.test.labels)?;
        let partition = Partition::new(dataset, 1, validation, train_limit)?;
        let normaliser = Normaliser::new(Normalisation::of(&dataset.train.images)?);
        let gather = |split| {
            let shard = ShardData::gather(dataset, &partition, split, 0);
            Samples::gather(&shard, &normaliser, dataset.side())
        };
        let test = gather(Split::Test);
        if test.is_empty() {
            return Err(BaselineError::NoTestImages);
        }
        Ok(Self {
            task,
            side: dataset.side(),
            train: gather(Split::Train),
            validation: gather(Split::Validation),
            test,
        })
    }

    /// Resolves `spec` for the problem's images and outputs.
    ///
    /// # Errors
    /// [`BaselineError::Network`]
    pub fn network(&self, spec: &NetworkSpec) -> Result<Network, BaselineError> {
        Ok(Network::resolve(spec, self.input(), self.task.outputs())?)
    }

    /// Checks that `network` takes the problem's images to its outputs.
    pub(crate) fn check(&self, network: &Network) -> Result<(), BaselineError> {
        if network.input() == self.input() && network.outputs() == self.task.outputs() {
            return Ok(());
        }
        Err(BaselineError::Mismatch {
            network: network.describe(),
            side: self.side,
            outputs: self.task.outputs(),
        })
    }

    fn input(&self) -> Shape {
        Shape {
            height: self.side,
            width: self.side,
            channels: 1,
        }
    }
}

/// How well something fitted to a [`Problem`] does.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Score {
    /// Share of the test images predicted correctly, 0 to 1.
    pub test_accuracy: f64,
    /// Share of the held-out training images predicted correctly; `None` where none are held out.
    pub validation_accuracy: Option<f64>,
    /// Wall-clock seconds of fitting, without the evaluation.
    pub seconds: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use lagrange_data::{Images, LabelledSet, PartitionError, TaskError};

    /// Images of 2x2 pixels that all hold the image's index, which is its label too.
    fn set(count: u8) -> LabelledSet {
        LabelledSet {
            images: Images {
                height: 2,
                width: 2,
                pixels: (0..count).flat_map(|i| [i; 4]).collect(),
            },
            labels: (0..count).collect(),
        }
    }

    fn dataset(train: u8, test: u8) -> Dataset {
        Dataset {
            train: set(train),
            test: set(test),
        }
    }

    #[test]
    fn the_last_are_held_out_and_the_first_of_the_rest_fitted_to() {
        let problem = Problem::new(&dataset(9, 3), Task::Digits, Some(4), 2).expect("cut");
        assert_eq!(problem.train.labels, [0, 1, 2, 3]);
        assert_eq!(problem.validation.labels, [7, 8]);
        assert_eq!(problem.test.labels, [0, 1, 2]);
        // Of all nine training images, whatever part of them is fitted to: 0 to 8, with mean 4 and variance
        // 20 / 3.
        let normalisation = Normalisation::new(0.0157, 0.0101).expect("sound");
        let mut seven = [0.0; 4];
        Normaliser::new(normalisation).apply(&[7; 4], &mut seven);
        assert_eq!(problem.validation.images.row(0).to_vec(), seven);
    }

    #[test]
    fn what_cannot_be_learnt_or_judged_is_a_typed_error() {
        let cut = |dataset: Dataset, task, held_out| Problem::new(&dataset, task, None, held_out);
        assert!(matches!(
            cut(dataset(12, 3), Task::Digits, 0),
            Err(BaselineError::Task(TaskError::Label { label: 10, .. }))
        ));
        assert!(matches!(
            cut(dataset(5, 3), Task::OddEven, 5),
            Err(BaselineError::Partition(PartitionError::NothingLeft { .. }))
        ));
        assert!(matches!(
            cut(dataset(1, 1), Task::OddEven, 0),
            Err(BaselineError::NoContrast(_))
        ));
        assert!(matches!(
            cut(dataset(5, 0), Task::OddEven, 1),
            Err(BaselineError::NoTestImages)
        ));
    }
}
