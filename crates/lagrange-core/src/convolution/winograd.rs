//! Convolution by minimal filtering, after Winograd; see Lavin and Gray, arXiv 1509.09308.
//!
//! An output tile of s x s under a kernel of k x k is a product of polynomials: with s + k - 1 = 8, inputs
//! and kernels are evaluated at eight points per axis, multiplied there, and interpolated. For each of the 64
//! places that is one small matrix product over input channels, instead of one over whole patches: 64
//! multiplications where the patches take s s k k, which is 400 for k = 5. The points 0, +-1, +-2, +-1/2 and
//! infinity keep the error at some 1e-6 of the outputs' size.

use super::geometry::{Geometry, LANES};
use super::tiles;
use crate::network::{Kernel, Stage};
use multiversion::multiversion;
use ndarray::ArrayView2;

/// Points per axis, and places of a tile.
const POINTS: usize = 8;
const PLACES: usize = POINTS * POINTS;
/// Kernel sizes with output tiles of a useful size.
const KERNELS: std::ops::RangeInclusive<usize> = 3..=6;
/// Factor by which multiplications must decrease for the transforms to pay.
const SAVING: usize = 2;

type Lanes = [f32; LANES];
/// One tile's values of [`LANES`] channels.
type Tile = [[Lanes; POINTS]; POINTS];

/// A stage's convolution in tiles, with its transformed kernels and buffers for one sample.
#[derive(Debug, Clone)]
pub(super) struct Winograd {
    kernel: usize,
    inputs: usize,
    outputs: usize,
    /// Side of an output tile: 9 - k.
    side: usize,
    tiles: [usize; 2],
    /// Output rows and columns.
    size: [usize; 2],
    /// Per place, kernels as `tiles::forward` takes them: panels of `[C_in + 1, N]`, the last row unused.
    kernels: Vec<f32>,
    /// One input channel's kernels, transformed along y: `[8, k, C]`.
    rows: Vec<f32>,
    bias: Vec<f32>,
    /// The input, zero-padded to whole tiles; empty if no padding is needed.
    padded: Vec<f32>,
    /// Transformed input `[64, tiles, C_in]`, and products `[64, tiles, C]`.
    transformed: Vec<f32>,
    products: Vec<f32>,
}

impl Winograd {
    /// Minimal filtering for `stage`; `None` where direct tiles are faster.
    pub(super) fn new(stage: &Stage) -> Option<Self> {
        let (kernel, inputs, outputs) = (
            stage.kernel.height,
            stage.input.channels,
            stage.conv.channels,
        );
        let whole = inputs.is_multiple_of(LANES) && outputs.is_multiple_of(LANES);
        let dense = stage.kernel == Kernel::square(kernel) && stage.stride == 1;
        if !KERNELS.contains(&kernel) || !whole || !dense {
            return None;
        }
        let side = POINTS + 1 - kernel;
        let size = [stage.conv.height, stage.conv.width];
        let tiles = size.map(|length| length.div_ceil(side));
        let count = tiles[0] * tiles[1];
        if SAVING * PLACES * count > kernel * kernel * stage.rows() {
            return None;
        }
        let covered = tiles.map(|tiles| tiles * side + kernel - 1);
        let fits = covered == [stage.input.height, stage.input.width];
        Some(Self {
            kernel,
            inputs,
            outputs,
            side,
            tiles,
            size,
            kernels: vec![0.0; PLACES * (inputs + 1) * outputs],
            rows: vec![0.0; POINTS * kernel * outputs],
            bias: vec![0.0; outputs],
            padded: vec![
                0.0;
                if fits {
                    0
                } else {
                    covered[0] * covered[1] * inputs
                }
            ],
            transformed: vec![0.0; PLACES * count * inputs],
            products: vec![0.0; PLACES * count * outputs],
        })
    }

    /// Loads W, `[d, C]`.
    pub(super) fn load(&mut self, weights: ArrayView2<'_, f32>) {
        let weights = weights.as_standard_layout();
        let weights = weights.as_slice().unwrap_or_default();
        let (kernels, bias) = weights.split_at(weights.len() - self.outputs);
        self.bias.copy_from_slice(bias);
        let shape = [self.kernel, self.inputs, self.outputs];
        transform_kernels(kernels, shape, &mut self.rows, &mut self.kernels);
    }

    /// z = T(a) W of one sample, with the bias or without: `a` is `[H, W, C_in]`, inside a padding of `pad`;
    /// `z` `[H_out, W_out, C]`.
    pub(super) fn apply(&mut self, stage: &Stage, bias: bool, a: &[f32], z: &mut [f32]) {
        let width = self.tiles[1] * self.side + self.kernel - 1;
        let a = if self.padded.is_empty() {
            a
        } else {
            let line = stage.input.width * self.inputs;
            let rows = self
                .padded
                .chunks_exact_mut(width * self.inputs)
                .skip(stage.pad);
            for (row, a) in rows.zip(a.chunks_exact(line)) {
                row[stage.pad * self.inputs..][..line].copy_from_slice(a);
            }
            &self.padded
        };
        let count = self.tiles[0] * self.tiles[1];
        transform_inputs(
            a,
            [width, self.inputs, self.side],
            self.tiles,
            &mut self.transformed,
        );
        let product = Geometry {
            kernel: 1,
            run: self.inputs,
            line: count * self.inputs,
            step: self.inputs,
            down: 0,
            rows: 1,
            columns: count,
            channels: self.outputs,
        };
        let kernels = self.kernels.chunks_exact((self.inputs + 1) * self.outputs);
        let inputs = self.transformed.chunks_exact(count * self.inputs);
        let products = self.products.chunks_exact_mut(count * self.outputs);
        for ((kernels, inputs), products) in kernels.zip(inputs).zip(products) {
            tiles::forward(&product, kernels, false, inputs, products);
        }
        let bias = if bias {
            Some(self.bias.as_slice())
        } else {
            None
        };
        interpolate(&self.products, bias, self.side, [self.tiles, self.size], z);
    }
}

/// Evaluation matrix of kernels, `[8, k]`: powers of the points, each row scaled by the factor that the input
/// transform leaves out.
fn evaluation(k: usize) -> [Vec<f32>; POINTS] {
    let points: [(f64, f64); POINTS - 1] = [
        (0.0, 1.0),
        (1.0, -2.0 / 9.0),
        (-1.0, -2.0 / 9.0),
        (2.0, 1.0 / 90.0),
        (-2.0, 1.0 / 90.0),
        (0.5, 32.0 / 45.0),
        (-0.5, 32.0 / 45.0),
    ];
    std::array::from_fn(|row| {
        let power = |column: usize| match points.get(row) {
            Some((point, factor)) => factor * point.powi(column as i32),
            None if column + 1 == k => 1.0,
            None => 0.0,
        };
        (0..k).map(|column| power(column) as f32).collect()
    })
}

/// Transforms kernels `[k, k, C_in, C]` to the layout of [`Winograd::kernels`]; `rows` is scratch.
#[multiversion(targets("x86_64+avx2+fma"))]
fn transform_kernels(
    kernels: &[f32],
    [k, inputs, outputs]: [usize; 3],
    rows: &mut [f32],
    transformed: &mut [f32],
) {
    let matrix = evaluation(k);
    for input in 0..inputs {
        rows.fill(0.0);
        for (row, to) in rows.chunks_exact_mut(outputs).enumerate() {
            let (factors, kx) = (&matrix[row / k], row % k);
            for (ky, factor) in factors.iter().enumerate() {
                let from = &kernels[((ky * k + kx) * inputs + input) * outputs..][..outputs];
                to.iter_mut()
                    .zip(from)
                    .for_each(|(to, w)| *to += factor * w);
            }
        }
        for (place, to) in transformed
            .chunks_exact_mut((inputs + 1) * outputs)
            .enumerate()
        {
            let (y, factors) = (place / POINTS, &matrix[place % POINTS]);
            for (first, width) in tiles::panels(outputs) {
                let to = &mut to[(inputs + 1) * first + input * width..][..width];
                to.fill(0.0);
                for (kx, factor) in factors.iter().enumerate() {
                    let from = &rows[(y * k + kx) * outputs + first..][..width];
                    to.iter_mut()
                        .zip(from)
                        .for_each(|(to, w)| *to += factor * w);
                }
            }
        }
    }
}

/// Values of a polynomial at the eight points, for one axis and channel.
#[inline(always)]
fn evaluate(d: [f32; POINTS]) -> [f32; POINTS] {
    let even1 = (-4.25f32).mul_add(d[4], d[2] + d[6]);
    let odd1 = (-4.25f32).mul_add(d[3], d[1] + d[5]);
    let even2 = 0.25f32.mul_add(d[2], (-1.25f32).mul_add(d[4], d[6]));
    let odd2 = 0.5f32.mul_add(d[1], (-2.5f32).mul_add(d[3], 2.0 * d[5]));
    let even3 = 4.0f32.mul_add(d[2], (-5.0f32).mul_add(d[4], d[6]));
    let odd3 = 2.0f32.mul_add(d[1], (-2.5f32).mul_add(d[3], 0.5 * d[5]));
    [
        5.25f32.mul_add(d[4] - d[2], d[0] - d[6]),
        even1 + odd1,
        even1 - odd1,
        even2 + odd2,
        even2 - odd2,
        even3 + odd3,
        even3 - odd3,
        5.25f32.mul_add(d[3] - d[5], d[7] - d[1]),
    ]
}

/// The first `SIDE` outputs of the polynomial with these values at the points, for one axis and channel.
#[inline(always)]
fn values<const SIDE: usize>(m: [f32; POINTS]) -> [f32; SIDE] {
    let even = [m[1] + m[2], m[3] + m[4], m[5] + m[6]];
    let odd = [m[1] - m[2], m[3] - m[4], m[5] - m[6]];
    let mut power = 1.0f32;
    std::array::from_fn(|j| {
        let [one, two, half] = if j % 2 == 0 { even } else { odd };
        let mut value = power.mul_add(two, (1.0 / power).mul_add(half, one));
        power *= 2.0;
        if j == 0 {
            value += m[0];
        }
        if j + 1 == SIDE {
            value += m[POINTS - 1];
        }
        value
    })
}

/// Evaluates the input at all places, `[64, tiles, C_in]`; `a` is `[.., width, C_in]`.
#[multiversion(targets("x86_64+avx2+fma"))]
fn transform_inputs(
    a: &[f32],
    [width, channels, side]: [usize; 3],
    tiles: [usize; 2],
    transformed: &mut [f32],
) {
    let stride = tiles[0] * tiles[1] * channels;
    let mut to = 0;
    for (y, x) in (0..tiles[0]).flat_map(|y| (0..tiles[1]).map(move |x| (y, x))) {
        let corner = (y * side * width + x * side) * channels;
        for first in (0..channels).step_by(LANES) {
            let mut columns: Tile = [[[0.0; LANES]; POINTS]; POINTS];
            for column in 0..POINTS {
                let mut d = [[0.0; LANES]; POINTS];
                for (row, d) in d.iter_mut().enumerate() {
                    let from = corner + (row * width + column) * channels + first;
                    d.copy_from_slice(&a[from..][..LANES]);
                }
                for lane in 0..LANES {
                    let at = evaluate(std::array::from_fn(|i| d[i][lane]));
                    for (columns, at) in columns.iter_mut().zip(at) {
                        columns[column][lane] = at;
                    }
                }
            }
            for (row, columns) in columns.iter().enumerate() {
                let mut places = [[0.0; LANES]; POINTS];
                for lane in 0..LANES {
                    let at = evaluate(std::array::from_fn(|i| columns[i][lane]));
                    for (place, at) in places.iter_mut().zip(at) {
                        place[lane] = at;
                    }
                }
                for (column, place) in places.iter().enumerate() {
                    let to = to + (row * POINTS + column) * stride + first;
                    transformed[to..][..LANES].copy_from_slice(place);
                }
            }
        }
        to += channels;
    }
}

/// Interpolates z from the products at all places, `[64, tiles, C]`.
fn interpolate(
    products: &[f32],
    bias: Option<&[f32]>,
    side: usize,
    shape: [[usize; 2]; 2],
    z: &mut [f32],
) {
    match side {
        3 => interpolate3(products, bias, shape, z),
        4 => interpolate4(products, bias, shape, z),
        5 => interpolate5(products, bias, shape, z),
        _ => interpolate6(products, bias, shape, z),
    }
}

macro_rules! interpolate_by_side {
    ($($name:ident $side:literal),*) => {
        $(
            #[multiversion(targets("x86_64+avx2+fma"))]
            fn $name(products: &[f32], bias: Option<&[f32]>, shape: [[usize; 2]; 2], z: &mut [f32]) {
                interpolate_tiles::<$side>(products, bias, shape, z);
            }
        )*
    };
}
interpolate_by_side!(interpolate3 3, interpolate4 4, interpolate5 5, interpolate6 6);

#[inline(always)]
fn interpolate_tiles<const SIDE: usize>(
    products: &[f32],
    bias: Option<&[f32]>,
    [tiles, [height, width]]: [[usize; 2]; 2],
    z: &mut [f32],
) {
    let count = tiles[0] * tiles[1];
    let stride = products.len() / PLACES;
    let channels = stride / count;
    for (number, (y, x)) in (0..tiles[0])
        .flat_map(|y| (0..tiles[1]).map(move |x| (y, x)))
        .enumerate()
    {
        for first in (0..channels).step_by(LANES) {
            let mut start = [0.0; LANES];
            if let Some(bias) = bias {
                start.copy_from_slice(&bias[first..][..LANES]);
            }
            let mut columns = [[[0.0; LANES]; POINTS]; SIDE];
            for column in 0..POINTS {
                let mut m = [[0.0; LANES]; POINTS];
                for (row, m) in m.iter_mut().enumerate() {
                    let from = (row * POINTS + column) * stride + number * channels + first;
                    m.copy_from_slice(&products[from..][..LANES]);
                }
                for lane in 0..LANES {
                    let rows: [f32; SIDE] = values(std::array::from_fn(|i| m[i][lane]));
                    for (columns, value) in columns.iter_mut().zip(rows) {
                        columns[column][lane] = value;
                    }
                }
            }
            for (row, columns) in columns.iter().enumerate().take(height - y * SIDE) {
                let mut outputs = [[0.0; LANES]; SIDE];
                for lane in 0..LANES {
                    let line: [f32; SIDE] = values(std::array::from_fn(|i| columns[i][lane]));
                    for (output, value) in outputs.iter_mut().zip(line) {
                        output[lane] = value + start[lane];
                    }
                }
                for (column, output) in outputs.iter().enumerate().take(width - x * SIDE) {
                    let to = ((y * SIDE + row) * width + x * SIDE + column) * channels + first;
                    z[to..][..LANES].copy_from_slice(output);
                }
            }
        }
    }
}
