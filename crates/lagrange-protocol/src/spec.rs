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
        self.config().validation > 0 || self.dataset().validation > 0
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
            self.config().validation,
            self.config().train_limit,
        )
    }

    /// Number of shards, and samples of each in a step.
    #[must_use]
    pub fn cut(&self) -> Cut {
        let (shards, kept) = (
            self.shards(),
            self.dataset()
                .train
                .saturating_sub(self.config().validation),
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
mod tests {
    use super::*;
    use lagrange_core::schedule::{BlockOrder, ScheduleKind};
    use proptest::prelude::*;

    fn spec() -> RunSpec {
        let mut config = Config {
            seed: 5,
            train_limit: Some(1000),
            validation: 10,
            ..Config::default()
        };
        config.schedule.kind = ScheduleKind::Classic;
        config.schedule.trust = 0.012_345_678;
        config.classic.order = BlockOrder::OutputFirst;
        config.classic.growth = 1.1;
        config.augment.scale = 0.1;
        let dataset = DatasetFacts {
            normalisation: Normalisation::new(0.286, 0.353).expect("sound"),
            ..DatasetFacts::mnist()
        };
        RunSpec::new(config, dataset).expect("a run")
    }

    #[test]
    fn a_spec_survives_its_text() {
        let copy = RunSpec::from_text(&spec().to_text()).expect("its own text");
        assert_eq!(copy, spec());
        assert_eq!(copy.sha256(), spec().sha256());
        let mut other = spec();
        other.0.run.seed = 6;
        assert_ne!(other.sha256(), spec().sha256());
    }

    #[test]
    fn each_bad_field_is_named() {
        let refused = |from: &str, to: &str| {
            let text = spec().to_text();
            assert!(text.contains(from), "{from} in {text}");
            RunSpec::from_text(&text.replacen(from, to, 1))
                .expect_err(to)
                .to_string()
        };
        for (from, to, name) in [
            ("height = 28", "height = 0", "dataset.height"),
            ("width = 28", "width = 5000", "dataset.width"),
            ("channels = 1", "channels = 2", "dataset.channels"),
            ("channels = 1", "channels = 3", "dataset.channels"),
            ("\"7\"", "\"seven\"", "`seven`"),
            ("\"odd-even\"", "\"positive\"", "--positive"),
            ("\"odd-even\"", "\"regression\"", "not supported"),
            ("mean = 0.286", "mean = 2.0", "mean"),
            (
                "standard-deviation = 0.353",
                "standard-deviation = nan",
                "deviation",
            ),
            ("shards = 16", "shards = 0", "data.shards"),
            ("shards = 16", "shards = 5000", "data.shards"),
            ("shards = 16", "shards = 15", "multiple of data.shards"),
            ("batch = 256", "batch = 1600", "batch"),
            ("train-limit = 1000", "train-limit = 3", "16 shards of 3"),
            ("validation = 10", "validation = 60000", "holds out all"),
            ("beta = 1.0", "beta = -1.0", "schedule.beta"),
            ("growth = 1.1", "growth = 100.0", "classic.growth"),
            ("scale = 0.1", "scale = 7.0", "augment.scale"),
            ("kernel = 5", "kernel = 500", "network.stages[0].kernel"),
            ("loss = \"squared-hinge\"", "loss = \"cubic\"", "cubic"),
            ("seed = 5", "seed = 5\nsede = 6", "sede"),
            (
                "kind = \"classic\"",
                "kind = \"streaming\"",
                "[classic] needs",
            ),
        ] {
            let message = refused(from, to);
            assert!(message.contains(name), "`{name}` in: {message}");
        }
    }

    #[test]
    fn the_network_takes_the_shape_and_classes_of_the_data() {
        let mut config = Config {
            task: lagrange_data::Task::Classes,
            ..Config::default()
        };
        let dataset = DatasetFacts {
            height: 32,
            width: 32,
            channels: 3,
            classes: ["cat", "dog", "bird"].map(str::to_owned).into(),
            counts: vec![30_000, 20_000, 10_000],
            validation: 100,
            normalisation: Normalisation::per_channel(&[0.4; 3], &[0.2; 3]).expect("sound"),
            ..DatasetFacts::mnist()
        };
        let spec = RunSpec::new(config.clone(), dataset.clone()).expect("a run");
        let network = spec.network();
        assert_eq!((network.input(), network.outputs()), (dataset.shape(), 3));
        assert!(spec.has_validation());
        assert_eq!(RunSpec::from_text(&spec.to_text()).as_ref(), Ok(&spec));
        config.class_weights = "dgo=2".parse().expect("weights");
        let refused = RunSpec::new(config.clone(), dataset.clone());
        assert!(matches!(
            refused,
            Err(SpecError::Task(TaskError::UnknownClass { .. }))
        ));
        config.class_weights = "dog=2".parse().expect("weights");
        config.task = lagrange_data::Task::Positive;
        config.positive = vec!["dog".to_owned()];
        let spec = RunSpec::new(config, dataset).expect("a run");
        assert_eq!(spec.network().outputs(), 1);
        assert_eq!(RunSpec::from_text(&spec.to_text()).as_ref(), Ok(&spec));
    }

    proptest! {
        /// A worker reads any text: it may refuse it, but must not panic.
        #[test]
        fn no_text_does_harm(text in "\\PC{0,200}", cut in 0usize..2000) {
            let _ = RunSpec::from_text(&text);
            let whole = spec().to_text();
            let _ = RunSpec::from_text(&whole[..cut.min(whole.len())]);
        }
    }
}
