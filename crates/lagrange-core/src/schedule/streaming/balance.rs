//! Residual balancing: the last stage's penalty follows the ratio of primal and dual residual (Boyd et al.
//! 2011, section 3.4.1).

/// Factor of one correction.
const CORRECTION: f32 = 1.05;
/// Largest factor of all corrections together, and the inverse of the smallest.
const REACH: f32 = 16.0;

/// The factor of beta_L, and when it moves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Balance {
    /// Ratio of the residuals above which the factor moves; 0 switches balancing off.
    ratio: f64,
    factor: f32,
}

impl Balance {
    pub(super) fn new(ratio: f32) -> Self {
        Self {
            ratio: ratio.into(),
            factor: 1.0,
        }
    }

    /// Factor of beta_L in the next step.
    pub(super) fn factor(&self) -> f32 {
        self.factor
    }

    /// Restores the factor of a checkpoint; returns whether it is in range.
    #[must_use]
    pub(super) fn set_factor(&mut self, factor: f32) -> bool {
        self.factor = factor;
        (1.0 / REACH..=REACH).contains(&factor)
    }

    /// Updates the factor from a step's residuals: a large primal one raises the penalty, a large dual one
    /// lowers it.
    pub(super) fn absorb(&mut self, primal: f64, dual: f64) {
        if self.ratio <= 0.0 {
            return;
        }
        let next = if primal > self.ratio * dual {
            self.factor * CORRECTION
        } else if dual > self.ratio * primal {
            self.factor / CORRECTION
        } else {
            self.factor
        };
        self.factor = next.clamp(1.0 / REACH, REACH);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_penalty_follows_the_larger_residual_within_its_reach() {
        let mut balance = Balance::new(10.0);
        balance.absorb(1.0, 0.5);
        assert_eq!(balance.factor(), 1.0);
        balance.absorb(1.0, 0.05);
        assert_eq!(balance.factor(), CORRECTION);
        balance.absorb(0.05, 1.0);
        assert!((balance.factor() - 1.0).abs() < 1e-6);
        (0..1000).for_each(|_| balance.absorb(0.0, 1.0));
        assert_eq!(balance.factor(), 1.0 / REACH);
        let mut off = Balance::new(0.0);
        off.absorb(1.0, 0.0);
        assert_eq!(off.factor(), 1.0);
    }
}
