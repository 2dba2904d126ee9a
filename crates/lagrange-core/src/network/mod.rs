//! Networks: the specification, and the stages with their shapes resolved from it.
//!
//! Stage l is a linear map with bias, z_l = T(a_{l-1}) W_l, and a link a_l = h(z_l): pooling and an
//! activation function. A linear map is a convolution; a dense layer is one whose kernel is its whole input.
//! The last stage is dense and has no link, so its output is 1 x 1 x O. Activations are stored channels-last:
//! `[height, width, channels]`, row-major, per sample.

mod error;
mod pool;
mod presets;
mod resolve;
mod spec;
mod written;

pub use error::{NetworkError, Place};
pub use pool::{Pool, PoolKind};
pub use presets::NETWORK_PRESETS;
pub use spec::{Activation, Kernel, LayerSpec, NetworkSpec, Padding, StageSpec};

use std::fmt;

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

/// Link of a stage, a = h(z): pooling, then an activation function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Link {
    /// Pooling in disjoint windows.
    pub pool: Pool,
    /// Activation function.
    pub activation: Activation,
}

impl Link {
    /// No pooling and no activation function: the link of the last stage.
    pub const NONE: Self = Self {
        pool: Pool::NONE,
        activation: Activation::Identity,
    };

    /// 2x2 max-pooling and a ReLU.
    pub const MAX_RELU: Self = Self {
        pool: Pool::max(2),
        activation: Activation::Relu,
    };

    /// Height and width of the windows of one sample's outputs.
    #[must_use]
    pub fn window(self, conv: Shape) -> (usize, usize) {
        self.pool.window(conv)
    }

    /// Shape of h(z). Trailing rows and columns that fill no window belong to none.
    #[must_use]
    pub fn output(self, conv: Shape) -> Shape {
        let (height, width) = self.window(conv);
        Shape {
            height: conv.height / height,
            width: conv.width / width,
            channels: conv.channels,
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pool.kind != PoolKind::None {
            write!(f, "{} - ", self.pool)?;
        }
        f.write_str(self.activation.name())
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
    /// Size of the kernel.
    pub kernel: Kernel,
    /// Distance of neighbouring patches along both axes, in pixels.
    pub stride: usize,
    /// Rows and columns of zeros added on every side of the input.
    pub pad: usize,
    /// Shape of the input a_{l-1}.
    pub input: Shape,
    /// Shape of the linear map's output z_l.
    pub conv: Shape,
    /// Link h.
    pub link: Link,
    /// Shape of the activation a_l = h(z_l).
    pub output: Shape,
}

impl Stage {
    /// A convolution of `input` to `channels` channels, followed by `link`.
    ///
    /// ```
    /// use lagrange_core::network::{Kernel, Link, Shape, Stage};
    ///
    /// let image = Shape { height: 9, width: 7, channels: 3 };
    /// let stage = Stage::conv(image, Kernel::square(3), 2, 1, 8, Link::MAX_RELU);
    /// assert_eq!((stage.conv.height, stage.conv.width, stage.output.height), (5, 4, 2));
    /// ```
    #[must_use]
    pub fn conv(
        input: Shape,
        kernel: Kernel,
        stride: usize,
        pad: usize,
        channels: usize,
        link: Link,
    ) -> Self {
        let side = |length: usize, kernel: usize| {
            let reach = (length + 2 * pad + stride).saturating_sub(kernel);
            reach / stride
        };
        let conv = Shape {
            height: side(input.height, kernel.height),
            width: side(input.width, kernel.width),
            channels,
        };
        Self {
            kernel,
            stride,
            pad,
            input,
            conv,
            link,
            output: link.output(conv),
        }
    }

    /// A dense map of `input` to `channels` outputs, followed by `link`.
    #[must_use]
    pub fn dense(input: Shape, channels: usize, link: Link) -> Self {
        let kernel = Kernel {
            height: input.height,
            width: input.width,
        };
        Self::conv(input, kernel, 1, 0, channels, link)
    }

    /// Whether the kernel is the whole input.
    #[must_use]
    pub fn is_dense(&self) -> bool {
        let whole = (self.kernel.height, self.kernel.width);
        whole == (self.input.height, self.input.width) && self.pad == 0
    }

    /// d = `k*k*C_in + 1`: unknowns per output channel, the bias last.
    #[must_use]
    pub fn unknowns(&self) -> usize {
        self.patch() + 1
    }

    /// `k*k*C_in`: values of one patch.
    #[must_use]
    pub fn patch(&self) -> usize {
        self.kernel.pixels() * self.input.channels
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

    /// The stage as in [`Network::describe`]; the last one has no link.
    #[must_use]
    pub fn describe(&self, is_last: bool) -> String {
        let (kernel, channels) = (self.kernel, self.conv.channels);
        let mut text = match self.is_dense() && !is_last {
            true => format!("dense {channels}"),
            false => format!("conv{kernel} {channels}"),
        };
        if self.stride > 1 {
            text += &format!(" stride {}", self.stride);
        }
        if self.pad > 0 {
            let same = self.kernel == Kernel::square(2 * self.pad + 1);
            text += &match same {
                true => " same".to_owned(),
                false => format!(" pad {}", self.pad),
            };
        }
        if is_last {
            return text;
        }
        text + " - " + &self.link.to_string()
    }
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
}

impl Network {
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
            text += " - ";
            text += &stage.describe(index + 1 == self.stages.len());
        }
        text
    }
}

#[cfg(test)]
mod tests;
