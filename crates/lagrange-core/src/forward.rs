//! The forward pass of a block of samples, keeping what the rest of a step reuses.

use crate::convolution::Convolution;
use crate::network::Network;
use crate::pooling::{Pooling, StaircaseUpdate};
use crate::toeplitz;
use crate::weights::Weights;

/// Inputs a_{l-1} and outputs m_l of up to a fixed number of samples.
#[derive(Debug, Clone)]
pub struct Forward {
    network: Network,
    pooling: Pooling,
    convolutions: Vec<Convolution>,
    /// Per stage `[n, H, W, C_in]`; of the first, the images.
    inputs: Vec<Vec<f32>>,
    /// Per stage `[n, H, W, C]`.
    m: Vec<Vec<f32>>,
    capacity: usize,
    samples: usize,
}

impl Forward {
    /// Buffers for at most `capacity` samples of `network`, with weights of zero.
    #[must_use]
    pub fn new(network: &Network, capacity: usize) -> Self {
        let stages = network.stages();
        Self {
            network: network.clone(),
            pooling: Pooling::new(network.activation(), StaircaseUpdate::default()),
            convolutions: stages.iter().map(Convolution::new).collect(),
            inputs: stages
                .iter()
                .map(|stage| vec![0.0; capacity * stage.input.len()])
                .collect(),
            m: stages
                .iter()
                .map(|stage| vec![0.0; capacity * stage.conv.len()])
                .collect(),
            capacity,
            samples: 0,
        }
    }

    /// Largest number of samples of one pass.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Takes the weights of the passes to come.
    pub fn load(&mut self, weights: &Weights) {
        for (index, convolution) in self.convolutions.iter_mut().enumerate() {
            convolution.load(weights.stage(index));
        }
    }

    /// Passes `images`, `[n, H, W, C]`, through all stages.
    ///
    /// # Panics
    /// If there are more samples than the capacity, or a fraction of one.
    pub fn run(&mut self, images: &[f32]) {
        self.run_through(images, self.network.len());
    }

    /// Passes `images` through the first `stages` stages: the input of the next one, if there is one, is then known.
    ///
    /// # Panics
    /// As [`Forward::run`].
    pub fn run_through(&mut self, images: &[f32], stages: usize) {
        let input = self.network.input().len();
        self.samples = images.len() / input;
        assert!(
            self.samples <= self.capacity && self.samples * input == images.len(),
            "a block of at most {} whole samples",
            self.capacity
        );
        let n = self.samples;
        self.inputs[0][..images.len()].copy_from_slice(images);
        for (index, stage) in self.network.stages()[..stages].iter().enumerate() {
            let (before, after) = self.inputs.split_at_mut(index + 1);
            let m = &mut self.m[index][..n * stage.conv.len()];
            self.convolutions[index].apply(&before[index][..n * stage.input.len()], m);
            if let Some(a) = after.first_mut() {
                self.pooling
                    .apply(stage.conv, m, &mut a[..n * stage.output.len()]);
            }
        }
    }

    /// Samples of the last pass.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// The convolution of stage `index`, with the weights loaded last.
    pub fn convolution(&mut self, index: usize) -> &mut Convolution {
        &mut self.convolutions[index]
    }

    /// a_{l-1}, the input of stage `index`, `[n, H, W, C_in]`; of stage 0, the images.
    #[must_use]
    pub fn input(&self, index: usize) -> &[f32] {
        &self.inputs[index][..self.samples * self.network.stages()[index].input.len()]
    }

    /// m_l = T(a_{l-1}) W_l of stage `index`, `[n, H, W, C]`.
    #[must_use]
    pub fn m(&self, index: usize) -> &[f32] {
        &self.m[index][..self.samples * self.network.stages()[index].conv.len()]
    }

    /// a_l = h(m_l) of hidden stage `index`, `[n, H/2, W/2, C]`.
    #[must_use]
    pub fn a(&self, index: usize) -> &[f32] {
        self.input(index + 1)
    }

    /// The network's outputs m_L, `[n, O]`.
    #[must_use]
    pub fn outputs(&self) -> &[f32] {
        self.m(self.network.len() - 1)
    }

    /// Writes row `row` of T(a_{l-1}) of stage `index`, d values; rows count through all samples.
    ///
    /// # Panics
    /// If there is no such row, or the length differs.
    pub fn write_row(&self, index: usize, row: usize, values: &mut [f32]) {
        let stage = &self.network.stages()[index];
        let (sample, position) = (row / stage.rows(), row % stage.rows());
        let a = &self.input(index)[sample * stage.input.len()..][..stage.input.len()];
        toeplitz::toeplitz_row(stage, a, position, values);
    }

    /// Writes T(a_{l-1}) of stage `index`, `[n * rows, d]`.
    ///
    /// # Panics
    /// If the length differs.
    pub fn write_rows(&self, index: usize, rows: &mut [f32]) {
        toeplitz::toeplitz_rows(&self.network.stages()[index], self.input(index), rows);
    }
}
