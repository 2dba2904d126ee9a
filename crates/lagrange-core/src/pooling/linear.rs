//! Piecewise linear activation functions, and the exact prox of a window's maximum.

use super::PoolPenalty;

/// Largest number of values of a window.
pub(super) const MOST: usize = 64;

/// `x` where x >= 0, else `below * x`, for a slope from 0 to 1: ReLU at 0, the identity at 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pieces {
    pub(super) below: f32,
}

impl Pieces {
    #[inline(always)]
    pub(super) fn at(self, x: f32) -> f32 {
        // Written so that loops over it vectorise.
        (if x > 0.0 { x } else { 0.0 }) + self.below * (if x < 0.0 { x } else { 0.0 })
    }

    /// The prox of a window's maximum: z - m into `d`; returns the remaining a - h.
    ///
    /// With s1 >= .. >= sn the sorted outputs, C(t) = sum of max(s_i - t, 0)^2, or (t - s1)^2 above s1, is
    /// the least cost of max z = t: entries above t are clipped to it, or the largest is raised. C is convex,
    /// so on each of the two half-lines, where h is s t, the cost gamma (a - s t)^2 + beta C(t) is convex
    /// too: its minimiser there is the stationary point kept on the half-line. The stationary points of the
    /// pieces with r entries moved rise up to the one that lies on its own piece, so that is the largest of
    /// all. The cheaper half-line wins, the present one where costs are equal. All values are distances from
    /// s1, so that a window whose activation did not move has a correction of exactly zero.
    pub(super) fn window_prox(self, penalty: PoolPenalty, m: &[f32], a: f32, d: &mut [f32]) -> f32 {
        let mut gaps = [0.0; MOST];
        let gaps = &mut gaps[..m.len()];
        let top = m.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        for (gap, m) in gaps.iter_mut().zip(m) {
            *gap = top - m;
        }
        if gaps.len() > 1 {
            gaps.sort_unstable_by(f32::total_cmp);
        }
        let half = |slope: f32, low: f32, high: f32| {
            let by = stationary(penalty, slope, a - slope * top, gaps);
            // Not `clamp`, which panics where a bound is not a number.
            let by = by.max(low - top).min(high - top);
            (by, cost(penalty, a - slope * (top + by), by, gaps))
        };
        let above = half(1.0, 0.0, f32::INFINITY);
        let below = half(self.below, f32::NEG_INFINITY, 0.0);
        let raised = match top >= 0.0 {
            true => above.1 <= below.1,
            false => above.1 < below.1,
        };
        let by = if raised { above.0 } else { below.0 };
        let mut left = by.max(0.0);
        for (d, m) in d.iter_mut().zip(m) {
            let gap = top - m;
            // Only the first of equal largest entries is raised: raising one is enough and costs least.
            *d = (by.min(0.0) + gap).min(0.0);
            if gap == 0.0 {
                *d += std::mem::take(&mut left);
            }
        }
        a - self.at(top + by)
    }
}

/// Movement of the maximum to the stationary point of gamma (misfit - slope by)^2 + beta C.
fn stationary(penalty: PoolPenalty, slope: f32, misfit: f32, gaps: &[f32]) -> f32 {
    let PoolPenalty { gamma, beta } = penalty;
    let (pull, mut over, mut count) = (gamma * slope * misfit, 0.0, 0.0);
    let mut best = f32::NEG_INFINITY;
    for gap in gaps {
        over += gap;
        count += 1.0;
        best = best.max((pull - beta * over) / (gamma * slope * slope + count * beta));
    }
    best
}

/// Cost of moving the maximum by `by`, which leaves `misfit`.
fn cost(penalty: PoolPenalty, misfit: f32, by: f32, gaps: &[f32]) -> f32 {
    let way: f32 = match by > 0.0 {
        true => by * by,
        false => gaps.iter().map(|gap| (-by - gap).max(0.0).powi(2)).sum(),
    };
    penalty.gamma * misfit * misfit + penalty.beta * way
}
