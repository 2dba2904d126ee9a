//! The mean of a staircase over a uniform dither of its thresholds, and the exact prox of its change.

use super::PoolPenalty;
use super::linear::MOST;
use super::staircase::largest;

/// `r(x) = slope * (min(max(x, low), high) - low)`
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ramp {
    pub(super) low: f32,
    pub(super) high: f32,
    pub(super) slope: f32,
}

impl Ramp {
    fn at(&self, x: f32) -> f32 {
        self.slope * (x.clamp(self.low, self.high) - self.low)
    }

    /// `argmin_z gamma (da - (r(max z) - r(max m)))^2 + beta |z - m|^2` for one window: z - m into `d`;
    /// returns the remaining activation residual.
    ///
    /// Either nothing moves, or max z lies on the ramp at some x: entries above x are clipped to it, and
    /// where none is, the largest is raised. On the ramp the cost is convex in x with a quadratic piece for
    /// each number of entries moved, so the best of the pieces' stationary points, kept on the ramp, is the
    /// minimiser.
    pub(super) fn window_prox(
        &self,
        penalty: PoolPenalty,
        m: &[f32],
        da: f32,
        d: &mut [f32],
    ) -> f32 {
        let PoolPenalty { gamma, beta } = penalty;
        let mut sorted = [0.0; MOST];
        let sorted = &mut sorted[..m.len()];
        sorted.copy_from_slice(m);
        sorted.sort_unstable_by(|a, b| b.total_cmp(a));
        let top = largest(m);
        let target = da + self.at(top);
        let cost = |x: f32| {
            let moved = if x > top {
                (x - top) * (x - top)
            } else {
                let over = |m: f32| (m - x).max(0.0);
                m.iter().map(|&m| over(m) * over(m)).sum::<f32>()
            };
            gamma * (target - self.at(x)).powi(2) + beta * moved
        };
        let (mut best, mut least) = (top, gamma * da * da);
        let mut sum = 0.0;
        for (index, &m) in sorted.iter().enumerate() {
            sum += m;
            let count = (index + 1) as f32;
            let pull = gamma * self.slope;
            let stationary = (pull * (target + self.slope * self.low) + beta * sum)
                / (pull * self.slope + count * beta);
            let x = stationary.clamp(self.low, self.high);
            let cost = cost(x);
            if cost < least {
                (best, least) = (x, cost);
            }
        }
        let first = m.iter().position(|&m| m == top).unwrap_or(0);
        for (index, (d, m)) in d.iter_mut().zip(m).enumerate() {
            *d = match best > top && index == first {
                true => best - top,
                false => (best - m).min(0.0),
            };
        }
        target - self.at(best)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn no_other_level_is_cheaper(
            m in prop::array::uniform4(-2f32..2.5), da in -1.5f32..1.5, gamma in 0.05f32..20.0, beta in 0.05f32..20.0,
            other in prop::array::uniform4(-2f32..2.5),
        ) {
            let ramps = [Ramp { low: -1.0, high: 1.0, slope: 0.5 }, Ramp { low: 0.0, high: 1.5, slope: 1.0 }];
            for ramp in ramps {
                let largest = |z: [f32; 4]| z.into_iter().fold(f32::NEG_INFINITY, f32::max);
                let cost = |z: [f32; 4]| {
                    let gap = da - (ramp.at(largest(z)) - ramp.at(largest(m)));
                    let way: f32 = z.iter().zip(m).map(|(z, m)| (z - m) * (z - m)).sum();
                    f64::from(gamma * gap * gap + beta * way)
                };
                let mut d = [f32::NAN; 4];
                let left = ramp.window_prox(PoolPenalty { gamma, beta }, &m, da, &mut d);
                let z: [f32; 4] = std::array::from_fn(|i| m[i] + d[i]);
                let ours = cost(z);
                let slack = 1e-4 * ours.max(1.0);
                prop_assert!((f64::from(left) - f64::from(da - (ramp.at(largest(z)) - ramp.at(largest(m))))).abs() < 1e-4);
                prop_assert!(ours <= cost(other) + slack);
                for step in 0..=900 {
                    // All levels, reached by clipping, or by raising the largest entry alone.
                    let x = -2.0 + f32::from(step as u16) * 0.005;
                    let first = m.iter().position(|&v| v == largest(m)).unwrap_or(0);
                    let clipped = m.map(|v| v.min(x));
                    let mut raised = m;
                    raised[first] = raised[first].max(x);
                    prop_assert!(ours <= cost(clipped) + slack, "clip to {x}");
                    prop_assert!(ours <= cost(raised) + slack, "raise to {x}");
                }
            }
        }
    }
}
