//! h = activation function of 2x2 max-pooling, and its exact prox, the output update of hidden stages.
//!
//! Arrays are channels-last. A trailing odd row or column belongs to no window: h ignores it and the prox leaves it at m.

mod ramp;
mod relu;
mod staircase;

pub use staircase::Staircase;

use crate::network::{Activation, Shape};
use serde::{Deserialize, Serialize};

/// How hidden outputs are updated behind a staircase activation. Both are exact minimisers; they differ in what they minimise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StaircaseUpdate {
    /// The activation constraint averaged over a uniform dither of the thresholds: the staircase becomes a ramp, and outputs near a
    /// threshold move by small amounts. Forward passes keep the hard staircase.
    #[default]
    Dithered,
    /// The staircase itself: an output either jumps to another level or stays. Small corrections never pay for a jump.
    Exact,
}

/// Penalties of the hidden output update: `gamma (a - h(z))^2 + beta |z - m|^2`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PoolPenalty {
    /// Weight of the activation constraint a = h(z).
    pub gamma: f32,
    /// Weight of the output constraint z = m = W a.
    pub beta: f32,
}

/// What the prox left unsatisfied, summed over all values.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PoolResidual {
    /// |a - h(z)|^2
    pub activation: f64,
    /// |z - m|^2
    pub output: f64,
}

/// Offsets of the four members of window (row, column) in one sample of `conv` shape.
#[inline(always)]
fn window(conv: Shape, row: usize, column: usize) -> [usize; 4] {
    let at = |y: usize, x: usize| ((2 * row + y) * conv.width + 2 * column + x) * conv.channels;
    [at(0, 0), at(0, 1), at(1, 0), at(1, 1)]
}

/// h of a network, ready to be applied.
#[derive(Debug, Clone, PartialEq)]
pub enum Pooling {
    /// relu(maxpool(z))
    Relu,
    /// A piecewise constant function of maxpool(z).
    Staircase(Staircase),
}

impl Pooling {
    /// h for `activation`.
    #[must_use]
    pub fn new(activation: Activation, update: StaircaseUpdate) -> Self {
        match activation {
            Activation::Relu => Self::Relu,
            Activation::Step => Self::Staircase(Staircase::step(update)),
            Activation::QuantisedRelu => Self::Staircase(Staircase::quantised_relu(update)),
        }
    }

    /// a = h(z) for `n` samples: `z` is `[n, H, W, C]`, `a` is `[n, H/2, W/2, C]`.
    ///
    /// # Panics
    /// If a length does not match.
    pub fn apply(&self, conv: Shape, z: &[f32], a: &mut [f32]) {
        let pooled = pooled_len(conv);
        assert_eq!(z.len() / conv.len(), a.len() / pooled, "samples");
        for (z, a) in z.chunks_exact(conv.len()).zip(a.chunks_exact_mut(pooled)) {
            match self {
                Self::Relu => relu::relu_maxpool(conv, z, a),
                Self::Staircase(staircase) => staircase.apply(conv, z, a),
            }
        }
    }

    /// The hidden output update of `n` samples, exact in every window: `argmin_z gamma (a - h(z))^2 + beta |z - m|^2`, written as the
    /// correction z - m. Takes `m` `[n, H, W, C]` and the updated activation `a` `[n, H/2, W/2, C]`, writes `dz` `[n, H, W, C]`.
    ///
    /// # Panics
    /// If a length does not match.
    pub fn prox(
        &self,
        conv: Shape,
        penalty: PoolPenalty,
        m: &[f32],
        a: &[f32],
        dz: &mut [f32],
    ) -> PoolResidual {
        let pooled = pooled_len(conv);
        assert_eq!(m.len(), dz.len(), "outputs and corrections");
        assert_eq!(m.len() / conv.len(), a.len() / pooled, "samples");
        if conv.height % 2 + conv.width % 2 > 0 {
            dz.fill(0.0);
        }
        let mut residual = PoolResidual::default();
        let samples = m
            .chunks_exact(conv.len())
            .zip(a.chunks_exact(pooled))
            .zip(dz.chunks_exact_mut(conv.len()));
        for ((m, a), dz) in samples {
            let left = match self {
                Self::Relu => relu::prox(conv, penalty, m, a, dz),
                Self::Staircase(staircase) => staircase.prox(conv, penalty, m, a, dz),
            };
            residual.activation += left.activation;
            residual.output += left.output;
        }
        residual
    }
}

/// Values of one sample's pooled activation.
fn pooled_len(conv: Shape) -> usize {
    (conv.height / 2) * (conv.width / 2) * conv.channels
}
