//! 2x2 max-pooling as a candle operation.
//!
//! candle's own `max_pool2d` hands back a quarter of the gradient where one value of a window is the largest,
//! and four times the gradient where all four are equal; behind two poolings, plain SGD would train the first
//! kernels at a sixteenth of its rate. Here the whole gradient goes to the first of the largest. A trailing
//! odd row or column belongs to no window.

use super::contiguous;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor};
use lagrange_core::network;
use rayon::prelude::*;

/// `[n, H, W, C]` to `[n, H/2, W/2, C]`.
pub(super) fn max_pool(z: &Tensor) -> Result<Tensor> {
    z.contiguous()?.apply_op1(MaxPool)
}

struct MaxPool;

impl CustomOp1 for MaxPool {
    fn name(&self) -> &'static str {
        "max-pool-2x2"
    }

    fn cpu_fwd(&self, z: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, conv) = sample(layout)?;
        let z = contiguous(z, layout)?;
        let shape = (n, conv.height / 2, conv.width / 2, conv.channels);
        let mut pooled = vec![0.0; Shape::from(shape).elem_count()];
        z.par_chunks_exact(conv.len())
            .zip(pooled.par_chunks_exact_mut(pooled_len(conv)))
            .for_each(|(z, pooled)| {
                for (window, pooled) in windows(conv).zip(pooled.chunks_exact_mut(conv.channels)) {
                    for (channel, pooled) in pooled.iter_mut().enumerate() {
                        *pooled = z[largest(z, window, channel)];
                    }
                }
            });
        Ok((CpuStorage::F32(pooled), shape.into()))
    }

    fn bwd(&self, z: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let gradient = gradient.contiguous()?;
        z.apply_op2_no_bwd(&gradient, &MaxPoolGradient).map(Some)
    }
}

/// The gradient of z, from z and the gradient of the pooled values.
struct MaxPoolGradient;

impl CustomOp2 for MaxPoolGradient {
    fn name(&self) -> &'static str {
        "max-pool-2x2-gradient"
    }

    fn cpu_fwd(
        &self,
        z: &CpuStorage,
        z_layout: &Layout,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (_, conv) = sample(z_layout)?;
        let z = contiguous(z, z_layout)?;
        let mut result = vec![0.0; z.len()];
        z.par_chunks_exact(conv.len())
            .zip(result.par_chunks_exact_mut(conv.len()))
            .zip(contiguous(gradient, gradient_layout)?.par_chunks_exact(pooled_len(conv)))
            .for_each(|((z, result), gradient)| {
                for (window, gradient) in windows(conv).zip(gradient.chunks_exact(conv.channels)) {
                    for (channel, gradient) in gradient.iter().enumerate() {
                        result[largest(z, window, channel)] = *gradient;
                    }
                }
            });
        Ok((CpuStorage::F32(result), z_layout.shape().clone()))
    }
}

/// Number of samples, and the shape of one.
fn sample(layout: &Layout) -> Result<(usize, network::Shape)> {
    let (n, height, width, channels) = layout.shape().dims4()?;
    let conv = network::Shape {
        height,
        width,
        channels,
    };
    Ok((n, conv))
}

/// Values of one sample once pooled.
fn pooled_len(conv: network::Shape) -> usize {
    (conv.height / 2) * (conv.width / 2) * conv.channels
}

/// Offsets of the four members of every window of one sample, first channel.
fn windows(conv: network::Shape) -> impl Iterator<Item = [usize; 4]> {
    let at = move |y: usize, x: usize| (y * conv.width + x) * conv.channels;
    (0..conv.height / 2).flat_map(move |row| {
        (0..conv.width / 2).map(move |column| {
            let (y, x) = (2 * row, 2 * column);
            [at(y, x), at(y, x + 1), at(y + 1, x), at(y + 1, x + 1)]
        })
    })
}

/// Offset of the first of the largest values of `window` in `channel`.
#[inline(always)]
fn largest(z: &[f32], window: [usize; 4], channel: usize) -> usize {
    let mut best = window[0] + channel;
    for member in &window[1..] {
        if z[member + channel] > z[best] {
            best = member + channel;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    #[test]
    fn the_whole_gradient_goes_to_the_first_of_the_largest() {
        // One sample, one channel: a unique maximum, a tie, and a last row and column outside all windows.
        let z = [
            [1f32, 2.0, 5.0, 5.0, 9.0],
            [4.0, 3.0, 5.0, 5.0, 9.0],
            [9.0, 9.0, 9.0, 9.0, 9.0],
        ];
        let flat = |tensor: &Tensor| {
            let tensor = tensor.flatten_all().expect("flat");
            tensor.to_vec1::<f32>().expect("f32")
        };
        let z = Var::from_vec(z.concat(), (1, 3, 5, 1), &Device::Cpu).expect("variable");
        let pooled = max_pool(&z).expect("pooled");
        assert_eq!(flat(&pooled), [4.0, 5.0]);
        let factors = Tensor::from_vec(vec![2f32, 3.0], (1, 1, 2, 1), &Device::Cpu);
        let loss = (&pooled * &factors.expect("tensor")).expect("same shape");
        let gradients = loss.backward().expect("gradients");
        let gradient = flat(gradients.get(&z).expect("gradient of the variable"));
        let expected = [
            [0.0, 0.0, 3.0, 0.0, 0.0],
            [2.0, 0.0, 0.0, 0.0, 0.0],
            [0.0; 5],
        ];
        assert_eq!(gradient, expected.concat());
    }
}
