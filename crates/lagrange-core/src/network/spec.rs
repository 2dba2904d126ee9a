//! A network as a user writes it.

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

/// One hidden stage as a user writes it.
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

/// The function behind max-pooling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// max(0, x)
    #[default]
    Relu,
    /// 1 where x >= 0, else 0: no gradient reaches through it.
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

/// The hidden stages of a network; the last stage follows from the data and the task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkSpec {
    /// Hidden stages, first to last.
    pub stages: Vec<StageSpec>,
    /// The function behind every hidden stage's max-pooling.
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
