//! Why a baseline cannot be had.

use lagrange_core::network::{Link, NetworkError, Shape};
use lagrange_data::{DataError, NoContrast, PartitionError};

/// Why a baseline cannot be had.
///
/// Every message is complete in one line; causes are fields and not sources, which would be printed a second
/// time.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// An option is out of its range.
    #[error("{option} is {value}: it must be {expected}")]
    Option {
        /// Name of the option.
        option: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        expected: &'static str,
    },
    /// There is not one whole batch.
    #[error("a batch takes {batch} images but there are only {train}; lower batch")]
    BatchTooLarge {
        /// Images of a batch.
        batch: usize,
        /// Training images.
        train: usize,
    },
    /// The data cannot be cut as asked.
    #[error(transparent)]
    Partition(#[from] PartitionError),
    /// The parts of the data do not fit together.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The question is about the classes of other data.
    #[error("the question is about other classes than those of the data: ask it of the data's own")]
    OtherClasses,
    /// The training images cannot be told apart.
    #[error(transparent)]
    NoContrast(#[from] NoContrast),
    /// The specification is no network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// There is nothing to measure accuracy on.
    #[error("the test set is empty")]
    NoTestImages,
    /// Network and problem do not belong together.
    #[error(
        "the network `{network}` does not take {}x{}x{} images to {outputs} outputs",
        shape.height,
        shape.width,
        shape.channels
    )]
    Mismatch {
        /// The network.
        network: String,
        /// Shape of the problem's images.
        shape: Shape,
        /// Outputs of the problem's question.
        outputs: usize,
    },
    /// The weights given are those of another network.
    #[error("the weights are not those of the network `{network}`")]
    OtherWeights {
        /// The network.
        network: String,
    },
    /// A layer that the opponents here do not have, or that no gradient reaches through.
    #[error(
        "back-propagation here needs 2x2 max-pooling and ReLU after every hidden layer, and one has {link}; \
         compare networks of stages"
    )]
    Link {
        /// Pooling and activation function at fault.
        link: Link,
    },
    /// Training left the finite numbers.
    #[error("training diverged at step {step} of {steps}: {quantity} not finite; lower the rate")]
    Diverged {
        /// Step at fault, from 0.
        step: u64,
        /// Steps of the whole training.
        steps: u64,
        /// What was not finite, with its verb.
        quantity: &'static str,
    },
    /// The normal equations have no solution in f32.
    #[error("the normal equations are not positive definite with ridge {ridge}: raise it")]
    Unsolvable {
        /// The ridge, relative to the mean of the Gram matrix's diagonal.
        ridge: f32,
    },
    /// The normal equations hold values that are not finite.
    #[error("the {quantity} of the normal equations are not finite: are all weights and pixels?")]
    NotFinite {
        /// What is not finite.
        quantity: &'static str,
    },
    /// The library of the back-propagation failed.
    #[cfg(feature = "back-propagation")]
    #[error("candle: {cause}")]
    Library {
        /// What it said.
        cause: Box<candle_core::Error>,
    },
}

#[cfg(feature = "back-propagation")]
impl From<candle_core::Error> for BaselineError {
    fn from(cause: candle_core::Error) -> Self {
        Self::Library {
            cause: Box::new(cause),
        }
    }
}

impl BaselineError {
    /// Refuses `value` of `option`.
    pub(crate) fn option(
        option: &'static str,
        value: impl std::fmt::Display,
        expected: &'static str,
    ) -> Self {
        Self::Option {
            option,
            value: value.to_string(),
            expected,
        }
    }
}
