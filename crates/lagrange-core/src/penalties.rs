//! Penalties: the weights of the constraints in the augmented objective.

use crate::activation::ActivationPenalty;
use crate::pooling::PoolPenalty;

/// Penalties of the three kinds of constraints.
///
/// ```
/// use lagrange_core::schedule::ScheduleParams;
///
/// let penalties = ScheduleParams { beta_output: 2.0, ..ScheduleParams::default() }.penalties();
/// assert_eq!((penalties.beta, penalties.gamma, penalties.beta_output), (1.0, 1.0, 2.0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Penalties {
    /// beta, of hidden output constraints z = W a.
    pub beta: f32,
    /// gamma, of activation constraints a = h(z).
    pub gamma: f32,
    /// beta_L, of the last output constraint, which also has the multipliers.
    pub beta_output: f32,
}

impl Penalties {
    /// Penalties of an activation update; `consumer_is_last` if the last stage reads the activation.
    #[must_use]
    pub(crate) fn of_activation(&self, consumer_is_last: bool) -> ActivationPenalty {
        ActivationPenalty {
            beta: match consumer_is_last {
                true => self.beta_output,
                false => self.beta,
            },
            gamma: self.gamma,
        }
    }

    /// Penalties of a hidden output update.
    #[must_use]
    pub(crate) fn of_pool(&self) -> PoolPenalty {
        PoolPenalty {
            gamma: self.gamma,
            beta: self.beta,
        }
    }
}
