//! Links without pooling: every value has its own activation.

use super::linear::Pieces;
use super::{PoolPenalty, PoolResidual, larger, smaller};
use multiversion::multiversion;

/// Accumulators of a residual: a sum over values would not vectorise.
pub(super) const LANES: usize = 16;

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
pub(super) fn apply(pieces: Pieces, z: &[f32], a: &mut [f32]) {
    for (a, z) in a.iter_mut().zip(z) {
        *a = pieces.at(*z);
    }
}

/// The output update of one sample: see [`super::Pooling::prox`].
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
pub(super) fn prox(
    pieces: Pieces,
    penalty: PoolPenalty,
    m: &[f32],
    a: &[f32],
    dz: &mut [f32],
) -> PoolResidual {
    let one = Scalar::new(pieces, penalty);
    let (mut activation, mut output) = ([0.0f32; LANES], [0.0f32; LANES]);
    let (m, m_rest) = m.as_chunks::<LANES>();
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (dz, dz_rest) = dz.as_chunks_mut::<LANES>();
    for ((m, a), dz) in m.iter().zip(a).zip(dz) {
        for lane in 0..LANES {
            let (d, misfit) = one.prox(m[lane], a[lane]);
            dz[lane] = d;
            activation[lane] += misfit * misfit;
            output[lane] += d * d;
        }
    }
    for ((m, a), dz) in m_rest.iter().zip(a_rest).zip(dz_rest) {
        let (d, misfit) = one.prox(*m, *a);
        *dz = d;
        activation[0] += misfit * misfit;
        output[0] += d * d;
    }
    let sum = |lanes: [f32; LANES]| lanes.into_iter().map(f64::from).sum();
    PoolResidual {
        activation: sum(activation),
        output: sum(output),
    }
}

/// The prox of one value, by selects only, so that a loop vectorises.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scalar {
    pieces: Pieces,
    gamma: f32,
    beta: f32,
    /// gamma s / (gamma s^2 + beta) on the half-lines above and below zero.
    above: f32,
    below: f32,
}

impl Scalar {
    pub(super) fn new(pieces: Pieces, penalty: PoolPenalty) -> Self {
        let PoolPenalty { gamma, beta } = penalty;
        let slope = pieces.below;
        Self {
            pieces,
            gamma,
            beta,
            above: gamma / (gamma + beta),
            below: gamma * slope / (gamma * slope * slope + beta),
        }
    }

    /// z - m and the remaining a - h(z): the cheaper of the minimisers on the two half-lines, the present one
    /// where costs are equal.
    #[inline(always)]
    pub(super) fn prox(&self, m: f32, a: f32) -> (f32, f32) {
        let slope = self.pieces.below;
        let up = larger(self.above * (a - m), -m);
        let down = smaller(self.below * (a - slope * m), -m);
        let up_left = a - (m + up);
        let down_left = a - slope * (m + down);
        let up_cost = self.gamma * up_left * up_left + self.beta * up * up;
        let down_cost = self.gamma * down_left * down_left + self.beta * down * down;
        let is_up = up_cost < down_cost || (up_cost == down_cost && m >= 0.0);
        let d = if is_up { up } else { down };
        (d, if is_up { up_left } else { down_left })
    }
}
