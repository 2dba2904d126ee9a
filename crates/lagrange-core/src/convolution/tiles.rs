//! The inner loops: register tiles of a matrix product whose operands overlap in memory.
//!
//! A tile is M x N accumulators that stay in registers while the loop runs over what is summed. Every
//! accumulator is one chain of fused multiply-adds in a fixed order, so the result depends neither on the
//! tile's size nor on the processor's vector width.

use super::geometry::Geometry;
use multiversion::multiversion;

/// Largest number of output positions of a tile: with 16 channels, eight vector registers of eight lanes.
const POSITIONS: usize = 4;
/// Largest number of inputs of a tile of the cross moment.
const INPUTS: usize = 6;

/// Widths of the column panels that `columns` are cut into: as many 16s as fit, then 8, 4, 2, 1. Yields
/// (first column, width).
pub(super) fn panels(columns: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let width = [16, 8, 4, 2, 1]
            .into_iter()
            .find(|&width| start + width <= columns)?;
        start += width;
        Some((start - width, width))
    })
}

/// Size of the next tile when `left` items are cut into tiles of about equal size, at most `most` each.
#[inline(always)]
fn next_tile(left: usize, most: usize) -> usize {
    left.div_ceil(left.div_ceil(most))
}

/// Calls `$tile::<M, N>` for a run-time M of at most 6 and a constant N.
macro_rules! for_size {
    ($size:expr, $tile:ident, $n:ident, $arguments:tt) => {
        match $size {
            1 => $tile::<1, $n> $arguments,
            2 => $tile::<2, $n> $arguments,
            3 => $tile::<3, $n> $arguments,
            4 => $tile::<4, $n> $arguments,
            5 => $tile::<5, $n> $arguments,
            _ => $tile::<6, $n> $arguments,
        }
    };
}

/// Calls `$function::<N>` for a run-time panel width.
macro_rules! for_width {
    ($width:expr, $function:ident, $arguments:tt) => {
        match $width {
            16 => $function::<16> $arguments,
            8 => $function::<8> $arguments,
            4 => $function::<4> $arguments,
            2 => $function::<2> $arguments,
            _ => $function::<1> $arguments,
        }
    };
}

/// acc\[i\]\[j\] += sum over k of a\[i\]\[k\] b\[k\]\[j\].
#[inline(always)]
fn add_products<const M: usize, const N: usize>(
    acc: &mut [[f32; N]; M],
    a: [&[f32]; M],
    b: &[[f32; N]],
) {
    let a = a.map(|row| &row[..b.len()]);
    for (k, b) in b.iter().enumerate() {
        for i in 0..M {
            for j in 0..N {
                acc[i][j] = a[i][k].mul_add(b[j], acc[i][j]);
            }
        }
    }
}

/// z = T(a) W of one sample, with the bias or without. `packed` holds a panel `[d, N]` for each of [`panels`]
/// of the output channels.
#[multiversion(targets("x86_64+avx2+fma"))]
pub(super) fn forward(g: &Geometry, packed: &[f32], bias: bool, a: &[f32], z: &mut [f32]) {
    let d = g.kernel * g.run + 1;
    for (first, width) in panels(g.channels) {
        let panel = &packed[d * first..][..d * width];
        for_width!(width, forward_panel, (g, panel, bias, a, &mut z[first..]));
    }
}

#[inline(always)]
fn forward_panel<const N: usize>(
    g: &Geometry,
    panel: &[f32],
    bias: bool,
    a: &[f32],
    z: &mut [f32],
) {
    let (weights, _) = panel.as_chunks::<N>();
    let (weights, last) = weights.split_at(g.kernel * g.run);
    let start = if bias { last[0] } else { [0.0; N] };
    for y in 0..g.rows {
        let mut x = 0;
        while x < g.columns {
            let size = next_tile(g.columns - x, POSITIONS);
            let a = &a[y * g.down + x * g.step..];
            let z = &mut z[(y * g.columns + x) * g.channels..];
            for_size!(size, forward_tile, N, (g, weights, start, a, z));
            x += size;
        }
    }
}

#[inline(always)]
fn forward_tile<const M: usize, const N: usize>(
    g: &Geometry,
    weights: &[[f32; N]],
    start: [f32; N],
    a: &[f32],
    z: &mut [f32],
) {
    let mut acc = [start; M];
    for (ky, weights) in weights.chunks_exact(g.run).enumerate() {
        let line = &a[ky * g.line..];
        if g.step == 1 {
            // Patches one value apart: the tile's inputs are neighbours.
            for (k, b) in weights.iter().enumerate() {
                let a = &line[k..][..M];
                for i in 0..M {
                    for j in 0..N {
                        acc[i][j] = a[i].mul_add(b[j], acc[i][j]);
                    }
                }
            }
        } else {
            let patches = std::array::from_fn(|i| &line[i * g.step..]);
            add_products(&mut acc, patches, weights);
        }
    }
    for (i, acc) in acc.iter().enumerate() {
        z[i * g.channels..][..N].copy_from_slice(acc);
    }
}

/// a += T'(z) W' of one sample, the bias left out. `weights` is W transposed, `[k, C, width]`.
#[multiversion(targets("x86_64+avx2+fma"))]
pub(super) fn add_adjoint(g: &Geometry, weights: &[f32], z: &[f32], a: &mut [f32]) {
    for ky in 0..g.kernel {
        for (first, width) in panels(g.run) {
            let weights = &weights[ky * g.channels * g.width() + first..];
            let a = &mut a[ky * g.line + first..];
            for_width!(width, adjoint_panel, (g, weights, z, a));
        }
    }
}

#[inline(always)]
fn adjoint_panel<const N: usize>(g: &Geometry, weights: &[f32], z: &[f32], a: &mut [f32]) {
    for y in 0..g.rows {
        let mut x = 0;
        while x < g.columns {
            let size = next_tile(g.columns - x, POSITIONS);
            let z = &z[(y * g.columns + x) * g.channels..];
            let a = &mut a[y * g.down + x * g.step..];
            for_size!(size, adjoint_tile, N, (g, weights, z, a));
            x += size;
        }
    }
}

#[inline(always)]
fn adjoint_tile<const M: usize, const N: usize>(
    g: &Geometry,
    weights: &[f32],
    z: &[f32],
    a: &mut [f32],
) {
    let mut acc = [[0.0; N]; M];
    let outputs: [&[f32]; M] = std::array::from_fn(|i| &z[i * g.channels..][..g.channels]);
    for (channel, weights) in weights.chunks(g.width()).take(g.channels).enumerate() {
        let weights = &weights[..N];
        for i in 0..M {
            for j in 0..N {
                acc[i][j] = outputs[i][channel].mul_add(weights[j], acc[i][j]);
            }
        }
    }
    // The targets of one tile overlap as patches do, so they are updated one after the other.
    for (i, acc) in acc.iter().enumerate() {
        for (a, value) in a[i * g.step..][..N].iter_mut().zip(acc) {
            *a += value;
        }
    }
}

/// sums += T(a)' z of one sample, `[d, C]`.
#[multiversion(targets("x86_64+avx2+fma"))]
pub(super) fn add_cross(g: &Geometry, a: &[f32], z: &[f32], sums: &mut [f32]) {
    let (patch, bias) = sums.split_at_mut(g.kernel * g.run * g.channels);
    for ky in 0..g.kernel {
        let mut k = 0;
        while k < g.run {
            let size = next_tile(g.run - k, INPUTS);
            let a = &a[ky * g.line + k..];
            let sums = &mut patch[(ky * g.run + k) * g.channels..];
            for (first, width) in panels(g.channels) {
                let (z, sums) = (&z[first..], &mut sums[first..]);
                for_width!(width, cross_panel, (g, size, a, z, sums));
            }
            k += size;
        }
    }
    for z in z.chunks_exact(g.channels) {
        for (sum, z) in bias.iter_mut().zip(z) {
            *sum += z;
        }
    }
}

#[inline(always)]
fn cross_panel<const N: usize>(g: &Geometry, size: usize, a: &[f32], z: &[f32], sums: &mut [f32]) {
    for_size!(size, cross_tile, N, (g, a, z, sums));
}

#[inline(always)]
fn cross_tile<const M: usize, const N: usize>(
    g: &Geometry,
    a: &[f32],
    z: &[f32],
    sums: &mut [f32],
) {
    let mut acc = [[0.0; N]; M];
    for y in 0..g.rows {
        let (a, z) = (&a[y * g.down..], &z[y * g.columns * g.channels..]);
        for x in 0..g.columns {
            let inputs = &a[x * g.step..][..M];
            let outputs = &z[x * g.channels..][..N];
            for i in 0..M {
                for j in 0..N {
                    acc[i][j] = inputs[i].mul_add(outputs[j], acc[i][j]);
                }
            }
        }
    }
    for (i, acc) in acc.iter().enumerate() {
        for (sum, value) in sums[i * g.channels..][..N].iter_mut().zip(acc) {
            *sum += value;
        }
    }
}

/// Lanes of [`sum_of_squares`].
const LANES: usize = 16;

/// The sum of squares, in [`LANES`] chains that are added up at the end.
#[multiversion(targets("x86_64+avx2+fma"))]
pub(crate) fn sum_of_squares(values: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (blocks, rest) = values.as_chunks::<LANES>();
    for block in blocks {
        for (sum, value) in sums.iter_mut().zip(block) {
            *sum = value.mul_add(*value, *sum);
        }
    }
    let rest: f32 = rest.iter().map(|value| value * value).sum();
    sums.iter().sum::<f32>() + rest
}

/// sum += scale * values.
#[multiversion(targets("x86_64+avx2+fma"))]
pub(crate) fn add_scaled(sum: &mut [f32], scale: f32, values: &[f32]) {
    for (sum, value) in sum.iter_mut().zip(values) {
        *sum = value.mul_add(scale, *sum);
    }
}
