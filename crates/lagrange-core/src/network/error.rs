//! Why a specification makes no network.

use std::fmt;

/// Largest number of values allowed in one activation or one weight matrix.
pub(super) const MAX_VALUES: usize = 1 << 26;

/// A layer of a specification, by the list that it is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// `stages` or `layers`.
    pub list: &'static str,
    /// Its number, from 0; the last layer, which follows from the data, counts too.
    pub index: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "network.{}[{}]", self.list, self.index)
    }
}

/// Error of [`super::Network::resolve`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// No hidden layer.
    #[error(
        "the network has no hidden layers: give network.layers at least one, for example \
         {{ type = \"conv\", kernel = 5, channels = 16 }}"
    )]
    NoStages,
    /// A size that is 0 or too large.
    #[error("{place}.{field} is {value}: it must be between 1 and {limit}")]
    OutOfRange {
        /// The layer.
        place: Place,
        /// Field at fault.
        field: &'static str,
        /// Its value.
        value: usize,
        /// Largest value allowed.
        limit: usize,
    },
    /// `same` padding with an even kernel, or with sides of which each would need its own.
    #[error(
        "{place}.kernel is {kernel}: padding = \"same\" needs an odd and square kernel; \
         use another kernel, or a number of zeros"
    )]
    NoSame {
        /// The layer.
        place: Place,
        /// Its kernel, as `2` or `3x5`.
        kernel: String,
    },
    /// The input is smaller than the kernel, or too small to pool.
    #[error(
        "{place} does not fit: its input is {height}x{width}, its kernel {kernel} and its pooling window \
         {window}; use fewer layers, smaller kernels, less pooling or padding = \"same\""
    )]
    DoesNotFit {
        /// The layer.
        place: Place,
        /// Height of its input.
        height: usize,
        /// Width of its input.
        width: usize,
        /// Its kernel.
        kernel: String,
        /// Side of its pooling window; 1 without one.
        window: usize,
    },
    /// A layer with an array of more than 2^26 values.
    #[error("{place} is too large: {values} values where at most {MAX_VALUES} are allowed")]
    TooLarge {
        /// The layer.
        place: Place,
        /// Values of its largest array.
        values: usize,
    },
    /// An input that is empty or too large, or no outputs.
    #[error(
        "the input is {height}x{width}x{channels} with {outputs} outputs: each must be between 1 and 4096"
    )]
    BadInput {
        /// Input height.
        height: usize,
        /// Input width.
        width: usize,
        /// Input channels.
        channels: usize,
        /// Outputs.
        outputs: usize,
    },
}
