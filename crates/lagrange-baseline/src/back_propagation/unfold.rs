//! The Toeplitz rows of a stage's input as a candle operation: with it, a convolution is one product of
//! matrices, which candle knows how to differentiate.
//!
//! candle's own `conv2d` computes the same (a test), but on a CPU it and above all its gradient take several
//! times as long.

use super::contiguous;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use lagrange_core::network::Stage;
use lagrange_core::toeplitz::toeplitz_rows;
use rayon::prelude::*;

/// `[n, H, W, C_in]` to `[n * H_out * W_out, d]`: the input patch under every output, flattened as (ky, kx,
/// c), and a 1.
pub(super) fn unfold(stage: &Stage, a: &Tensor) -> Result<Tensor> {
    a.contiguous()?.apply_op1(Unfold(stage.clone()))
}

struct Unfold(Stage);

impl CustomOp1 for Unfold {
    fn name(&self) -> &'static str {
        "unfold"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let Self(stage) = self;
        let a = contiguous(storage, layout)?;
        let n = a.len() / stage.input.len();
        let mut rows = vec![0.0; n * stage.rows() * stage.unknowns()];
        a.par_chunks_exact(stage.input.len())
            .zip(rows.par_chunks_exact_mut(stage.rows() * stage.unknowns()))
            .for_each(|(a, rows)| toeplitz_rows(stage, a, rows));
        let shape = Shape::from((n * stage.rows(), stage.unknowns()));
        Ok((CpuStorage::F32(rows), shape))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let gradient = gradient.contiguous()?;
        gradient.apply_op1_no_bwd(&Fold(&self.0)).map(Some)
    }
}

/// The adjoint: every value is the sum of its places in the rows.
struct Fold<'a>(&'a Stage);

impl CustomOp1 for Fold<'_> {
    fn name(&self) -> &'static str {
        "fold"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let Self(stage) = self;
        let rows = contiguous(storage, layout)?;
        let per_sample = stage.rows() * stage.unknowns();
        let n = rows.len() / per_sample;
        let mut a = vec![0.0; n * stage.input.len()];
        rows.par_chunks_exact(per_sample)
            .zip(a.par_chunks_exact_mut(stage.input.len()))
            .for_each(|(rows, a)| fold(stage, rows, a));
        let shape = Shape::from((
            n,
            stage.input.height,
            stage.input.width,
            stage.input.channels,
        ));
        Ok((CpuStorage::F32(a), shape))
    }
}

/// Adds the rows `[H_out * W_out, d]` of one sample to `a` `[H, W, C_in]`; the constant 1 and the padding
/// take nothing.
fn fold(stage: &Stage, rows: &[f32], a: &mut [f32]) {
    let (channels, width) = (stage.input.channels, stage.input.width);
    for (position, row) in rows.chunks_exact(stage.unknowns()).enumerate() {
        let (oy, ox) = (position / stage.conv.width, position % stage.conv.width);
        // The columns of the kernel that lie inside the input, and the first of them in the input.
        let (top, beside) = (oy * stage.stride, ox * stage.stride);
        let left = stage.pad.saturating_sub(beside);
        let x = beside + left - stage.pad;
        let columns = (stage.kernel.width - left).min(width - x);
        for ky in 0..stage.kernel.height {
            let inside = (top + ky).checked_sub(stage.pad);
            let Some(y) = inside.filter(|&y| y < stage.input.height) else {
                continue;
            };
            let from = &row[(ky * stage.kernel.width + left) * channels..][..columns * channels];
            let to = &mut a[(y * width + x) * channels..][..columns * channels];
            for (to, from) in to.iter_mut().zip(from) {
                *to += *from;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};
    use lagrange_core::network::{Kernel, Link, Shape as Size};
    use lagrange_core::random::{Purpose, stream};
    use rand::RngExt as _;

    fn stage(side: usize, kernel: usize, pad: usize) -> Stage {
        let input = Size {
            height: side,
            width: side,
            channels: 2,
        };
        Stage::conv(input, Kernel::square(kernel), 1, pad, 3, Link::NONE)
    }

    fn draw(shape: impl Into<Shape>, key: u64) -> Tensor {
        let mut random = stream(5, Purpose::Rows, 0, key);
        let shape = shape.into();
        let values: Vec<f32> = (0..shape.elem_count())
            .map(|_| random.random_range(-1.0..1.0))
            .collect();
        Tensor::from_vec(values, shape, &Device::Cpu).expect("shape")
    }

    /// The stage's outputs `[n, H_out, W_out, C_out]` by candle's own convolution.
    fn conv2d(stage: &Stage, a: &Tensor, weights: &Tensor) -> Result<Tensor> {
        let (k, c_in, c_out) = (
            stage.kernel.height,
            stage.input.channels,
            stage.conv.channels,
        );
        let kernel = weights.narrow(0, 0, stage.patch())?;
        let kernel = kernel.reshape((k, k, c_in, c_out))?.permute((3, 2, 0, 1))?;
        let a = a.permute((0, 3, 1, 2))?;
        let z = a.conv2d(&kernel.contiguous()?, stage.pad, 1, 1, 1)?;
        let bias = weights.narrow(0, stage.patch(), 1)?;
        z.permute((0, 2, 3, 1))?.broadcast_add(&bias)
    }

    #[test]
    fn outputs_and_gradients_are_those_of_candles_convolution() {
        for stage in [
            stage(7, 4, 0),
            stage(7, 3, 1),
            stage(2, 5, 2),
            stage(5, 5, 0),
        ] {
            let n = 3;
            let a = draw((n, stage.input.height, stage.input.width, 2), 0);
            let a = Var::from_tensor(&a).expect("variable");
            let weights = Var::from_tensor(&draw((stage.unknowns(), 3), 1)).expect("variable");
            let slope = draw((n, stage.conv.height, stage.conv.width, 3), 2);
            let rows = unfold(&stage, &a).expect("unfolded");
            let z = rows.matmul(&weights).expect("product");
            let ours = z.reshape(slope.shape()).expect("shape");
            let theirs = conv2d(&stage, &a, &weights).expect("candle");
            let gradients = |z: &Tensor| (z * &slope)?.sum_all()?.backward();
            let (down, expected) = (
                gradients(&ours).expect("gradients"),
                gradients(&theirs).expect("gradients"),
            );
            let near = |one: &Tensor, other: &Tensor| {
                let gap = (one - other).and_then(|gap| gap.abs()?.flatten_all()?.max(0));
                gap.and_then(|gap| gap.to_scalar::<f32>()).expect("gap") < 1e-4
            };
            assert!(near(&ours, &theirs), "{stage:?}");
            for variable in [&a, &weights] {
                let gradient = |store: &candle_core::backprop::GradStore| {
                    store.get(variable).cloned().expect("gradient")
                };
                assert!(near(&gradient(&down), &gradient(&expected)), "{stage:?}");
            }
        }
    }
}
