//! The forward pass of a block of samples, keeping what the rest of a step reuses.

use crate::equations::{matrix, matrix_mut};
use crate::network::Network;
use crate::pooling::{Pooling, StaircaseUpdate};
use crate::toeplitz;
use crate::weights::Weights;
use ndarray::ArrayView2;

#[derive(Debug, Clone)]
struct StageBuffers {
    rows: Vec<f32>,
    m: Vec<f32>,
    a: Vec<f32>,
}

/// Toeplitz rows, outputs m_l and activations a_l of up to a fixed number of samples.
#[derive(Debug, Clone)]
pub struct Forward {
    network: Network,
    pooling: Pooling,
    stages: Vec<StageBuffers>,
    capacity: usize,
    samples: usize,
}

impl Forward {
    /// Buffers for at most `capacity` samples of `network`.
    #[must_use]
    pub fn new(network: &Network, capacity: usize) -> Self {
        let stages = network
            .stages()
            .iter()
            .map(|stage| StageBuffers {
                rows: vec![0.0; capacity * stage.rows() * stage.unknowns()],
                m: vec![0.0; capacity * stage.conv.len()],
                a: vec![0.0; capacity * stage.output.len()],
            })
            .collect();
        Self {
            network: network.clone(),
            pooling: Pooling::new(network.activation(), StaircaseUpdate::default()),
            stages,
            capacity,
            samples: 0,
        }
    }

    /// Largest number of samples of one pass.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Passes `images`, `[n, H, W, C]`, through all stages.
    ///
    /// # Panics
    /// If there are more samples than the capacity, or a fraction of one.
    pub fn run(&mut self, weights: &Weights, images: &[f32]) {
        self.run_through(weights, images, self.network.len());
    }

    /// Passes `images` through the first `stages` stages, and writes the Toeplitz rows of the next one if there is one.
    ///
    /// # Panics
    /// As [`Forward::run`].
    pub fn run_through(&mut self, weights: &Weights, images: &[f32], stages: usize) {
        let input = self.network.input().len();
        self.samples = images.len() / input;
        assert!(
            self.samples <= self.capacity && self.samples * input == images.len(),
            "a block of at most {} whole samples",
            self.capacity
        );
        let n = self.samples;
        for index in 0..self.network.len().min(stages + 1) {
            let stage = &self.network.stages()[index];
            let (before, here) = self.stages.split_at_mut(index);
            let here = &mut here[0];
            let a = match before.last() {
                Some(previous) => &previous.a[..n * stage.input.len()],
                None => images,
            };
            let rows = &mut here.rows[..n * stage.rows() * stage.unknowns()];
            toeplitz::toeplitz_rows(stage, a, rows);
            if index == stages {
                return;
            }
            let m = &mut here.m[..n * stage.conv.len()];
            toeplitz::apply(
                matrix(rows, n * stage.rows(), stage.unknowns()),
                weights.stage(index),
                &mut matrix_mut(m, n * stage.rows(), stage.conv.channels),
            );
            if index + 1 < self.network.len() {
                self.pooling
                    .apply(stage.conv, m, &mut here.a[..n * stage.output.len()]);
            }
        }
    }

    /// Samples of the last pass.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// T(a_{l-1}) of stage `index`, `[n * rows, d]`.
    #[must_use]
    pub fn rows(&self, index: usize) -> ArrayView2<'_, f32> {
        let stage = &self.network.stages()[index];
        let count = self.samples * stage.rows();
        matrix(
            &self.stages[index].rows[..count * stage.unknowns()],
            count,
            stage.unknowns(),
        )
    }

    /// m_l = T(a_{l-1}) W_l of stage `index`, `[n, H, W, C]`.
    #[must_use]
    pub fn m(&self, index: usize) -> &[f32] {
        let stage = &self.network.stages()[index];
        &self.stages[index].m[..self.samples * stage.conv.len()]
    }

    /// a_l = h(m_l) of hidden stage `index`, `[n, H/2, W/2, C]`.
    #[must_use]
    pub fn a(&self, index: usize) -> &[f32] {
        let stage = &self.network.stages()[index];
        &self.stages[index].a[..self.samples * stage.output.len()]
    }

    /// The network's outputs m_L, `[n, O]`.
    #[must_use]
    pub fn outputs(&self) -> &[f32] {
        self.m(self.network.len() - 1)
    }
}
