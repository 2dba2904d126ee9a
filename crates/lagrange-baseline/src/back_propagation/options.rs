//! The optimisers of back-propagation and their settings.

use crate::BaselineError;

/// Plain stochastic gradient descent: a constant rate, no momentum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SgdOptions {
    /// Step length per gradient of the mean loss.
    pub rate: f64,
    /// Images of a batch.
    pub batch: usize,
    /// Passes over the training images.
    pub epochs: usize,
}

impl Default for SgdOptions {
    /// Rate 0.05, batches of 32, 4 epochs.
    fn default() -> Self {
        Self {
            rate: 0.05,
            batch: 32,
            epochs: 4,
        }
    }
}

/// Adam (moments 0.9 and 0.999, no weight decay), its rate falling linearly to 0 over the whole training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamOptions {
    /// Rate of the first step.
    pub rate: f64,
    /// Images of a batch.
    pub batch: usize,
    /// Passes over the training images.
    pub epochs: usize,
}

impl Default for AdamOptions {
    /// Rate 0.002, batches of 128, 4 epochs.
    fn default() -> Self {
        Self {
            rate: 2e-3,
            batch: 128,
            epochs: 4,
        }
    }
}

/// How the weights follow the gradient.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Optimiser {
    /// "Vanilla" back-propagation.
    Sgd(SgdOptions),
    /// Adam.
    Adam(AdamOptions),
}

impl Optimiser {
    pub(super) fn batch(&self) -> usize {
        match self {
            Self::Sgd(options) => options.batch,
            Self::Adam(options) => options.batch,
        }
    }

    pub(super) fn epochs(&self) -> usize {
        match self {
            Self::Sgd(options) => options.epochs,
            Self::Adam(options) => options.epochs,
        }
    }

    /// Rate of step `step` of `steps`.
    pub(super) fn rate(&self, step: u64, steps: u64) -> f64 {
        match self {
            Self::Sgd(options) => options.rate,
            Self::Adam(options) => options.rate * (1.0 - step as f64 / steps as f64),
        }
    }

    /// Checks every setting for `train` training images.
    ///
    /// # Errors
    /// [`BaselineError::Option`] and [`BaselineError::BatchTooLarge`].
    pub fn check(&self, train: usize) -> Result<(), BaselineError> {
        let rate = match self {
            Self::Sgd(options) => options.rate,
            Self::Adam(options) => options.rate,
        };
        if !(rate.is_finite() && rate > 0.0) {
            return Err(BaselineError::option(
                "rate",
                rate,
                "a finite number above 0",
            ));
        }
        for (option, value) in [("batch", self.batch()), ("epochs", self.epochs())] {
            if value == 0 {
                return Err(BaselineError::option(option, value, "at least 1"));
            }
        }
        let batch = self.batch();
        if batch > train {
            return Err(BaselineError::BatchTooLarge { batch, train });
        }
        Ok(())
    }
}
