//! Specification of a network, as written in a configuration.

use serde::{Deserialize, Serialize};

/// Zero padding of a convolution's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Padding {
    /// No padding: the output is smaller than the input by kernel - 1.
    #[default]
    Valid,
    /// (kernel - 1) / 2 zeros on every side: the output has the input's size. Needs an odd kernel.
    Same,
}

/// Specification of one hidden stage.
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

/// Activation function after max-pooling.
///
/// ```
/// use lagrange_core::network::{Activation, Shape};
/// use lagrange_core::pooling::{Pooling, StaircaseUpdate};
///
/// let conv = Shape { height: 2, width: 2, channels: 1 };
/// let pooled = |activation| {
///     let mut a = [0.0];
///     Pooling::new(activation, StaircaseUpdate::Exact).apply(conv, &[-1.0, 0.6, 0.1, 0.2], &mut a);
///     a[0]
/// };
/// let all = [Activation::Relu, Activation::Step, Activation::QuantisedRelu];
/// assert_eq!(all.map(pooled), [0.6, 1.0, 0.5]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// max(0, x)
    #[default]
    Relu,
    /// 1 where x >= 0, else 0; its derivative is zero almost everywhere.
    Step,
    /// ReLU rounded to 0, 0.5, 1 or 1.5: two bits.
    QuantisedRelu,
}

impl Activation {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Relu => "relu",
            Self::Step => "step",
            Self::QuantisedRelu => "quantised-relu",
        }
    }
}

/// Specification of a network: its hidden stages. The last stage follows from the data and the task.
///
/// ```
/// use lagrange_core::network::{Activation, Network, NetworkSpec, Padding, Shape, StageSpec};
///
/// let stage = StageSpec { kernel: 3, channels: 4, padding: Padding::Same };
/// let spec = NetworkSpec { stages: vec![stage], activation: Activation::Step };
/// let image = Shape { height: 8, width: 8, channels: 1 };
/// let network = Network::resolve(&spec, image, 1)?;
/// assert_eq!(network.describe(), "8x8x1 - conv3 4 same - pool - step - conv4 1");
/// # Ok::<(), lagrange_core::network::NetworkError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkSpec {
    /// Hidden stages, first to last.
    pub stages: Vec<StageSpec>,
    /// Activation function after every hidden stage's max-pooling.
    pub activation: Activation,
}

impl Default for NetworkSpec {
    fn default() -> Self {
        let stage = |channels| StageSpec {
            kernel: 5,
            channels,
            padding: Padding::Valid,
        };
        Self {
            stages: vec![stage(16), stage(32)],
            activation: Activation::default(),
        }
    }
}
