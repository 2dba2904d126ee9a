//! Inputs and targets of the network, from pixels and labels.

use lagrange_core::network::Shape;
use lagrange_core::random::{Purpose, stream};
use lagrange_data::{Augment, Normalisation, Normaliser, Question, ShardData};
use lagrange_protocol::RunSpec;

/// Inputs and targets of samples.
#[derive(Debug, Clone, Default)]
pub(super) struct Samples {
    /// `[n, H, W, C]`
    pub(super) images: Vec<f32>,
    /// `[n, O]`
    pub(super) targets: Vec<f32>,
    /// `[n]`, or empty where all are 1.
    pub(super) weights: Vec<f32>,
}

/// Key of a step's augmentation of one shard.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moved {
    pub(super) shard: u32,
    pub(super) step: u64,
}

/// Conversion of a run's samples to inputs and targets.
#[derive(Debug)]
pub(super) struct Inputs {
    normaliser: Normaliser,
    normalisation: Normalisation,
    augment: Augment,
    question: Question,
    /// By label; empty where all are 1.
    weights: Vec<f32>,
    seed: u64,
    shape: Shape,
}

impl Inputs {
    pub(super) fn new(spec: &RunSpec) -> Self {
        let (config, dataset) = (spec.config(), spec.dataset());
        Self {
            normaliser: Normaliser::new(&dataset.normalisation),
            normalisation: dataset.normalisation.clone(),
            augment: config.augment,
            question: spec.question(),
            weights: spec.label_weights(),
            seed: config.seed,
            shape: dataset.shape(),
        }
    }

    /// The task, for the classes of the data.
    pub(super) fn question(&self) -> &Question {
        &self.question
    }

    /// Overwrites `samples` with those at `positions` of `data`, augmented where `moved` gives a key.
    pub(super) fn load(
        &self,
        samples: &mut Samples,
        data: &ShardData,
        positions: impl ExactSizeIterator<Item = usize>,
        moved: Option<Moved>,
    ) {
        let moved = moved.filter(|_| !self.augment.is_none());
        let mut random =
            moved.map(|key| stream(self.seed, Purpose::Augment, key.shard.into(), key.step));
        let image = self.shape.len();
        samples.images.resize(positions.len() * image, 0.0);
        samples.targets.clear();
        samples.weights.clear();
        for (position, inputs) in positions.zip(samples.images.chunks_exact_mut(image)) {
            let pixels = (data.image(position), self.shape);
            match &mut random {
                Some(random) => self
                    .augment
                    .apply(random, pixels, &self.normalisation, inputs),
                None => self.normaliser.apply(pixels.0, inputs),
            }
            let label = data.label(position);
            let outputs = 0..self.question.outputs();
            let targets = outputs.map(|output| self.question.target(label, output));
            samples.targets.extend(targets);
            let weight = self.weights.get(usize::from(label));
            samples.weights.extend(weight);
        }
    }

    /// Inputs of `count` samples, evenly spread over `data`.
    pub(super) fn spread(&self, data: &ShardData, count: usize) -> Vec<f32> {
        let mut samples = Samples::default();
        let positions = (0..count).map(|index| index * data.len() / count);
        self.load(&mut samples, data, positions, None);
        samples.images
    }
}
