//! Losses of one's own: a value and a prox under a name.

use super::Loss;
use std::fmt::Debug;
use std::sync::{PoisonError, RwLock};

/// A loss that the library does not know of.
pub trait LossFunction: Debug + Send + Sync {
    /// The loss of one sample's outputs, `[O]`, against targets +-1, `[O]`.
    fn value(&self, outputs: &[f32], targets: &[f32]) -> f64;

    /// Moves z, `[O]`, from v to the minimiser of `weight loss(z, y) + beta |z - v|^2`: its prox.
    ///
    /// With the same arguments it must give the same bits on every machine. What is no finite number ends
    /// the run with an error.
    fn prox(&self, targets: &[f32], weight: f32, beta: f32, z: &mut [f32]);
}

/// A loss of one's own, by the name under which it is [registered](Loss::register).
#[derive(Debug, Clone, Copy)]
pub struct CustomLoss {
    pub(super) name: &'static str,
    pub(super) function: &'static dyn LossFunction,
}

impl PartialEq for CustomLoss {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for CustomLoss {}

/// Why a loss cannot be registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegisterLossError {
    /// There is a loss of that name.
    #[error("there is a loss `{0}` already: choose another name")]
    Taken(String),
    /// Configurations could not name it.
    #[error("`{0}` is no name of a loss: it must be of lower-case letters, digits and hyphens")]
    Name(String),
}

static REGISTERED: RwLock<Vec<CustomLoss>> = RwLock::new(Vec::new());

/// Every loss of one's own.
pub(super) fn registered() -> Vec<CustomLoss> {
    let registered = REGISTERED.read().unwrap_or_else(PoisonError::into_inner);
    registered.clone()
}

impl Loss {
    /// Makes a loss of one's own known in this process, for as long as it lives, under `name`: the value of
    /// `schedule.loss`. Coordinator and workers of a run must all know it.
    ///
    /// ```
    /// use lagrange_core::loss::{Loss, LossFunction, OutputProx, OutputUpdate};
    ///
    /// /// Sum over outputs of (z - 2 y)^2
    /// #[derive(Debug)]
    /// struct Twice;
    ///
    /// impl LossFunction for Twice {
    ///     fn value(&self, outputs: &[f32], targets: &[f32]) -> f64 {
    ///         let gaps = outputs.iter().zip(targets).map(|(z, y)| f64::from(z - 2.0 * y));
    ///         gaps.map(|gap| gap * gap).sum()
    ///     }
    ///
    ///     fn prox(&self, targets: &[f32], weight: f32, beta: f32, z: &mut [f32]) {
    ///         for (z, y) in z.iter_mut().zip(targets) {
    ///             *z = (beta * *z + 2.0 * weight * y) / (beta + weight);
    ///         }
    ///     }
    /// }
    ///
    /// let loss = Loss::register("twice", Twice)?;
    /// assert_eq!(loss.value(&[1.0], &[1.0]), 1.0);
    /// let update = OutputUpdate { targets: &[1.0], multipliers: &[0.0], beta: 1.0, weight: 1.0 };
    /// let mut z = [0.0];
    /// OutputProx::new(loss, 1).run(&[0.0], &update, &mut z);
    /// assert_eq!(z, [1.0]);
    /// # Ok::<(), lagrange_core::loss::RegisterLossError>(())
    /// ```
    ///
    /// # Errors
    /// [`RegisterLossError`]
    pub fn register(
        name: &str,
        function: impl LossFunction + 'static,
    ) -> Result<Self, RegisterLossError> {
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || !name.chars().all(is_name) {
            return Err(RegisterLossError::Name(name.to_owned()));
        }
        let mut registered = REGISTERED.write().unwrap_or_else(PoisonError::into_inner);
        let is_taken = registered.iter().any(|loss| loss.name == name);
        if is_taken || Self::BUILT_IN.iter().any(|loss| loss.name() == name) {
            return Err(RegisterLossError::Taken(name.to_owned()));
        }
        let loss = CustomLoss {
            name: Box::leak(name.into()),
            function: Box::leak(Box::new(function)),
        };
        registered.push(loss);
        Ok(Self::Custom(loss))
    }
}
