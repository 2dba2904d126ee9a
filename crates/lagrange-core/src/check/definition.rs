//! Losses, links and linear maps as they are defined, in f64: slow, and without a line of the kernels.

use crate::loss::Loss;
use crate::network::{Activation, Link, PoolKind, Shape, Stage};
use crate::pooling::StaircaseUpdate;

/// The loss of one sample's outputs `z` for targets `y`, both `[O]`.
pub(crate) fn loss(loss: Loss, z: &[f64], y: &[f32]) -> f64 {
    let each = || z.iter().zip(y).map(|(&z, &y)| (z, f64::from(y)));
    let gap = |(z, y): (f64, f64)| (1.0 - y * z).max(0.0);
    let class = || each().find(|(_, y)| *y > 0.0).map(|(z, _)| z);
    match (loss, z.len() > 1, class()) {
        // It has no other definition than its own value.
        (Loss::Custom(_), ..) => {
            let outputs: Vec<f32> = z.iter().map(|&z| z as f32).collect();
            loss.value(&outputs, y)
        }
        (Loss::Squared, ..) => each().map(|(z, y)| (z - y).powi(2)).sum(),
        (Loss::Hinge, ..) => each().map(gap).sum(),
        (Loss::Softmax, false, _) => each().map(|(z, y)| libm::log1p(libm::exp(-y * z))).sum(),
        (Loss::Softmax, true, Some(class)) => {
            let top = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = z.iter().map(|z| libm::exp(z - top)).sum();
            libm::log(sum) + top - class
        }
        (Loss::MulticlassHinge, true, Some(class)) => {
            let others = each().filter(|(_, y)| *y < 0.0);
            let worst = others.map(|(z, _)| 1.0 + z - class).fold(0.0, f64::max);
            worst * worst
        }
        _ => each().map(gap).map(|gap| gap * gap).sum(),
    }
}

/// The link of a hidden stage, one window of one channel at a time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DefinedLink {
    pub(crate) link: Link,
    pub(crate) staircase: StaircaseUpdate,
}

impl DefinedLink {
    fn is_staircase(&self) -> bool {
        matches!(
            self.link.activation,
            Activation::Step | Activation::QuantisedRelu
        )
    }

    /// Maximum or mean of a window.
    fn pooled(&self, z: &[f64]) -> f64 {
        match self.link.pool.kind {
            PoolKind::None | PoolKind::Max => z.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            PoolKind::Avg | PoolKind::Global => z.iter().sum::<f64>() / z.len() as f64,
        }
    }

    /// The activation function.
    fn function(&self, x: f64) -> f64 {
        match self.link.activation {
            Activation::Relu => x.max(0.0),
            Activation::LeakyRelu => x.max(f64::from(Activation::LEAK) * x),
            Activation::Identity => x,
            Activation::Step => f64::from(u8::from(x >= 0.0)),
            Activation::QuantisedRelu => ((x * 2.0 + 0.5).floor() / 2.0).clamp(0.0, 1.5),
        }
    }

    /// The mean of a staircase over its dither: thresholds within 1 of the step's, within 1/4 of the
    /// quantised ReLU's.
    fn dithered(&self, x: f64) -> f64 {
        match self.link.activation {
            Activation::Step => (0.5 * (x + 1.0)).clamp(0.0, 1.0),
            _ => x.clamp(0.0, 1.5),
        }
    }

    /// h of one window.
    #[cfg(test)]
    pub(crate) fn value(&self, z: &[f64]) -> f64 {
        self.function(self.pooled(z))
    }

    /// What is left of a - h(z) in one window, squared. Behind a dither that is
    /// `a - h(m) - (r(z) - r(m))`, with the mean r of the staircase.
    ///
    /// A staircase's value is the nearest to `a` within `slack` of its argument: a point that was moved to a
    /// threshold lies beside it by its rounding.
    pub(crate) fn misfit(&self, a: f64, m: &[f64], z: &[f64], slack: f64) -> f64 {
        if !self.is_staircase() {
            return (a - self.function(self.pooled(z))).powi(2);
        }
        let (x, before) = (self.pooled(z), self.pooled(m));
        let gap = |by: f64| match self.staircase {
            StaircaseUpdate::Exact => a - self.function(x + by),
            StaircaseUpdate::Dithered => {
                a - self.function(before + by) - (self.dithered(x) - self.dithered(before))
            }
        };
        let gaps = [0.0, slack, -slack].map(|by| gap(by).powi(2));
        gaps.into_iter().fold(f64::INFINITY, f64::min)
    }
}

/// The windows of one sample's outputs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DefinedWindows {
    conv: Shape,
    output: Shape,
    size: (usize, usize),
}

impl DefinedWindows {
    pub(crate) fn of(stage: &Stage) -> Self {
        Self {
            conv: stage.conv,
            output: stage.output,
            size: stage.link.window(stage.conv),
        }
    }

    /// Number of windows, one of each channel, as many as activations.
    pub(crate) fn len(&self) -> usize {
        self.output.len()
    }

    /// Offsets of the values of window `index`, which is the offset of its activation.
    pub(crate) fn members(&self, index: usize) -> impl Iterator<Item = usize> + use<> {
        let Self { conv, output, size } = *self;
        let (pixel, channel) = (index / output.channels, index % output.channels);
        let (top, left) = (pixel / output.width * size.0, pixel % output.width * size.1);
        let at =
            move |y: usize, x: usize| ((top + y) * conv.width + left + x) * conv.channels + channel;
        (0..size.0).flat_map(move |y| (0..size.1).map(move |x| at(y, x)))
    }
}

/// `W a` of one sample without the bias: `a` is `[H, W, C_in]`, `weights` `[d, C]` of which the last row is
/// the bias; the result is `[H_out, W_out, C]`.
pub(crate) fn product(stage: &Stage, weights: &[f32], a: &[f64]) -> Vec<f64> {
    let (input, conv) = (stage.input, stage.conv);
    let run = stage.kernel.width * input.channels;
    let mut z = vec![0.0; conv.len()];
    let positions = (0..conv.height).flat_map(|y| (0..conv.width).map(move |x| (y, x)));
    for ((oy, ox), z) in positions.zip(z.chunks_exact_mut(conv.channels)) {
        for ky in 0..stage.kernel.height {
            let y = (oy * stage.stride + ky).checked_sub(stage.pad);
            let Some(y) = y.filter(|&y| y < input.height) else {
                continue;
            };
            for kx in 0..stage.kernel.width {
                let x = (ox * stage.stride + kx).checked_sub(stage.pad);
                let Some(x) = x.filter(|&x| x < input.width) else {
                    continue;
                };
                let pixel = &a[(y * input.width + x) * input.channels..][..input.channels];
                let rows = &weights[(ky * run + kx * input.channels) * conv.channels..];
                add_products(z, rows, pixel);
            }
        }
    }
    z
}

/// Adds `sum over k of a_k rows_k`, `[C]`, to `z`.
fn add_products(z: &mut [f64], rows: &[f32], a: &[f64]) {
    for (row, &a) in rows.chunks_exact(z.len()).zip(a) {
        // Behind ReLU most are.
        if a == 0.0 {
            continue;
        }
        for (z, &w) in z.iter_mut().zip(row) {
            *z += a * f64::from(w);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::equations::matrix;
    use crate::toeplitz::tests::{any_stage, draw};
    use crate::toeplitz::toeplitz_rows;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_product_is_that_of_toeplitz_rows(stage in any_stage(), seed in any::<u64>()) {
            let (a, w) = (draw(seed, stage.input.len()), draw(seed ^ 1, stage.weights()));
            let mut rows = vec![f32::NAN; stage.rows() * stage.unknowns()];
            toeplitz_rows(&stage, &a, &mut rows);
            let rows = matrix(&rows, stage.rows(), stage.unknowns()).mapv(f64::from);
            let mut weights = matrix(&w, stage.unknowns(), stage.conv.channels).mapv(f64::from);
            weights.row_mut(stage.patch()).fill(0.0);
            let wide: Vec<f64> = a.iter().map(|&a| a.into()).collect();
            for (ours, expected) in product(&stage, &w, &wide).iter().zip(rows.dot(&weights)) {
                prop_assert!((ours - expected).abs() < 1e-10, "{ours} {expected}");
            }
        }
    }

    #[test]
    fn every_value_is_in_one_window_or_left_over() {
        let conv = Shape {
            height: 5,
            width: 4,
            channels: 3,
        };
        let stage = Stage::conv(
            conv,
            crate::network::Kernel::square(1),
            1,
            0,
            3,
            Link::MAX_RELU,
        );
        let windows = DefinedWindows::of(&stage);
        let mut seen = vec![0; conv.len()];
        for index in 0..windows.len() {
            windows.members(index).for_each(|at| seen[at] += 1);
        }
        let (whole, rest) = seen.split_at(4 * 4 * 3);
        assert!(whole.iter().all(|&times| times == 1) && rest.iter().all(|&times| times == 0));
        assert_eq!((windows.len(), windows.members(0).count()), (2 * 2 * 3, 4));
    }
}
