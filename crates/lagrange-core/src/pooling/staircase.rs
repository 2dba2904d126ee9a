//! Piecewise constant activation functions, and the exact prox of a window's maximum. Their derivative is
//! zero almost everywhere, which leaves back-propagation without a signal; the output update compares the
//! costs of a few levels instead.

use super::ramp::Ramp;
use super::{PoolPenalty, StaircaseUpdate};

/// h(x) = value of the highest threshold that x reaches.
#[derive(Debug, Clone, PartialEq)]
pub struct Staircase {
    /// Ascending.
    thresholds: Vec<f32>,
    /// `values[k]` between the thresholds k - 1 and k: one more than thresholds.
    values: Vec<f32>,
    /// Mean over the dither; `None` with exact updates.
    ramp: Option<Ramp>,
}

/// Levels above zero of the quantised ReLU: with zero, two bits.
const LEVELS: u8 = 3;
/// Height of one level of the quantised ReLU.
const HEIGHT: f32 = 0.5;
/// Half-width of the step's dither, for outputs of about unit variance. The quantised ReLU has a dither of
/// half a level, whose mean is a plain ramp.
const STEP_DITHER: f32 = 1.0;

impl Staircase {
    /// 1 where x >= 0, else 0.
    #[must_use]
    pub(crate) fn step(update: StaircaseUpdate) -> Self {
        Self::new(vec![0.0], vec![0.0, 1.0], update, STEP_DITHER)
    }

    /// ReLU rounded to the nearest of 0, 0.5, 1 and 1.5.
    #[must_use]
    pub(crate) fn quantised_relu(update: StaircaseUpdate) -> Self {
        let levels = (0..=LEVELS).map(f32::from);
        let thresholds = levels.clone().skip(1).map(|k| HEIGHT * (k - 0.5)).collect();
        let values = levels.map(|k| HEIGHT * k).collect();
        Self::new(thresholds, values, update, HEIGHT / 2.0)
    }

    fn new(thresholds: Vec<f32>, values: Vec<f32>, update: StaircaseUpdate, dither: f32) -> Self {
        let ends = |list: &[f32]| (list[0], list[list.len() - 1]);
        let ((low, high), (bottom, top)) = (ends(&thresholds), ends(&values));
        let ramp = Ramp {
            low: low - dither,
            high: high + dither,
            slope: (top - bottom) / (high - low + 2.0 * dither),
        };
        Self {
            thresholds,
            values,
            ramp: (update == StaircaseUpdate::Dithered).then_some(ramp),
        }
    }

    fn level(&self, top: f32) -> usize {
        self.thresholds.iter().filter(|&&t| t <= top).count()
    }

    /// The value at `x`.
    pub(super) fn at(&self, x: f32) -> f32 {
        self.values[self.level(x)]
    }

    /// The prox of a window's maximum: z - m into `d`; returns the remaining activation residual.
    pub(super) fn window_prox(
        &self,
        penalty: PoolPenalty,
        m: &[f32],
        a: f32,
        d: &mut [f32],
    ) -> f32 {
        match self.ramp {
            Some(ramp) => ramp.window_prox(penalty, m, a - self.at(largest(m)), d),
            None => a - self.exact_prox(penalty, m, a, d),
        }
    }

    /// The exact prox: z - m into `d`; returns h(z). A higher level raises the largest entry to its
    /// threshold, a lower one clips every entry to just below the threshold above it; the cheapest level
    /// wins, the present one where costs are equal.
    fn exact_prox(&self, penalty: PoolPenalty, m: &[f32], a: f32, d: &mut [f32]) -> f32 {
        let PoolPenalty { gamma, beta } = penalty;
        let top = largest(m);
        let square = |x: f32| x * x;
        let present = self.level(top);
        let misfit = |level: usize| gamma * square(a - self.values[level]);
        let (mut best, mut least) = (present, misfit(present));
        for level in 0..self.values.len() {
            let way: f32 = if level > present {
                square(self.thresholds[level - 1] - top)
            } else if level < present {
                let ceiling = self.thresholds[level].next_down();
                m.iter().map(|&m| square((m - ceiling).max(0.0))).sum()
            } else {
                continue;
            };
            let cost = misfit(level) + beta * way;
            if cost < least {
                (best, least) = (level, cost);
            }
        }
        d.fill(0.0);
        if best > present {
            let first = m.iter().position(|&m| m == top).unwrap_or(0);
            d[first] = self.thresholds[best - 1] - top;
        } else if best < present {
            let ceiling = self.thresholds[best].next_down();
            d.iter_mut()
                .zip(m)
                .for_each(|(d, m)| *d = (ceiling - m).min(0.0));
        }
        self.values[best]
    }
}

/// The largest value of a window.
pub(super) fn largest(m: &[f32]) -> f32 {
    m.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cost(stairs: &Staircase, penalty: PoolPenalty, m: [f32; 4], a: f32, z: [f32; 4]) -> f64 {
        let top = z.into_iter().fold(f32::NEG_INFINITY, f32::max);
        let h = stairs.values[stairs.level(top)];
        let way: f64 = z.iter().zip(m).map(|(z, m)| f64::from(z - m).powi(2)).sum();
        f64::from(penalty.gamma) * f64::from(a - h).powi(2) + f64::from(penalty.beta) * way
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]
        #[test]
        fn no_other_z_is_cheaper(
            m in prop::array::uniform4(-2f32..2.0), a in -1f32..2.5, gamma in 0.05f32..20.0, beta in 0.05f32..20.0,
            other in prop::array::uniform4(-2f32..2.0),
        ) {
            let penalty = PoolPenalty { gamma, beta };
            for stairs in [Staircase::step(StaircaseUpdate::Exact), Staircase::quantised_relu(StaircaseUpdate::Exact)] {
                let mut d = [0.0; 4];
                let value = stairs.exact_prox(penalty, &m, a, &mut d);
                let z: [f32; 4] = std::array::from_fn(|i| m[i] + d[i]);
                let claimed = f64::from(gamma) * f64::from(a - value).powi(2)
                    + f64::from(beta) * d.iter().map(|&d| f64::from(d).powi(2)).sum::<f64>();
                let slack = 1e-5 * claimed.max(1.0);
                // A random point, every point with entries on the thresholds or at m, and every common
                // ceiling.
                prop_assert!(claimed <= cost(&stairs, penalty, m, a, other) + slack);
                for &edge in &stairs.thresholds {
                    for subset in 0u32..16 {
                        for to in [edge, edge.next_down()] {
                            let z = std::array::from_fn(|i| if subset & (1 << i) != 0 { to } else { m[i] });
                            prop_assert!(claimed <= cost(&stairs, penalty, m, a, z) + slack, "{z:?}");
                        }
                    }
                }
                // The point moved to has the level claimed, up to rounding at the threshold itself.
                let top = z.into_iter().fold(f32::NEG_INFINITY, f32::max);
                let near = [top - 1e-6, top, top + 1e-6].map(|top| stairs.values[stairs.level(top)]);
                prop_assert!(near.contains(&value));
            }
        }
    }

    #[test]
    fn the_highest_threshold_reached_counts() {
        let at = |stairs: Staircase| [-0.3, 0.0, 0.3, 9.0].map(|x| stairs.at(x));
        assert_eq!(
            at(Staircase::step(StaircaseUpdate::Exact)),
            [0.0, 1.0, 1.0, 1.0]
        );
        let quantised = Staircase::quantised_relu(StaircaseUpdate::Exact);
        assert_eq!(at(quantised), [0.0, 0.0, 0.5, 1.5]);
    }

    #[test]
    fn a_far_target_flips_what_is_near_its_threshold() {
        let penalty = PoolPenalty {
            gamma: 1.0,
            beta: 1.0,
        };
        let stairs = Staircase::step(StaircaseUpdate::Exact);
        let mut d = [f32::NAN; 4];
        let value = stairs.exact_prox(penalty, &[-0.2, -0.3, -1.0, -2.0], 1.0, &mut d);
        assert_eq!((d, value), ([0.2, 0.0, 0.0, 0.0], 1.0));
        let value = stairs.exact_prox(penalty, &[-1.2, -1.3, -1.5, -2.0], 1.0, &mut d);
        assert_eq!((d, value), ([0.0; 4], 0.0));
    }
}
