//! The data of a comparison, cut and normalised as for a training run, and the score of what was fitted to
//! it.

use crate::BaselineError;
use lagrange_core::network::{Network, NetworkSpec, Shape};
use lagrange_data::{Dataset, Normalisation, Normaliser, Partition, Question, ShardData, Split};
use ndarray::Array2;
use serde::Serialize;

/// Normalised images and their labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples {
    /// `[n, H * W * C]`, with the training set's [`Normalisation`].
    pub images: Array2<f32>,
    /// One label per image.
    pub labels: Vec<u16>,
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

    fn gather(shard: &ShardData, normaliser: &Normaliser, shape: Shape) -> Self {
        let mut images = Array2::zeros((shard.len(), shape.len()));
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

/// What is to be learnt: a question, and the images to learn it from and to be judged on.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// What is asked.
    pub question: Question,
    /// Shape of the images.
    pub shape: Shape,
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
    /// [`BaselineError::Data`] if the parts of `dataset` do not fit together, [`BaselineError::OtherClasses`]
    /// if `question` is about other classes, [`BaselineError::Partition`] if nothing is left to fit to,
    /// [`BaselineError::NoContrast`], [`BaselineError::NoTestImages`].
    pub fn new(
        dataset: &Dataset,
        question: Question,
        train_limit: Option<usize>,
        validation: usize,
    ) -> Result<Self, BaselineError> {
        dataset.check()?;
        if question.classes() != dataset.classes {
            return Err(BaselineError::OtherClasses);
        }
        let partition = Partition::new(dataset, 1, validation, train_limit)?;
        let normaliser = Normaliser::new(&Normalisation::of(&dataset.train.images)?);
        let gather = |split| {
            let shard = ShardData::gather(dataset, &partition, split, 0);
            Samples::gather(&shard, &normaliser, dataset.shape())
        };
        let test = gather(Split::Test);
        if test.is_empty() {
            return Err(BaselineError::NoTestImages);
        }
        Ok(Self {
            question,
            shape: dataset.shape(),
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
        Ok(Network::resolve(spec, self.shape, self.question.outputs())?)
    }

    /// Checks that `network` takes the problem's images to its outputs.
    pub(crate) fn check(&self, network: &Network) -> Result<(), BaselineError> {
        if network.input() == self.shape && network.outputs() == self.question.outputs() {
            return Ok(());
        }
        Err(BaselineError::Mismatch {
            network: network.describe(),
            shape: self.shape,
            outputs: self.question.outputs(),
        })
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

/// The question of `task` to MNIST's digits.
#[cfg(test)]
pub(crate) fn digits(task: lagrange_data::Task) -> Question {
    let classes: Vec<String> = (0..10).map(|digit: u8| digit.to_string()).collect();
    Question::new(task, &classes, &[]).expect("suits digits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use lagrange_data::{Images, LabelledSet, PartitionError, Task};

    /// Images of 2x2 pixels that all hold the image's index, which is its label too.
    fn set(count: u8) -> LabelledSet {
        LabelledSet {
            images: Images {
                height: 2,
                width: 2,
                channels: 1,
                pixels: (0..count).flat_map(|i| [i; 4]).collect(),
            },
            labels: (0..count).map(u16::from).collect(),
        }
    }

    fn dataset(train: u8, test: u8) -> Dataset {
        Dataset::new(set(train), set(test))
    }

    fn question(dataset: &Dataset, task: Task) -> Question {
        Question::new(task, &dataset.classes, &[]).expect("suits")
    }

    #[test]
    fn the_last_are_held_out_and_the_first_of_the_rest_fitted_to() {
        let dataset = dataset(9, 3);
        let digits = question(&dataset, Task::Digits);
        let problem = Problem::new(&dataset, digits, Some(4), 2).expect("cut");
        assert_eq!(problem.train.labels, [0, 1, 2, 3]);
        assert_eq!(problem.validation.labels, [7, 8]);
        assert_eq!(problem.test.labels, [0, 1, 2]);
        // Of all nine training images, whatever part of them is fitted to: 0 to 8, with mean 4 and variance
        // 20 / 3.
        let normalisation = Normalisation::new(0.0157, 0.0101).expect("sound");
        let mut seven = [0.0; 4];
        Normaliser::new(&normalisation).apply(&[7; 4], &mut seven);
        assert_eq!(problem.validation.images.row(0).to_vec(), seven);
    }

    #[test]
    fn what_cannot_be_learnt_or_judged_is_a_typed_error() {
        let cut = |dataset: Dataset, task, held_out| {
            let question = question(&dataset, task);
            Problem::new(&dataset, question, None, held_out)
        };
        let digits = question(&dataset(5, 3), Task::Digits);
        assert!(matches!(
            Problem::new(&dataset(12, 3), digits, None, 0),
            Err(BaselineError::OtherClasses)
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
