//! Networks: the specification, and the stages with their shapes resolved from it.
//!
//! Stage l is a convolution with bias and stride 1. Every stage but the last is followed by 2x2 max-pooling
//! and an activation function, ReLU unless said otherwise; the last is a valid convolution that covers its
//! whole input, so its output is 1 x 1 x O. Activations are stored channels-last:
//! `[height, width, channels]`, row-major, per sample.

mod spec;

pub use spec::{Activation, NetworkSpec, Padding, StageSpec};

/// Shape of one sample's activation: height, width and channels.
///
/// ```
/// use lagrange_core::network::Shape;
///
/// let colour = Shape { height: 32, width: 24, channels: 3 };
/// assert_eq!((colour.pixels(), colour.len()), (768, 2304));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Rows of pixels.
    pub height: usize,
    /// Columns of pixels.
    pub width: usize,
    /// Channels, the fastest index.
    pub channels: usize,
}

impl Shape {
    /// Number of values of one sample: height x width x channels.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pixels() * self.channels
    }

    /// Whether there are no values. Never true for a resolved network.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of positions: height x width.
    #[must_use]
    pub fn pixels(&self) -> usize {
        self.height * self.width
    }
}

/// A stage with all its shapes resolved.
///
/// ```
/// # use lagrange_core::network::{Network, NetworkSpec, Shape};
/// # let image = Shape { height: 28, width: 28, channels: 1 };
/// # let network = Network::resolve(&NetworkSpec::default(), image, 10)?;
///
/// let stage = &network.stages()[1];
/// // Kernels of 5x5 on 16 channels and a bias: 401 unknowns of each of 32 output channels.
/// assert_eq!((stage.patch(), stage.unknowns(), stage.weights()), (400, 401, 401 * 32));
/// assert_eq!((stage.rows(), stage.output.len()), (8 * 8, 4 * 4 * 32));
/// # Ok::<(), lagrange_core::network::NetworkError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Side of the square kernel.
    pub kernel: usize,
    /// Rows and columns of zeros added on every side of the input.
    pub pad: usize,
    /// Shape of the input a_{l-1}.
    pub input: Shape,
    /// Shape of the convolution's output z_l.
    pub conv: Shape,
    /// Shape of the activation a_l = h(z_l): `conv` halved for a hidden stage, `conv` itself for the last.
    pub output: Shape,
}

impl Stage {
    /// d = `k*k*C_in + 1`: unknowns per output channel, the bias last.
    #[must_use]
    pub fn unknowns(&self) -> usize {
        self.patch() + 1
    }

    /// `k*k*C_in`: values of one patch.
    #[must_use]
    pub fn patch(&self) -> usize {
        self.kernel * self.kernel * self.input.channels
    }

    /// Toeplitz rows, hence equations per output channel, that one sample contributes.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.conv.pixels()
    }

    /// Number of weights: d x C_out.
    #[must_use]
    pub fn weights(&self) -> usize {
        self.unknowns() * self.conv.channels
    }
}

/// Largest number of values allowed in one activation or one weight matrix.
const MAX_VALUES: usize = 1 << 26;

/// Error of [`Network::resolve`]; stages count from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// No hidden stage.
    #[error(
        "network.stages is empty: give at least one stage, for example {{ kernel = 5, channels = 16 }}"
    )]
    NoStages,
    /// A kernel or a number of channels that is 0 or too large.
    #[error("network.stages[{stage}].{field} is {value}: it must be between 1 and {limit}")]
    OutOfRange {
        /// Index of the stage, from 0.
        stage: usize,
        /// Field at fault.
        field: &'static str,
        /// Its value.
        value: usize,
        /// Largest value allowed.
        limit: usize,
    },
    /// `same` padding with an even kernel.
    #[error("network.stages[{stage}].kernel is {kernel}: padding = \"same\" needs an odd kernel")]
    EvenKernel {
        /// Index of the stage, from 0.
        stage: usize,
        /// Its kernel.
        kernel: usize,
    },
    /// The input is smaller than the kernel, or too small to pool.
    #[error(
        "network.stages[{stage}] does not fit: its input is {height}x{width} and its kernel {kernel}; use fewer stages, smaller kernels or padding = \"same\""
    )]
    DoesNotFit {
        /// Index of the stage, from 0.
        stage: usize,
        /// Height of its input.
        height: usize,
        /// Width of its input.
        width: usize,
        /// Its kernel.
        kernel: usize,
    },
    /// A stage with an array of more than 2^26 values.
    #[error(
        "network.stages[{stage}] is too large: {values} values where at most {MAX_VALUES} are allowed"
    )]
    TooLarge {
        /// Index of the stage, from 0 (the last stage counts too).
        stage: usize,
        /// Values of its largest array.
        values: usize,
    },
    /// An input that is empty, too large or not square, or no outputs.
    #[error(
        "the input is {height}x{width}x{channels} with {outputs} outputs: a square, non-empty input and at least one output are needed"
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

/// A resolved network: at least one hidden stage and the last one.
///
/// ```
/// use lagrange_core::network::{Network, NetworkSpec, Shape};
///
/// let image = Shape { height: 28, width: 28, channels: 1 };
/// let network = Network::resolve(&NetworkSpec::default(), image, 10)?;
/// let text = "28x28x1 - conv5 16 - pool - relu - conv5 32 - pool - relu - conv4 10";
/// assert_eq!(network.describe(), text);
/// assert_eq!(network.weights(), 26 * 16 + 401 * 32 + 513 * 10);
/// # Ok::<(), lagrange_core::network::NetworkError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    stages: Vec<Stage>,
    activation: Activation,
}

impl Network {
    /// Resolves `spec` for samples of shape `input` and `outputs` outputs.
    ///
    /// # Errors
    /// [`NetworkError`], naming the stage and the field at fault.
    pub fn resolve(spec: &NetworkSpec, input: Shape, outputs: usize) -> Result<Self, NetworkError> {
        let side_ok = (1..=4096).contains(&input.height) && input.height == input.width;
        if !side_ok || !(1..=4096).contains(&input.channels) || !(1..=4096).contains(&outputs) {
            return Err(NetworkError::BadInput {
                height: input.height,
                width: input.width,
                channels: input.channels,
                outputs,
            });
        }
        if spec.stages.is_empty() {
            return Err(NetworkError::NoStages);
        }
        let mut stages = Vec::with_capacity(spec.stages.len() + 1);
        let mut input = input;
        for (index, stage) in spec.stages.iter().enumerate() {
            let stage = resolve_hidden(index, stage, input)?;
            input = stage.output;
            stages.push(stage);
        }
        let last = last_stage(input, outputs);
        check_size(stages.len(), &last)?;
        stages.push(last);
        Ok(Self {
            stages,
            activation: spec.activation,
        })
    }

    /// All stages, the last included.
    #[must_use]
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// Number of stages L.
    #[must_use]
    pub fn len(&self) -> usize {
        self.stages.len()
    }

    /// Never true: a network has a hidden and a last stage.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// The hidden stages.
    #[must_use]
    pub fn hidden(&self) -> &[Stage] {
        &self.stages[..self.stages.len() - 1]
    }

    /// The last stage.
    #[must_use]
    pub fn last(&self) -> &Stage {
        &self.stages[self.stages.len() - 1]
    }

    /// Activation function after every hidden stage's max-pooling.
    #[must_use]
    pub fn activation(&self) -> Activation {
        self.activation
    }

    /// Shape of one input sample.
    #[must_use]
    pub fn input(&self) -> Shape {
        self.stages[0].input
    }

    /// Number of outputs O.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.last().conv.channels
    }

    /// Number of weights of all stages together.
    #[must_use]
    pub fn weights(&self) -> usize {
        self.stages.iter().map(Stage::weights).sum()
    }

    /// One line that two networks share exactly when their shapes agree,
    /// for example `28x28x1 - conv5 16 - pool - relu - conv5 32 - pool - relu - conv4 1`.
    #[must_use]
    pub fn describe(&self) -> String {
        let input = self.input();
        let mut text = format!("{}x{}x{}", input.height, input.width, input.channels);
        for (index, stage) in self.stages.iter().enumerate() {
            text += &format!(" - conv{} {}", stage.kernel, stage.conv.channels);
            if stage.pad > 0 {
                text += " same";
            }
            if index + 1 < self.stages.len() {
                text += " - pool - ";
                text += self.activation.name();
            }
        }
        text
    }
}

fn resolve_hidden(index: usize, spec: &StageSpec, input: Shape) -> Result<Stage, NetworkError> {
    for (field, value, limit) in [
        ("kernel", spec.kernel, 255),
        ("channels", spec.channels, 4096),
    ] {
        if !(1..=limit).contains(&value) {
            return Err(NetworkError::OutOfRange {
                stage: index,
                field,
                value,
                limit,
            });
        }
    }
    let pad = match spec.padding {
        Padding::Valid => 0,
        Padding::Same if spec.kernel.is_multiple_of(2) => {
            return Err(NetworkError::EvenKernel {
                stage: index,
                kernel: spec.kernel,
            });
        }
        Padding::Same => (spec.kernel - 1) / 2,
    };
    let side = |length: usize| (length + 2 * pad + 1).saturating_sub(spec.kernel);
    let conv = Shape {
        height: side(input.height),
        width: side(input.width),
        channels: spec.channels,
    };
    if conv.height < 2 || conv.width < 2 {
        return Err(NetworkError::DoesNotFit {
            stage: index,
            height: input.height,
            width: input.width,
            kernel: spec.kernel,
        });
    }
    let stage = Stage {
        kernel: spec.kernel,
        pad,
        input,
        conv,
        output: Shape {
            height: conv.height / 2,
            width: conv.width / 2,
            channels: spec.channels,
        },
    };
    check_size(index, &stage)?;
    Ok(stage)
}

fn last_stage(input: Shape, outputs: usize) -> Stage {
    let conv = Shape {
        height: 1,
        width: 1,
        channels: outputs,
    };
    Stage {
        kernel: input.height,
        pad: 0,
        input,
        conv,
        output: conv,
    }
}

fn check_size(index: usize, stage: &Stage) -> Result<(), NetworkError> {
    // A last stage may cover a huge input: its Gram matrix alone can exceed what a usize counts.
    let unknowns = stage.unknowns();
    let values = stage
        .rows()
        .saturating_mul(unknowns)
        .max(stage.weights())
        .max(stage.conv.len())
        .max(unknowns.saturating_mul(unknowns + 1) / 2);
    if values > MAX_VALUES {
        return Err(NetworkError::TooLarge {
            stage: index,
            values,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
