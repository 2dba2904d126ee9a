//! The amounts by which optimality conditions are missed.

use super::definition::{DefinedLink, DefinedWindows};
use super::{definition, perturb};
use crate::activation::ActivationPenalty;
use crate::loss::{Loss, OutputUpdate};
use crate::pooling::PoolPenalty;
use crate::random::{Purpose, stream};
use multiversion::multiversion;
use ndarray::{Array2, ArrayView2};
use rand::{Rng, RngExt as _};

/// Windows of a sample whose hidden prox is checked.
pub(super) const WINDOWS: usize = 16;
/// Part of its argument by which a staircase's value may be beside a threshold.
const SLACK: f64 = 4.0 * f32::EPSILON as f64;
/// Steps shorter than this, relative to their activation, are rounding for the most part.
const SHORTEST: f64 = 1e-4;

/// Share of |dz| |u| in the size of a slope.
const ROUNDING: f64 = 1e-2;

fn square(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().map(|v| v * v).sum()
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |most, v| f64::max(most, v.abs()))
}

/// The last outputs of one sample, with their sub-problem.
#[derive(Debug, Clone, Copy)]
pub(super) struct OutputProblem<'a> {
    pub(super) loss: Loss,
    pub(super) update: OutputUpdate<'a>,
    /// m, `[O]`
    pub(super) m: &'a [f64],
}

impl OutputProblem<'_> {
    /// `w loss(z)`
    pub(super) fn loss(&self, z: &[f64]) -> f64 {
        f64::from(self.update.weight) * definition::loss(self.loss, z, self.update.targets)
    }

    /// `<lambda, z - m>`
    pub(super) fn work(&self, z: &[f64]) -> f64 {
        let multipliers = self.update.multipliers.iter();
        let each = multipliers.zip(z.iter().zip(self.m));
        each.map(|(&lambda, (z, m))| f64::from(lambda) * (z - m))
            .sum()
    }

    /// `beta_L |z - m|^2`
    pub(super) fn distance(&self, z: &[f64]) -> f64 {
        f64::from(self.update.beta) * square(z.iter().zip(self.m).map(|(z, m)| z - m))
    }

    /// Relative saving of the best perturbation of `z`.
    pub(super) fn amount(&self, z: &[f64], random: &mut impl Rng) -> f64 {
        let cost = |z: &[f64]| self.loss(z) + self.work(z) + self.distance(z);
        let radius = 1.0 + largest(z).max(largest(self.m));
        let curvature = f64::from(self.update.weight) + f64::from(self.update.beta);
        let multipliers = self.update.multipliers.iter().map(|&v| f64::from(v).abs());
        let size = curvature * radius * radius + multipliers.sum::<f64>() * radius;
        perturb::largest_saving(z, radius, cost(z), random, cost) / size
    }
}

/// The outputs of a hidden stage of one sample, with their sub-problems.
#[derive(Debug, Clone, Copy)]
pub(super) struct HiddenProblem<'a> {
    pub(super) link: DefinedLink,
    pub(super) windows: DefinedWindows,
    pub(super) penalty: PoolPenalty,
    /// m, `[H, W, C]`
    pub(super) m: &'a [f32],
    /// a, `[H', W', C]`
    pub(super) a: &'a [f32],
    /// z - m, `[H, W, C]`
    pub(super) dz: &'a [f32],
}

impl HiddenProblem<'_> {
    /// m and z of window `index`.
    fn window(&self, index: usize) -> (Vec<f64>, Vec<f64>) {
        let members = self.windows.members(index);
        let pair = |at: usize| {
            let m = f64::from(self.m[at]);
            (m, m + f64::from(self.dz[at]))
        };
        members.map(pair).unzip()
    }

    /// `gamma |a - h(z)|^2` and `beta |z - m|^2` of all windows.
    pub(super) fn costs(&self) -> (f64, f64) {
        let mut misfit = 0.0;
        for index in 0..self.windows.len() {
            let (m, z) = self.window(index);
            let slack = SLACK * largest(&m).max(largest(&z));
            misfit += self.link.misfit(self.a[index].into(), &m, &z, slack);
        }
        let distance = square(self.dz.iter().map(|&d| d.into()));
        let PoolPenalty { gamma, beta } = self.penalty;
        (f64::from(gamma) * misfit, f64::from(beta) * distance)
    }

    /// Relative saving of the best perturbation of window `index`.
    pub(super) fn amount(&self, index: usize, random: &mut impl Rng) -> f64 {
        let (m, z) = self.window(index);
        let a = f64::from(self.a[index]);
        let (gamma, beta) = (f64::from(self.penalty.gamma), f64::from(self.penalty.beta));
        let radius = largest(&m).max(largest(&z)).max(a.abs());
        if radius == 0.0 {
            return 0.0;
        }
        let distance = |z: &[f64]| beta * square(z.iter().zip(&m).map(|(z, m)| z - m));
        // Only the point itself gets the benefit of the doubt beside a threshold.
        let own = gamma * self.link.misfit(a, &m, &z, SLACK * radius) + distance(&z);
        let cost = |z: &[f64]| gamma * self.link.misfit(a, &m, z, 0.0) + distance(z);
        let size = (gamma + beta) * radius * radius;
        perturb::largest_saving(&z, radius, own, random, cost) / size
    }

    /// A window at or behind `from`, one that moved if there is one.
    pub(super) fn moved_window(&self, from: usize) -> usize {
        let count = self.windows.len();
        let moved = |index: &usize| self.windows.members(*index).any(|at| self.dz[at] != 0.0);
        let mut all = (from..count).chain(0..from);
        all.find(moved).unwrap_or(from)
    }
}

/// A step from h to a along d = a - h, with u = W d.
#[derive(Debug, Clone)]
pub(super) struct LineProblem<'a> {
    pub(super) penalty: ActivationPenalty,
    /// h, `[H, W, C]`
    pub(super) h: &'a [f32],
    /// dz = z - W h of the next stage.
    pub(super) dz: &'a [f32],
    pub(super) d: Vec<f64>,
    pub(super) u: Vec<f64>,
}

impl LineProblem<'_> {
    /// `beta |dz - u|^2` and `gamma |d|^2`.
    pub(super) fn costs(&self) -> (f64, f64) {
        let left = self
            .dz
            .iter()
            .zip(&self.u)
            .map(|(&dz, u)| f64::from(dz) - u);
        let (beta, gamma) = (f64::from(self.penalty.beta), f64::from(self.penalty.gamma));
        (beta * square(left), gamma * square(self.d.iter().copied()))
    }

    /// The larger of the slope along d where the step ends and the rise of the quadratic, both relative;
    /// `None` for a step that is too short to be told from its rounding.
    pub(super) fn amount(&self) -> Option<f64> {
        let before = square(self.dz.iter().map(|&dz| dz.into()));
        let h = square(self.h.iter().map(|&h| h.into()));
        let d = square(self.d.iter().copied());
        if d <= SHORTEST * SHORTEST * h {
            return None;
        }
        let u = square(self.u.iter().copied());
        let along: f64 = self
            .dz
            .iter()
            .zip(&self.u)
            .map(|(&dz, u)| f64::from(dz) * u)
            .sum();
        let (beta, gamma) = (f64::from(self.penalty.beta), f64::from(self.penalty.gamma));
        let slope = gamma * d - beta * (along - u);
        // What dz and u have in common may be little: their own sizes count for the rounding of products.
        let rounding = ROUNDING * beta * (before * u).sqrt();
        let size = gamma * d + beta * (along.abs() + u) + rounding;
        let (remaining, way) = self.costs();
        let rise = (remaining + way - beta * before) / (beta * before);
        Some(f64::max(slope.abs() / size, rise))
    }
}

/// Random signs for the `columns` right-hand sides of stage `stage` in `step`.
pub(crate) fn signs(step: u64, stage: usize, columns: usize) -> Vec<f64> {
    let mut random = stream(0, Purpose::Checks, stage as u64, step);
    let sign = |_| if random.random() { 1.0 } else { -1.0 };
    (0..columns).map(sign).collect()
}

/// Frobenius norm.
fn norm(matrix: ArrayView2<'_, f32>) -> f64 {
    square(matrix.iter().map(|&v| v.into())).sqrt()
}

/// `M s` for a matrix of f32.
fn combined(matrix: ArrayView2<'_, f32>, signs: &[f64]) -> Vec<f64> {
    let row = |row: ndarray::ArrayView1<'_, f32>| -> f64 {
        row.iter()
            .zip(signs)
            .map(|(&v, sign)| f64::from(v) * sign)
            .sum()
    };
    matrix.rows().into_iter().map(row).collect()
}

/// A system `(G + ridge I) X = B` that has been solved.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SymmetricSystem<'a> {
    /// G, `[d, d]`, of which only the lower triangle is read.
    pub(crate) gram: ArrayView2<'a, f32>,
    pub(crate) ridge: f32,
    /// B, `[d, C]`
    pub(crate) right: ArrayView2<'a, f32>,
    /// X, `[d, C]`
    pub(crate) solution: ArrayView2<'a, f32>,
}

/// `|A x - b| / (|A| |X| + |B|)` for the combinations x and b of the columns of X and B by `signs`: an estimate
/// of the normwise backward error, which the columns' own sizes keep from what cancels in a combination.
pub(crate) fn system_amount(system: &SymmetricSystem<'_>, signs: &[f64]) -> f64 {
    let (x, b) = (
        combined(system.solution, signs),
        combined(system.right, signs),
    );
    let mut left = vec![0.0; x.len()];
    let mut squares = 0.0;
    for (i, row) in system.gram.rows().into_iter().enumerate() {
        let packed: Vec<f32>;
        let row = match row.to_slice() {
            Some(row) => &row[..i],
            None => {
                packed = row.iter().take(i).copied().collect();
                &packed
            }
        };
        let diagonal = f64::from(system.gram[[i, i]]) + f64::from(system.ridge);
        let (along, below) = symmetric_row(row, &x[..i], x[i], &mut left[..i]);
        left[i] += along + diagonal * x[i];
        squares += 2.0 * below + diagonal * diagonal;
    }
    let residual = square(left.iter().zip(&b).map(|(left, b)| left - b)).sqrt();
    let size = squares.sqrt() * norm(system.solution) + norm(system.right);
    relative(residual, size)
}

/// One row of a lower triangle: adds `row * x_i` to `left`; `<row, x>` and `<row, row>`.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
fn symmetric_row(row: &[f32], x: &[f64], x_i: f64, left: &mut [f64]) -> (f64, f64) {
    const LANES: usize = 8;
    let (mut along, mut squares) = ([0.0; LANES], [0.0; LANES]);
    let chunks = row
        .chunks(LANES)
        .zip(x.chunks(LANES))
        .zip(left.chunks_mut(LANES));
    for ((row, x), left) in chunks {
        let sums = along.iter_mut().zip(&mut squares);
        for (((g, x), left), (along, squares)) in row.iter().zip(x).zip(left).zip(sums) {
            let g = f64::from(*g);
            *left += g * x_i;
            *along += g * x;
            *squares += g * g;
        }
    }
    (along.iter().sum(), squares.iter().sum())
}

/// Equations `T W = Z` in the least-squares sense, row by row `[T | Z]`, that have been solved.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows<'a> {
    /// `[r, d + C]`
    pub(crate) rows: ArrayView2<'a, f64>,
    /// W, `[d, C]`
    pub(crate) solution: &'a Array2<f32>,
}

/// `|T'(T w - z)| / (|T| (|T| |W| + |Z|))` for the combinations w and z of the columns of W and Z by `signs`.
pub(crate) fn least_squares_amount(system: &Rows<'_>, signs: &[f64]) -> f64 {
    let unknowns = system.solution.nrows();
    let w = combined(system.solution.view(), signs);
    let mut gradient = vec![0.0; unknowns];
    let (mut squares, mut right) = (0.0, 0.0);
    for row in system.rows.rows() {
        let left = || row.iter().take(unknowns);
        let z: f64 = row
            .iter()
            .skip(unknowns)
            .zip(signs)
            .map(|(z, sign)| z * sign)
            .sum();
        let gap = left().zip(&w).map(|(t, w)| t * w).sum::<f64>() - z;
        for (gradient, t) in gradient.iter_mut().zip(left()) {
            *gradient += t * gap;
            squares += t * t;
        }
        right += square(row.iter().skip(unknowns).copied());
    }
    let norm_t = squares.sqrt();
    let size = norm_t * (norm_t * norm(system.solution.view()) + right.sqrt());
    relative(square(gradient).sqrt(), size)
}

/// A residual relative to its size; 0 where there is nothing.
fn relative(residual: f64, size: f64) -> f64 {
    match residual == 0.0 {
        true => 0.0,
        false => residual / size,
    }
}
