//! Toeplitz rows: convolution as the matrix product Z = T(a) W.
//!
//! Row p of T(a) is the input patch under output position p, flattened as (ky, kx, c), followed by a 1 for
//! the bias: d = `k*k*C_in + 1` values. Channels-last storage makes each kernel row of a patch one contiguous
//! run of `k*C_in` values.

use crate::network::Stage;

/// Copies a short run; the library's copy costs more than the run itself below a few values.
#[inline(always)]
fn copy_run(from: &[f32], to: &mut [f32]) {
    if to.len() <= 16 {
        for (to, from) in to.iter_mut().zip(from) {
            *to = *from;
        }
    } else {
        to.copy_from_slice(from);
    }
}

/// The part of kernel row `ky` at output column `ox` that lies inside the input:
/// `(input row, first input column, first kernel column, columns)`, or `None` if it lies in the padding.
fn inside(stage: &Stage, oy: usize, ox: usize, ky: usize) -> Option<(usize, usize, usize, usize)> {
    let y = (oy * stage.stride + ky)
        .checked_sub(stage.pad)
        .filter(|&y| y < stage.input.height)?;
    let left = ox * stage.stride;
    let skip = stage.pad.saturating_sub(left);
    let x = (left + skip).checked_sub(stage.pad)?;
    let columns = (stage.kernel.width - skip).min(stage.input.width - x);
    Some((y, x, skip, columns))
}

/// Writes T(a) for `n` samples: `a` is `[n, H, W, C_in]`, `rows` becomes `[n * H_out * W_out, d]`, row-major.
///
/// ```
/// # use lagrange_core::network::{Kernel, Link, Shape, Stage};
/// # let image = Shape { height: 3, width: 3, channels: 1 };
/// // A kernel of 2x2 on an image of 3x3.
/// let stage = Stage::conv(image, Kernel::square(2), 1, 0, 1, Link::MAX_RELU);
/// use lagrange_core::toeplitz::toeplitz_rows;
///
/// let mut rows = [0.0; 4 * 5];
/// toeplitz_rows(&stage, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0], &mut rows);
/// assert_eq!(rows[..5], [1.0, 2.0, 4.0, 5.0, 1.0]);
/// assert_eq!(rows[15..], [5.0, 6.0, 8.0, 9.0, 1.0]);
/// ```
///
/// # Panics
/// If a length does not match.
pub fn toeplitz_rows(stage: &Stage, a: &[f32], rows: &mut [f32]) {
    let per_sample = stage.rows() * stage.unknowns();
    assert_eq!(
        a.len() / stage.input.len(),
        rows.len() / per_sample,
        "samples"
    );
    let samples = a.chunks_exact(stage.input.len());
    for (a, rows) in samples.zip(rows.chunks_exact_mut(per_sample)) {
        for (position, row) in rows.chunks_exact_mut(stage.unknowns()).enumerate() {
            toeplitz_row(stage, a, position, row);
        }
    }
}

/// Writes the row of T(a) under one output position of one sample: `a` is `[H, W, C_in]`, `row` has d values.
///
/// # Panics
/// If a length does not match.
pub(crate) fn toeplitz_row(stage: &Stage, a: &[f32], position: usize, row: &mut [f32]) {
    let (channels, width) = (stage.input.channels, stage.input.width);
    let run = stage.kernel.width * channels;
    let (oy, ox) = (position / stage.conv.width, position % stage.conv.width);
    let (patch, bias) = row.split_at_mut(stage.patch());
    bias[0] = 1.0;
    for (ky, kernel_row) in patch.chunks_exact_mut(run).enumerate() {
        if stage.pad == 0 {
            let start = ((oy * stage.stride + ky) * width + ox * stage.stride) * channels;
            copy_run(&a[start..start + run], kernel_row);
            continue;
        }
        kernel_row.fill(0.0);
        if let Some((y, x, kx, columns)) = inside(stage, oy, ox, ky) {
            let start = (y * width + x) * channels;
            let length = columns * channels;
            copy_run(
                &a[start..start + length],
                &mut kernel_row[kx * channels..][..length],
            );
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::network::{Kernel, Link, Shape};
    use ndarray::Array2;
    use proptest::prelude::*;

    pub(crate) fn stage(
        side: usize,
        kernel: usize,
        pad: usize,
        c_in: usize,
        c_out: usize,
    ) -> Stage {
        let input = Shape {
            height: side,
            width: side,
            channels: c_in,
        };
        Stage::conv(input, Kernel::square(kernel), 1, pad, c_out, Link::MAX_RELU)
    }

    /// A stage whose input is `extra` wider than its kernel, padded to keep its size if `same` and the kernel
    /// is odd.
    pub(crate) fn stage_of(
        kernel: usize,
        same: bool,
        extra: usize,
        c_in: usize,
        c_out: usize,
    ) -> Stage {
        let pad = if same && kernel % 2 == 1 {
            (kernel - 1) / 2
        } else {
            0
        };
        stage(kernel + extra, kernel, pad, c_in, c_out)
    }

    /// Stages of all kinds: kernels and inputs that need not be square, strides, and zeros of any number.
    pub(crate) fn any_stage() -> impl Strategy<Value = Stage> {
        let sides = (1usize..6, 1usize..6, 0usize..8, 0usize..8);
        let channels = (
            prop_oneof![1usize..9, Just(16)],
            prop_oneof![1usize..20, Just(32)],
        );
        (sides, 1usize..4, 0usize..3, channels).prop_map(
            |((height, width, below, beside), stride, pad, (c_in, c_out))| {
                let input = Shape {
                    height: height + below,
                    width: width + beside,
                    channels: c_in,
                };
                let pad = pad.min(height.min(width) - 1);
                Stage::conv(
                    input,
                    Kernel { height, width },
                    stride,
                    pad,
                    c_out,
                    Link::MAX_RELU,
                )
            },
        )
    }

    pub(crate) fn draw(seed: u64, n: usize) -> Vec<f32> {
        let mut random = crate::random::stream(seed, crate::random::Purpose::Rows, 0, n as u64);
        (0..n).map(|_| random.random_range(-1.0..1.0)).collect()
    }

    /// The textbook sum, one output value at a time.
    fn convolve(stage: &Stage, a: &[f32], w: &Array2<f32>, oy: usize, ox: usize, o: usize) -> f64 {
        let mut sum = f64::from(w[[stage.patch(), o]]);
        let Kernel { height, width } = stage.kernel;
        for (ky, kx) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            let (y, x) = (oy * stage.stride + ky, ox * stage.stride + kx);
            let below = y >= stage.input.height + stage.pad;
            let beside = x >= stage.input.width + stage.pad;
            if y < stage.pad || x < stage.pad || below || beside {
                continue;
            }
            let pixel = (y - stage.pad) * stage.input.width + x - stage.pad;
            for c in 0..stage.input.channels {
                let row = (ky * width + kx) * stage.input.channels + c;
                sum += f64::from(a[pixel * stage.input.channels + c] * w[[row, o]]);
            }
        }
        sum
    }

    proptest! {
        #[test]
        fn rows_times_weights_are_the_convolution(stage in any_stage(), seed in any::<u64>()) {
            let (n, d) = (2, stage.unknowns());
            let a = draw(seed, n * stage.input.len());
            let w = Array2::from_shape_vec((d, stage.conv.channels), draw(seed ^ 1, stage.weights())).expect("shape");
            let mut rows = vec![f32::NAN; n * stage.rows() * d];
            toeplitz_rows(&stage, &a, &mut rows);
            let z = Array2::from_shape_vec((n * stage.rows(), d), rows).expect("shape").dot(&w);
            for ((position, o), z) in z.indexed_iter() {
                let (sample, position) = (position / stage.rows(), position % stage.rows());
                let a = &a[sample * stage.input.len()..][..stage.input.len()];
                let expected = convolve(&stage, a, &w, position / stage.conv.width, position % stage.conv.width, o);
                prop_assert!((f64::from(*z) - expected).abs() < 1e-4 * expected.abs().max(1.0));
            }
        }
    }
}
