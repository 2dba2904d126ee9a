//! Forward pass of a block of samples, with the inputs and predicted outputs that the rest of a step reuses.

use crate::convolution::Convolution;
use crate::network::Network;
use crate::pooling::{Pooling, StaircaseUpdate};
use crate::toeplitz;
use crate::weights::Weights;

/// Forward pass of up to a fixed number of samples: inputs a_{l-1} and predicted outputs m_l = T(a_{l-1}) W_l
/// of every stage.
///
/// ```
/// # use lagrange_core::network::{Network, NetworkSpec, Shape};
/// # let image = Shape { height: 28, width: 28, channels: 1 };
/// # let network = Network::resolve(&NetworkSpec::default(), image, 10)?;
/// use lagrange_core::{forward::Forward, start::he};
///
/// let mut forward = Forward::new(&network, 2);
/// forward.load(&he(&network, 1));
/// forward.run(&[0.5; 2 * 28 * 28]);
/// assert_eq!((forward.samples(), forward.outputs().len()), (2, 2 * 10));
/// // Predicted outputs of the first stage, and their pooled activations.
/// assert_eq!((forward.m(0).len(), forward.a(0).len()), (2 * 24 * 24 * 16, 2 * 12 * 12 * 16));
/// # Ok::<(), lagrange_core::network::NetworkError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Forward {
    network: Network,
    /// Of every hidden stage.
    poolings: Vec<Pooling>,
    convolutions: Vec<Convolution>,
    /// Per stage `[n, H, W, C_in]`; the images for the first.
    inputs: Vec<Vec<f32>>,
    /// Per stage `[n, H, W, C]`.
    m: Vec<Vec<f32>>,
    capacity: usize,
    samples: usize,
}

/// The links of the hidden stages.
pub(crate) fn poolings(network: &Network, update: StaircaseUpdate) -> Vec<Pooling> {
    let hidden = network.hidden().iter();
    hidden
        .map(|stage| Pooling::new(stage.conv, stage.link, update))
        .collect()
}

impl Forward {
    /// Buffers for at most `capacity` samples of `network`, with zero weights.
    #[must_use]
    pub fn new(network: &Network, capacity: usize) -> Self {
        let stages = network.stages();
        Self {
            network: network.clone(),
            poolings: poolings(network, StaircaseUpdate::default()),
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

    /// Loads the weights of the following passes.
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

    /// Passes `images` through the first `stages` stages, which gives the input of the next one, if there is
    /// one.
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
                self.poolings[index].apply(m, &mut a[..n * stage.output.len()]);
            }
        }
    }

    /// Takes `images`, `[n, H, W, C]`, without passing them through any stage; [`Forward::map`] does that.
    ///
    /// # Panics
    /// As [`Forward::run`].
    pub(crate) fn begin(&mut self, images: &[f32]) {
        self.run_through(images, 0);
    }

    /// Computes m of stage `index` for one sample. Its part of `a`, `[n, H, W, C_in]`, becomes the stage's
    /// input; without `a` the input stays, as in the first stage, which reads the images.
    pub(crate) fn map(&mut self, index: usize, sample: usize, a: Option<&[f32]>) {
        let stage = &self.network.stages()[index];
        let of = |length: usize| sample * length..(sample + 1) * length;
        let input = &mut self.inputs[index][of(stage.input.len())];
        if let Some(a) = a {
            input.copy_from_slice(&a[of(stage.input.len())]);
        }
        self.convolutions[index].apply(input, &mut self.m[index][of(stage.conv.len())]);
    }

    /// Samples of the last pass.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// The convolution of stage `index`, with the weights loaded last.
    pub(crate) fn convolution(&mut self, index: usize) -> &mut Convolution {
        &mut self.convolutions[index]
    }

    /// a_{l-1}, the input of stage `index`, `[n, H, W, C_in]`; of stage 0, the images.
    #[must_use]
    pub fn input(&self, index: usize) -> &[f32] {
        &self.inputs[index][..self.samples * self.network.stages()[index].input.len()]
    }

    /// Predicted outputs m_l = T(a_{l-1}) W_l of stage `index`, `[n, H, W, C]`.
    #[must_use]
    pub fn m(&self, index: usize) -> &[f32] {
        &self.m[index][..self.samples * self.network.stages()[index].conv.len()]
    }

    /// a_l = h(m_l) of hidden stage `index`, `[n, H, W, C]`.
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
    pub(crate) fn write_row(&self, index: usize, row: usize, values: &mut [f32]) {
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
