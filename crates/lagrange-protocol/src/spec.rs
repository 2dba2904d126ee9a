//! Specification of a run for its workers: configuration and facts of the dataset, as one text that both
//! sides check.

use crate::{Config, ConfigError};
use lagrange_core::network::{Network, NetworkError, Shape};
use lagrange_core::schedule::{Cut, Schedule, schedule};
use lagrange_data::{DatasetSummary, Normalisation, Partition, Question, SplitCounts, TaskError};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Specification of a run, checked on construction: configuration and facts of the dataset.
///
/// ```
/// use lagrange_protocol::{Config, DatasetFacts, RunSpec};
///
/// let spec = RunSpec::new(Config::default(), DatasetFacts::mnist())?;
/// // Batches of 256 from 16 shards of 3750 images.
/// assert_eq!((spec.cut().samples, spec.steps_per_epoch()), (16, 234));
/// assert_eq!(spec.question().names(), ["even", "odd"]);
/// assert_eq!(RunSpec::from_text(&spec.to_text())?, spec);
/// # Ok::<(), lagrange_protocol::SpecError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct RunSpec(Text);

/// Content of a run's text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    dataset: DatasetFacts,
    run: Config,
}

/// Facts of a dataset that a run depends on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DatasetFacts {
    /// Height of the images in pixels.
    pub height: usize,
    /// Width of the images in pixels.
    pub width: usize,
    /// Channels of the images: 1 for grey, 3 for colour.
    pub channels: usize,
    /// Names of the classes; labels are indices into them.
    pub classes: Vec<String>,
    /// Training images.
    pub train: usize,
    /// Training images of each class.
    pub counts: Vec<usize>,
    /// Images of a validation split of its own; 0 without one.
    pub validation: usize,
    /// Test images.
    pub test: usize,
    /// Normalisation of pixels to inputs.
    pub normalisation: Normalisation,
}

/// Error of a run specification.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SpecError {
    /// A text that this release cannot read.
    #[error("{0}")]
    Text(String),
    /// A height or a width outside 1 to 4096.
    #[error("dataset.{key} is {value}: it must be between 1 and 4096")]
    Size {
        /// `height` or `width`.
        key: &'static str,
        /// Its value.
        value: usize,
    },
    /// Images that are neither grey nor in colour, or a normalisation of other channels.
    #[error(
        "dataset.channels is {channels}, with figures of {figures} in dataset.normalisation: \
         both must be 1, or 3"
    )]
    Channels {
        /// Channels of the images.
        channels: usize,
        /// Channels of the normalisation.
        figures: usize,
    },
    /// Counts of classes that are not those of the training images.
    #[error(
        "dataset.counts has {counts} classes of {classes}, and {sum} training images of {train}: one count per class, \
         which add up"
    )]
    Counts {
        /// Number of counts.
        counts: usize,
        /// Number of classes.
        classes: usize,
        /// Sum of the counts.
        sum: usize,
        /// Training images.
        train: usize,
    },
    /// A task that does not suit the classes of the dataset.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// A configuration that fails its check.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// Training images of each of MNIST's digits.
const MNIST_COUNTS: [usize; 10] = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949];

impl DatasetFacts {
    /// Facts of the dataset of `summary`.
    #[must_use]
    pub fn of(summary: &DatasetSummary) -> Self {
        let SplitCounts {
            train,
            validation,
            test,
        } = summary.counts();
        Self {
            height: summary.shape.height,
            width: summary.shape.width,
            channels: summary.shape.channels,
            classes: summary.classes.clone(),
            counts: summary.class_counts(),
            train,
            validation,
            test,
            normalisation: summary.normalisation.clone(),
        }
    }

    /// Facts of MNIST.
    #[must_use]
    pub fn mnist() -> Self {
        Self {
            height: 28,
            width: 28,
            channels: 1,
            classes: (0..10).map(|digit: u8| digit.to_string()).collect(),
            train: 60_000,
            counts: MNIST_COUNTS.to_vec(),
            validation: 0,
            test: 10_000,
            normalisation: Normalisation::MNIST,
        }
    }

    /// Shape of an image.
    #[must_use]
    pub fn shape(&self) -> Shape {
        Shape {
            height: self.height,
            width: self.width,
            channels: self.channels,
        }
    }

    /// Number of images of each split.
    #[must_use]
    pub fn counts(&self) -> SplitCounts {
        SplitCounts {
            train: self.train,
            validation: self.validation,
            test: self.test,
        }
    }

    fn check(&self) -> Result<(), SpecError> {
        let sizes = [("height", self.height), ("width", self.width)];
        if let Some((key, value)) = sizes.into_iter().find(|(_, n)| !(1..=4096).contains(n)) {
            return Err(SpecError::Size { key, value });
        }
        let (channels, figures) = (self.channels, self.normalisation.channels());
        if ![1, 3].contains(&channels) || channels != figures {
            return Err(SpecError::Channels { channels, figures });
        }
        let sum = self
            .counts
            .iter()
            .fold(0usize, |sum, &n| sum.saturating_add(n));
        match (self.counts.len(), sum) == (self.classes.len(), self.train) {
            true => Ok(()),
            false => Err(SpecError::Counts {
                counts: self.counts.len(),
                classes: self.classes.len(),
                sum,
                train: self.train,
            }),
        }
    }
}

impl RunSpec {
    /// Specification of a run of `config` on `dataset`.
    ///
    /// # Errors
    /// [`SpecError`] if the two do not make a run, naming the key.
    pub fn new(config: Config, dataset: DatasetFacts) -> Result<Self, SpecError> {
        let run = config;
        Self(Text { dataset, run }).checked()
    }

    /// Specification from the text of [`RunSpec::to_text`].
    ///
    /// # Errors
    /// [`SpecError`] if the text is malformed or does not make a run, naming the key.
    pub fn from_text(text: &str) -> Result<Self, SpecError> {
        let read = toml::from_str(text);
        let text = read.map_err(|error| SpecError::Text(error.message().to_owned()))?;
        Self(text).checked()
    }

    /// Specification as TOML; equal runs have equal texts.
    #[must_use]
    pub fn to_text(&self) -> String {
        toml::to_string(&self.0).unwrap_or_else(|error| unreachable!("plain values: {error}"))
    }

    /// SHA-256 of the text, by which two sides compare their runs.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        Sha256::digest(self.to_text()).into()
    }

    fn checked(self) -> Result<Self, SpecError> {
        self.dataset().check()?;
        self.config().check()?;
        let question = self.ask()?;
        question.class_weights(&self.config().class_weights, &self.dataset().counts)?;
        self.resolve(&question).map_err(ConfigError::from)?;
        let partition = self.cut_data().map_err(ConfigError::from)?;
        partition
            .steps_per_epoch(self.cut().samples)
            .map_err(ConfigError::from)?;
        Ok(self)
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.0.run
    }

    /// The dataset.
    #[must_use]
    pub fn dataset(&self) -> &DatasetFacts {
        &self.0.dataset
    }

    /// Number of logical shards.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.config().data.shards
    }

    /// The task of this run for the classes of its dataset.
    #[must_use]
    pub fn question(&self) -> Question {
        self.ask()
            .unwrap_or_else(|error| unreachable!("checked: {error}"))
    }

    fn ask(&self) -> Result<Question, TaskError> {
        let config = self.config();
        Question::new(config.task, &self.dataset().classes, &config.positive)
    }

    /// The network of this run.
    #[must_use]
    pub fn network(&self) -> Network {
        self.resolve(&self.question())
            .unwrap_or_else(|error| unreachable!("checked: {error}"))
    }

    fn resolve(&self, question: &Question) -> Result<Network, NetworkError> {
        let input = self.dataset().shape();
        Network::resolve(&self.config().network, input, question.outputs())
    }

    /// Whether there are images to choose settings on: held out, or of a split of its own.
    #[must_use]
    pub fn has_validation(&self) -> bool {
        self.held_out() > 0 || self.dataset().validation > 0
    }

    /// Number of the last training images held out.
    #[must_use]
    pub fn held_out(&self) -> usize {
        self.config().validation.of(self.dataset().train)
    }

    /// Partition of the samples into splits and shards.
    #[must_use]
    pub fn partition(&self) -> Partition {
        self.cut_data()
            .unwrap_or_else(|error| unreachable!("checked: {error}"))
    }

    fn cut_data(&self) -> Result<Partition, lagrange_data::PartitionError> {
        Partition::of_counts(
            self.dataset().counts(),
            self.shards(),
            self.held_out(),
            self.config().train_limit,
        )
    }

    /// Number of shards, and samples of each in a step.
    #[must_use]
    pub fn cut(&self) -> Cut {
        let (shards, kept) = (
            self.shards(),
            self.dataset().train.saturating_sub(self.held_out()),
        );
        let train = self
            .config()
            .train_limit
            .map_or(kept, |limit| limit.min(kept));
        Cut {
            shards,
            samples: match self.config().schedule.batch {
                // The smallest shard decides: all take an equal part.
                0 => (train / shards).max(1),
                batch => batch / shards,
            },
        }
    }

    /// Number of steps of an epoch.
    #[must_use]
    pub fn steps_per_epoch(&self) -> u64 {
        let steps = self.partition().steps_per_epoch(self.cut().samples);
        steps.unwrap_or_else(|error| unreachable!("checked: {error}"))
    }

    /// Number of steps of the whole run, at least 1.
    #[must_use]
    pub fn total_steps(&self) -> u64 {
        let steps = self.steps_per_epoch() as f64 * self.config().schedule.epochs;
        (steps.round() as u64).max(1)
    }

    /// Weight of the loss of a sample, by its label; empty if all are 1.
    #[must_use]
    pub fn label_weights(&self) -> Vec<f32> {
        let (question, counts) = (self.question(), &self.dataset().counts);
        let weights = question.class_weights(&self.config().class_weights, counts);
        let weights = weights.unwrap_or_else(|error| unreachable!("checked: {error}"));
        if weights.iter().all(|&weight| weight == 1.0) {
            return Vec::new();
        }
        let labels = 0..self.dataset().classes.len() as u16;
        labels
            .map(|label| weights[question.class_of(label)])
            .collect()
    }

    /// The schedule of this run.
    #[must_use]
    pub fn schedule(&self, network: &Network) -> Box<dyn Schedule> {
        let config = self.config();
        schedule(&config.schedule, &config.classic, network, self.cut())
    }
}

#[cfg(test)]
mod tests;
