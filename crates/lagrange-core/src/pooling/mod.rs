//! Pooling h, an activation function of 2x2 max-pooling, and its exact prox, the output update of hidden
//! stages.
//!
//! Arrays are channels-last. A trailing odd row or column belongs to no window: h ignores it and the prox
//! leaves it at m.

mod ramp;
mod relu;
mod staircase;

pub use staircase::Staircase;

use crate::network::{Activation, Shape};
use serde::{Deserialize, Serialize};

/// Output update of hidden stages with a staircase activation. Both variants are exact minimisers, of
/// different objectives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StaircaseUpdate {
    /// The activation constraint averaged over a uniform dither of the thresholds: the staircase becomes a
    /// ramp, and outputs near a threshold move by small amounts. Forward passes keep the hard staircase.
    #[default]
    Dithered,
    /// The staircase itself: an output either jumps to another level or stays. Small corrections never pay
    /// for a jump.
    Exact,
}

/// Penalties of the hidden output update: `gamma (a - h(z))^2 + beta |z - m|^2`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PoolPenalty {
    /// Weight of the activation constraint a = h(z).
    pub gamma: f32,
    /// Weight of the output constraint z = m, with the predicted outputs m = W a.
    pub beta: f32,
}

/// Residuals of the constraints after the prox, summed over all values.
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

/// The pooling function h of a network's hidden stages.
///
/// ```
/// use lagrange_core::network::{Activation, Shape};
/// use lagrange_core::pooling::{PoolPenalty, Pooling, StaircaseUpdate};
///
/// let conv = Shape { height: 2, width: 2, channels: 1 };
/// let pooling = Pooling::new(Activation::Relu, StaircaseUpdate::default());
/// let (m, mut a, mut dz) = ([1.0, -2.0, 3.0, 0.0], [0.0], [0.0; 4]);
/// pooling.apply(conv, &m, &mut a);
/// assert_eq!(a, [3.0]);
/// // A target of 4 raises the largest output half of the way.
/// let residual = pooling.prox(conv, PoolPenalty { gamma: 1.0, beta: 1.0 }, &m, &[4.0], &mut dz);
/// assert_eq!(dz, [0.0, 0.0, 0.5, 0.0]);
/// assert_eq!((residual.activation, residual.output), (0.25, 0.25));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Pooling {
    /// relu(maxpool(z))
    Relu,
    /// A piecewise constant function of maxpool(z).
    Staircase(Staircase),
}

impl Pooling {
    /// Pooling with `activation`; `update` selects the prox of a staircase.
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

    /// The hidden output update of `n` samples, exact in every window:
    /// `argmin_z gamma (a - h(z))^2 + beta |z - m|^2`, written as the correction z - m. Takes the predicted
    /// outputs `m` `[n, H, W, C]` and the updated activation `a` `[n, H/2, W/2, C]`, writes `dz`
    /// `[n, H, W, C]`.
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

/// Number of values of one sample's pooled activation.
fn pooled_len(conv: Shape) -> usize {
    (conv.height / 2) * (conv.width / 2) * conv.channels
}
