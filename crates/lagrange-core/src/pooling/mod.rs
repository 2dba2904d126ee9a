//! Links h, pooling in disjoint windows and an activation function, and their exact prox: the output update
//! of hidden stages.
//!
//! Arrays are channels-last. Trailing rows and columns that fill no window belong to none: h ignores them,
//! and the prox leaves them at m.

mod average;
mod linear;
mod maximum;
mod pointwise;
mod ramp;
mod relu;
mod staircase;

pub use staircase::Staircase;

use self::linear::Pieces;
use crate::network::{Activation, Link, PoolKind, Shape};
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

/// Activation function of one value, and the prox of a window of values of which it takes the largest.
#[derive(Debug, Clone, PartialEq)]
enum Function {
    /// Piecewise linear: ReLU, leaky ReLU, identity.
    Linear(Pieces),
    /// Piecewise constant.
    Staircase(Staircase),
}

impl Function {
    fn new(activation: Activation, update: StaircaseUpdate) -> Self {
        match activation {
            Activation::Relu => Self::Linear(Pieces { below: 0.0 }),
            Activation::LeakyRelu => Self::Linear(Pieces {
                below: Activation::LEAK,
            }),
            Activation::Identity => Self::Linear(Pieces { below: 1.0 }),
            Activation::Step => Self::Staircase(Staircase::step(update)),
            Activation::QuantisedRelu => Self::Staircase(Staircase::quantised_relu(update)),
        }
    }

    /// The function's value at `x`.
    fn at(&self, x: f32) -> f32 {
        match self {
            Self::Linear(pieces) => pieces.at(x),
            Self::Staircase(staircase) => staircase.at(x),
        }
    }

    /// `argmin_z gamma (a - h(max z))^2 + beta |z - m|^2` of one window: z - m into `d`, and returns the
    /// remaining a - h.
    fn window_prox(&self, penalty: PoolPenalty, m: &[f32], a: f32, d: &mut [f32]) -> f32 {
        match self {
            Self::Linear(pieces) => pieces.window_prox(penalty, m, a, d),
            Self::Staircase(staircase) => staircase.window_prox(penalty, m, a, d),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Method {
    /// relu(maxpool2x2(z)), by vectors of channels.
    MaxRelu,
    /// h of every value, by vectors.
    Pointwise(Pieces),
    /// h of the largest value of each window.
    Maximum(Function),
    /// h of the mean of each window.
    Average(Function),
}

/// The link h of a hidden stage.
///
/// ```
/// use lagrange_core::network::{Link, Shape};
/// use lagrange_core::pooling::{PoolPenalty, Pooling, StaircaseUpdate};
///
/// let conv = Shape { height: 2, width: 2, channels: 1 };
/// let pooling = Pooling::new(conv, Link::MAX_RELU, StaircaseUpdate::default());
/// let (m, mut a, mut dz) = ([1.0, -2.0, 3.0, 0.0], [0.0], [0.0; 4]);
/// pooling.apply(&m, &mut a);
/// assert_eq!(a, [3.0]);
/// // A target of 4 raises the largest output half of the way.
/// let residual = pooling.prox(PoolPenalty { gamma: 1.0, beta: 1.0 }, &m, &[4.0], &mut dz);
/// assert_eq!(dz, [0.0, 0.0, 0.5, 0.0]);
/// assert_eq!((residual.activation, residual.output), (0.25, 0.25));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Pooling {
    method: Method,
    windows: Windows,
}

impl Pooling {
    /// The link of outputs of shape `conv`; `update` selects the prox of a staircase.
    #[must_use]
    pub fn new(conv: Shape, link: Link, update: StaircaseUpdate) -> Self {
        let function = Function::new(link.activation, update);
        let method = match (link.pool.kind, function) {
            (_, _) if link == Link::MAX_RELU => Method::MaxRelu,
            (PoolKind::None, Function::Linear(pieces)) => Method::Pointwise(pieces),
            (PoolKind::Max | PoolKind::None, function) => Method::Maximum(function),
            (PoolKind::Avg | PoolKind::Global, function) => Method::Average(function),
        };
        Self {
            method,
            windows: Windows::new(conv, link),
        }
    }

    /// a = h(z) for `n` samples: `z` is `[n, H, W, C]`, `a` is `[n, H', W', C]`.
    ///
    /// # Panics
    /// If a length does not match.
    pub fn apply(&self, z: &[f32], a: &mut [f32]) {
        let Windows { conv, output, .. } = &self.windows;
        assert_eq!(z.len() / conv.len(), a.len() / output.len(), "samples");
        let samples = z.chunks_exact(conv.len());
        for (z, a) in samples.zip(a.chunks_exact_mut(output.len())) {
            match &self.method {
                Method::MaxRelu => relu::relu_maxpool(*conv, z, a),
                Method::Pointwise(pieces) => pointwise::apply(*pieces, z, a),
                Method::Maximum(function) => maximum::apply(function, &self.windows, z, a),
                Method::Average(function) => average::apply(function, &self.windows, z, a),
            }
        }
    }

    /// The hidden output update of `n` samples, exact in every window:
    /// `argmin_z gamma (a - h(z))^2 + beta |z - m|^2`, written as the correction z - m. Takes the predicted
    /// outputs `m` `[n, H, W, C]` and the updated activation `a` `[n, H', W', C]`, writes `dz`
    /// `[n, H, W, C]`. Where `a` is h(m), the correction is exactly zero.
    ///
    /// # Panics
    /// If a length does not match.
    pub fn prox(&self, penalty: PoolPenalty, m: &[f32], a: &[f32], dz: &mut [f32]) -> PoolResidual {
        let Windows { conv, output, .. } = &self.windows;
        assert_eq!(m.len(), dz.len(), "outputs and corrections");
        assert_eq!(m.len() / conv.len(), a.len() / output.len(), "samples");
        if self.windows.leave_some_out() {
            dz.fill(0.0);
        }
        let mut residual = PoolResidual::default();
        let samples = m
            .chunks_exact(conv.len())
            .zip(a.chunks_exact(output.len()))
            .zip(dz.chunks_exact_mut(conv.len()));
        for ((m, a), dz) in samples {
            let left = match &self.method {
                Method::MaxRelu => relu::prox(*conv, penalty, m, a, dz),
                Method::Pointwise(pieces) => pointwise::prox(*pieces, penalty, m, a, dz),
                Method::Maximum(function) => {
                    maximum::prox(function, &self.windows, penalty, m, a, dz)
                }
                Method::Average(function) => {
                    average::prox(function, &self.windows, penalty, m, a, dz)
                }
            };
            residual.activation += left.activation;
            residual.output += left.output;
        }
        residual
    }
}

/// The larger one, as a select, which vectorises.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// The smaller one, as a select.
#[inline(always)]
fn smaller(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

/// Disjoint windows of one sample's outputs.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Windows {
    conv: Shape,
    output: Shape,
    /// Height and width of a window.
    size: (usize, usize),
}

impl Windows {
    fn new(conv: Shape, link: Link) -> Self {
        Self {
            conv,
            output: link.output(conv),
            size: link.window(conv),
        }
    }

    /// Number of positions of a window.
    fn len(&self) -> usize {
        self.size.0 * self.size.1
    }

    fn leave_some_out(&self) -> bool {
        self.output.pixels() * self.len() < self.conv.pixels()
    }

    /// Offset of channel 0 of the window of every output position.
    fn corners(&self) -> impl Iterator<Item = usize> + use<> {
        let Self { conv, output, size } = *self;
        let at = move |y: usize, x: usize| (y * size.0 * conv.width + x * size.1) * conv.channels;
        (0..output.height).flat_map(move |y| (0..output.width).map(move |x| at(y, x)))
    }

    /// Sets every value of `a`, one sample, to what `value` makes of the offset of its window and channel.
    fn fill(&self, a: &mut [f32], value: impl Fn(usize) -> f32) {
        let channels = self.conv.channels;
        for (a, corner) in a.chunks_exact_mut(channels).zip(self.corners()) {
            for (channel, a) in a.iter_mut().enumerate() {
                *a = value(corner + channel);
            }
        }
    }

    /// Offsets of a window's positions from its corner.
    fn members(&self) -> impl Iterator<Item = usize> + use<> {
        let Self { conv, size, .. } = *self;
        let at = move |y: usize, x: usize| (y * conv.width + x) * conv.channels;
        (0..size.0).flat_map(move |y| (0..size.1).map(move |x| at(y, x)))
    }
}

#[cfg(test)]
mod tests;
