//! Losses, and the last output update: their prox with a multiplier.
//!
//! The update is `argmin_z loss(z, y) + lambda z + beta (z - m)^2`, entrywise and global, with m = W_L
//! a_{L-1}. Completing the square, lambda only shifts m to `m - lambda / (2 beta)`.

use serde::{Deserialize, Serialize};

/// A loss of one output z against its target y = +-1.
///
/// ```
/// use lagrange_core::loss::Loss;
///
/// assert_eq!(Loss::SquaredHinge.value(-1.0, 1.0), 4.0);
/// // The prox moves an output towards its target, and leaves a satisfied one.
/// assert_eq!(Loss::SquaredHinge.prox(-1.0, 1.0, 0.0, 1.0), 0.0);
/// assert_eq!(Loss::SquaredHinge.prox(1.5, 1.0, 0.0, 1.0), 1.5);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// (z - y)^2
    Squared,
    /// max(0, 1 - y z)^2
    #[default]
    SquaredHinge,
    /// max(0, 1 - y z)
    Hinge,
}

impl Loss {
    /// The loss of output `z` for target `y` (+1 or -1).
    #[must_use]
    pub fn value(self, z: f32, y: f32) -> f32 {
        let gap = (1.0 - y * z).max(0.0);
        match self {
            Self::Squared => (z - y) * (z - y),
            Self::SquaredHinge => gap * gap,
            Self::Hinge => gap,
        }
    }

    /// The global minimiser of `loss(z, y) + lambda z + beta (z - m)^2` for beta > 0.
    ///
    /// Each loss is convex, so the piece whose stationary point lies inside the piece holds the minimum, and
    /// for the hinge, where neither piece contains its stationary point, the kink y z = 1 is the minimum.
    #[must_use]
    pub fn prox(self, m: f32, y: f32, lambda: f32, beta: f32) -> f32 {
        let m = m - lambda / (2.0 * beta);
        let fitted = (y + beta * m) / (1.0 + beta);
        match self {
            Self::Squared => fitted,
            Self::SquaredHinge if y * m >= 1.0 => m,
            Self::SquaredHinge => fitted,
            Self::Hinge if y * m >= 1.0 => m,
            Self::Hinge => y * (y * m + 0.5 / beta).min(1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cost(loss: Loss, z: f64, m: f64, y: f64, lambda: f64, beta: f64) -> f64 {
        let gap = (1.0 - y * z).max(0.0);
        let value = match loss {
            Loss::Squared => (z - y).powi(2),
            Loss::SquaredHinge => gap * gap,
            Loss::Hinge => gap,
        };
        value + lambda * z + beta * (z - m).powi(2)
    }

    proptest! {
        #[test]
        fn the_prox_beats_every_point_of_a_fine_grid(
            m in -4f32..4.0, odd in any::<bool>(), lambda in -3f32..3.0, beta in 0.05f32..20.0,
        ) {
            let y = if odd { 1.0f32 } else { -1.0 };
            for loss in [Loss::Squared, Loss::SquaredHinge, Loss::Hinge] {
                let cost = |z: f64| cost(loss, z, m.into(), y.into(), lambda.into(), beta.into());
                let best = cost(loss.prox(m, y, lambda, beta).into());
                let reach = 40.0 + 2.0 / f64::from(beta);
                for i in 0..=20_000 {
                    let z = reach * (f64::from(i) / 10_000.0 - 1.0);
                    prop_assert!(best <= cost(z) + 1e-4 * cost(z).abs().max(1.0), "{loss:?} z {z}");
                }
            }
        }
    }

    #[test]
    fn a_satisfied_hinge_moves_only_by_its_multiplier() {
        for loss in [Loss::SquaredHinge, Loss::Hinge] {
            assert_eq!(loss.prox(1.5, 1.0, 0.0, 1.0), 1.5);
            assert_eq!(loss.prox(-1.5, -1.0, 0.0, 1.0), -1.5);
            assert_eq!(loss.prox(2.0, 1.0, 0.5, 1.0), 1.75);
            assert_eq!(loss.value(1.5, 1.0), 0.0);
        }
    }
}
