//! Losses, and the last output update: their prox with a multiplier.
//!
//! The update of one sample is `argmin_z w loss(z, y) + <lambda, z> + beta |z - m|^2`, exact and global, with
//! m = W_L a_{L-1} and the weight w of the sample's class. Completing the square, lambda only shifts m to
//! `m - lambda / (2 beta)`.

mod custom;
mod multi_class;
mod name;
mod separate;
mod softmax;
#[cfg(test)]
mod tests;

pub use custom::{CustomLoss, LossFunction, RegisterLossError};
pub use name::UnknownLoss;

/// A loss of one sample's outputs z, `[O]`, against their targets y = +-1.
///
/// With several outputs one target is +1, that of the sample's class, or for the losses of single outputs any
/// number of them. With one output, `softmax` is the logistic loss, and `multiclass-hinge` the squared hinge.
///
/// ```
/// use lagrange_core::loss::Loss;
///
/// assert_eq!(Loss::SquaredHinge.value(&[-1.0, 2.0], &[1.0, 1.0]), 4.0);
/// // The class's output is 0.5 above the other one, which should be 1.
/// assert_eq!(Loss::MulticlassHinge.value(&[-1.0, -0.5], &[-1.0, 1.0]), 0.25);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Loss {
    /// Sum over outputs of (z - y)^2
    Squared,
    /// Sum over outputs of max(0, 1 - y z)^2
    #[default]
    SquaredHinge,
    /// Sum over outputs of max(0, 1 - y z)
    Hinge,
    /// Cross-entropy of the softmax of all outputs.
    Softmax,
    /// max(0, 1 + the largest other output - the class's output)^2, after Crammer and Singer.
    MulticlassHinge,
    /// One that is not the library's: [`Loss::register`].
    Custom(CustomLoss),
}

/// What the update of one sample's outputs depends on beside m.
#[derive(Debug, Clone, Copy)]
pub struct OutputUpdate<'a> {
    /// Targets y, `[O]`.
    pub targets: &'a [f32],
    /// Multipliers lambda, `[O]`.
    pub multipliers: &'a [f32],
    /// Penalty of z = m, above 0.
    pub beta: f32,
    /// Weight w of the loss, above 0.
    pub weight: f32,
}

/// The one output whose target is +1; `None` where there is none.
fn class(targets: &[f32]) -> Option<usize> {
    targets.iter().position(|&y| y > 0.0)
}

impl Loss {
    /// The loss of one sample's outputs.
    #[must_use]
    pub fn value(self, outputs: &[f32], targets: &[f32]) -> f64 {
        match (self, outputs, class(targets)) {
            (Self::Custom(loss), ..) => loss.function.value(outputs, targets),
            (Self::Softmax, [z], _) => softmax::logistic(*z, targets[0]),
            (Self::Softmax, _, Some(class)) => softmax::cross_entropy(outputs, class),
            (Self::MulticlassHinge, [_, _, ..], Some(class)) => multi_class::value(outputs, class),
            _ => {
                let each = outputs.iter().zip(targets);
                each.map(|(&z, &y)| f64::from(separate::value(self, z, y)))
                    .sum()
            }
        }
    }
}

/// The last output update, with its buffers.
///
/// ```
/// use lagrange_core::loss::{Loss, OutputProx, OutputUpdate};
///
/// let mut prox = OutputProx::new(Loss::SquaredHinge, 2);
/// let update = OutputUpdate { targets: &[1.0, 1.0], multipliers: &[0.0; 2], beta: 1.0, weight: 1.0 };
/// let mut z = [0.0; 2];
/// // An output moves towards its target; a satisfied one stays.
/// prox.run(&[-1.0, 1.5], &update, &mut z);
/// assert_eq!(z, [0.0, 1.5]);
/// ```
#[derive(Debug, Clone)]
pub struct OutputProx {
    loss: Loss,
    newton: softmax::Newton,
    violations: Vec<f32>,
}

impl OutputProx {
    /// The update for `loss` of `outputs` outputs.
    #[must_use]
    pub fn new(loss: Loss, outputs: usize) -> Self {
        Self {
            loss,
            newton: softmax::Newton::new(outputs),
            violations: Vec::with_capacity(outputs),
        }
    }

    /// The loss.
    #[must_use]
    pub fn loss(&self) -> Loss {
        self.loss
    }

    /// Writes the minimiser of `w loss(z, y) + <lambda, z> + beta |z - m|^2` of one sample to `z`, `[O]`.
    ///
    /// # Panics
    /// If a length is not the number of outputs.
    pub fn run(&mut self, m: &[f32], update: &OutputUpdate<'_>, z: &mut [f32]) {
        let lengths = [update.targets.len(), update.multipliers.len(), z.len()];
        assert!(
            lengths.iter().all(|&length| length == m.len()),
            "one of each per output"
        );
        for (output, z) in z.iter_mut().enumerate() {
            *z = m[output] - update.multipliers[output] / (2.0 * update.beta);
        }
        match (self.loss, &mut *z, class(update.targets)) {
            (Loss::Custom(loss), ..) => {
                loss.function
                    .prox(update.targets, update.weight, update.beta, z);
            }
            (Loss::Softmax, [z], _) => *z = softmax::logistic_prox(*z, update),
            (Loss::Softmax, _, Some(class)) => self.newton.run(class, update, z),
            (Loss::MulticlassHinge, [_, _, ..], Some(class)) => {
                multi_class::prox(class, update, &mut self.violations, z);
            }
            _ => {
                for (z, &y) in z.iter_mut().zip(update.targets) {
                    *z = separate::prox(self.loss, *z, y, update);
                }
            }
        }
    }
}
