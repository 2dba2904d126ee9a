//! Specification of a network, as written in a configuration: a list of layers, or the short form with stages
//! that all pool.

use super::Pool;
use super::written::WrittenKernel;
use serde::{Deserialize, Serialize};

/// Zero padding of a convolution's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Padding {
    /// No padding: the output is smaller than the input by kernel - 1.
    #[default]
    Valid,
    /// (kernel - 1) / 2 zeros on every side: with stride 1 the output has the input's size. Needs odd
    /// kernels.
    Same,
    /// So many zeros on every side.
    Zeros(usize),
}

/// Size of a kernel: `5`, or `[3, 5]` for rows and columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "WrittenKernel", into = "WrittenKernel")]
pub struct Kernel {
    /// Rows of pixels.
    pub height: usize,
    /// Columns of pixels.
    pub width: usize,
}

impl Kernel {
    /// A kernel as high as wide.
    #[must_use]
    pub fn square(side: usize) -> Self {
        Self {
            height: side,
            width: side,
        }
    }

    /// Number of positions: height x width.
    #[must_use]
    pub fn pixels(self) -> usize {
        self.height * self.width
    }
}

impl std::fmt::Display for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.height == self.width {
            true => write!(f, "{}", self.height),
            false => write!(f, "{}x{}", self.height, self.width),
        }
    }
}

/// Activation function after pooling.
///
/// ```
/// use lagrange_core::network::{Activation, Link, Pool, Shape};
/// use lagrange_core::pooling::{Pooling, StaircaseUpdate};
///
/// let conv = Shape { height: 2, width: 2, channels: 1 };
/// let pooled = |activation| {
///     let link = Link { pool: Pool::max(2), activation };
///     let mut a = [0.0];
///     Pooling::new(conv, link, StaircaseUpdate::Exact).apply(&[-1.0, 0.6, 0.1, 0.2], &mut a);
///     a[0]
/// };
/// let all = [Activation::Relu, Activation::Step, Activation::QuantisedRelu];
/// assert_eq!(all.map(pooled), [0.6, 1.0, 0.5]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// max(0, x)
    #[default]
    Relu,
    /// x where x >= 0, else [`Activation::LEAK`] x
    LeakyRelu,
    /// x
    Identity,
    /// 1 where x >= 0, else 0; its derivative is zero almost everywhere.
    Step,
    /// ReLU rounded to 0, 0.5, 1 or 1.5: two bits.
    QuantisedRelu,
}

impl Activation {
    /// Slope of the leaky ReLU below zero.
    pub const LEAK: f32 = 0.1;

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Relu => "relu",
            Self::LeakyRelu => "leaky-relu",
            Self::Identity => "identity",
            Self::Step => "step",
            Self::QuantisedRelu => "quantised-relu",
        }
    }
}

/// A hidden layer: a linear map with bias, then pooling and an activation function.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum LayerSpec {
    /// A convolution.
    Conv {
        /// Output channels.
        channels: usize,
        /// Size of the kernel.
        kernel: Kernel,
        /// Distance of neighbouring patches, in pixels, along both axes.
        #[serde(default = "one")]
        stride: usize,
        /// Padding of the input.
        #[serde(default)]
        padding: Padding,
        /// Pooling of the outputs.
        #[serde(default)]
        pool: Pool,
        /// Activation function after pooling.
        #[serde(default)]
        activation: Activation,
    },
    /// A fully connected layer: a convolution whose kernel is its whole input.
    Dense {
        /// Outputs.
        channels: usize,
        /// Activation function.
        #[serde(default)]
        activation: Activation,
    },
}

fn one() -> usize {
    1
}

/// A hidden stage of the short form: a convolution with stride 1, then 2x2 max-pooling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageSpec {
    /// Side of the square kernel, in pixels.
    pub kernel: usize,
    /// Output channels.
    pub channels: usize,
    /// Padding of the convolution.
    #[serde(default)]
    pub padding: Padding,
}

impl StageSpec {
    /// The layer that this stage is, with a ReLU.
    #[must_use]
    pub fn layer(&self) -> LayerSpec {
        LayerSpec::Conv {
            channels: self.channels,
            kernel: Kernel::square(self.kernel),
            stride: 1,
            padding: self.padding,
            pool: Pool::max(2),
            activation: Activation::Relu,
        }
    }
}

/// Specification of a network: its hidden layers. The last layer follows from the data and the task.
///
/// In a configuration it is a list of `layers`; or `stages`, which all have stride 1, 2x2 max-pooling and one
/// `activation`; or the name of a `preset`. A network that can be written as stages is.
///
/// ```
/// use lagrange_core::network::{Network, NetworkSpec, Shape};
///
/// let spec: NetworkSpec = toml::from_str(r#"
///     [[layers]]
///     type = "conv"
///     channels = 4
///     kernel = 3
///     padding = "same"
///     pool = { kind = "avg", size = 2 }
///     activation = "step"
///     [[layers]]
///     type = "dense"
///     channels = 10
/// "#)?;
/// let image = Shape { height: 8, width: 12, channels: 3 };
/// let text = "8x12x3 - conv3 4 same - avg-pool - step - dense 10 - relu - conv1 2";
/// assert_eq!(Network::resolve(&spec, image, 2)?.describe(), text);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSpec {
    /// Hidden layers, first to last.
    pub layers: Vec<LayerSpec>,
}

impl NetworkSpec {
    /// The network of `stages`, each with 2x2 max-pooling and a ReLU.
    #[must_use]
    pub fn of_stages(stages: &[StageSpec]) -> Self {
        let layers = stages.iter().map(StageSpec::layer);
        Self {
            layers: layers.collect(),
        }
    }

    /// The stages and their activation, if every layer is one of the short form.
    #[must_use]
    pub fn stages(&self) -> Option<(Vec<StageSpec>, Activation)> {
        let of = match self.layers.first()? {
            LayerSpec::Conv { activation, .. } | LayerSpec::Dense { activation, .. } => *activation,
        };
        let stage = |layer: &LayerSpec| match *layer {
            LayerSpec::Conv {
                channels,
                kernel,
                stride: 1,
                padding,
                pool,
                activation,
            } if pool == Pool::max(2) && activation == of && kernel.height == kernel.width => {
                Some(StageSpec {
                    kernel: kernel.height,
                    channels,
                    padding,
                })
            }
            _ => None,
        };
        let stages: Option<Vec<_>> = self.layers.iter().map(stage).collect();
        Some((stages?, of))
    }

    /// The same layers with another activation function.
    #[must_use]
    pub fn with_activation(mut self, to: Activation) -> Self {
        for layer in &mut self.layers {
            match layer {
                LayerSpec::Conv { activation, .. } | LayerSpec::Dense { activation, .. } => {
                    *activation = to;
                }
            }
        }
        self
    }
}

impl Default for NetworkSpec {
    fn default() -> Self {
        let stage = |channels| StageSpec {
            kernel: 5,
            channels,
            padding: Padding::Valid,
        };
        Self::of_stages(&[stage(16), stage(32)])
    }
}
