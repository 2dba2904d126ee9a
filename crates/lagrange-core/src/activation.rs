//! The activation update: `argmin_a beta |z - W a|^2 + gamma |a - h|^2`, with z the next stage's output less its bias.
//!
//! Both solvers work on the correction `a - h` and `dz = z - W h`, which in the forward-reset schedule is exactly
//! the next stage's z - m: `argmin_da beta |dz - W da|^2 + gamma |da|^2`, whose normal equations are
//! `(beta W'W + gamma I) da = beta W' dz`.

use crate::blas;
use crate::network::Stage;
use crate::solver::SolveError;
use crate::toeplitz;
use ndarray::{Array2, ArrayView2};
use ndarray_linalg::{CholeskyInto, Diag, SolveTriangular, UPLO};
use serde::{Deserialize, Serialize};

/// How the activation update is solved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActivationUpdate {
    /// One conjugate-gradient step from da = 0, with the exact step length per sample.
    #[default]
    OneStep,
    /// The normal equations, by Cholesky factorisation of the matrix that all samples share.
    Exact,
}

/// Penalties of the activation update.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ActivationPenalty {
    /// Weight of the next stage's output constraint.
    pub beta: f32,
    /// Weight of the activation constraint.
    pub gamma: f32,
}

/// Buffers of one stage's one-step update.
#[derive(Debug, Clone)]
pub struct OneStep {
    patches: Vec<f32>,
    rows: Vec<f32>,
    direction: Vec<f32>,
    image: Array2<f32>,
}

impl OneStep {
    /// Buffers for the stage that consumes the activation.
    #[must_use]
    pub fn new(stage: &Stage) -> Self {
        Self {
            patches: vec![0.0; stage.rows() * stage.patch()],
            rows: vec![0.0; stage.rows() * stage.unknowns()],
            direction: vec![0.0; stage.input.len()],
            image: Array2::zeros((stage.rows(), stage.conv.channels)),
        }
    }

    /// Adds alpha r to one sample's activation `a` `[H, W, C_in]`, with r = W' dz and
    /// `alpha = beta <r, r> / (beta |W r|^2 + gamma <r, r>)`, the minimiser along r. Returns `|dz - W da|^2`.
    pub fn update(
        &mut self,
        stage: &Stage,
        weights: ArrayView2<'_, f32>,
        dz: ArrayView2<'_, f32>,
        penalty: ActivationPenalty,
        a: &mut [f32],
    ) -> f64 {
        toeplitz::adjoint(stage, weights, dz, &mut self.patches, &mut self.direction);
        toeplitz::toeplitz_rows(stage, &self.direction, &mut self.rows);
        let patch = stage.patch();
        let rows = ArrayView2::from_shape((stage.rows(), stage.unknowns()), &self.rows)
            .unwrap_or_else(|_| unreachable!("allocated with this shape"));
        let kernels = weights.slice(ndarray::s![..patch, ..]);
        toeplitz::apply(
            rows.slice(ndarray::s![.., ..patch]),
            kernels,
            &mut self.image.view_mut(),
        );
        let rr = square_norm(&self.direction);
        let image = self.image.as_slice().map_or(0.0, square_norm);
        let dz = dz.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>();
        if rr == 0.0 {
            return dz;
        }
        let alpha = penalty.beta * rr / (penalty.beta * image + penalty.gamma * rr);
        for (a, r) in a.iter_mut().zip(&self.direction) {
            *a += alpha * r;
        }
        // <dz, W r> = <r, r>, so the square expands without another product.
        let (alpha, rr, image) = (f64::from(alpha), f64::from(rr), f64::from(image));
        (dz - 2.0 * alpha * rr + alpha * alpha * image).max(0.0)
    }
}

/// The factorised normal matrix of one stage's exact update, shared by all samples of a step.
#[derive(Debug, Clone)]
pub struct Exact {
    stage_index: usize,
    lower: Array2<f32>,
    beta: f32,
    gamma: f32,
}

impl Exact {
    /// Factorises `beta W'W + gamma I`, of size H*W*C_in, for the stage that consumes the activation.
    ///
    /// # Errors
    /// [`SolveError::NotPositiveDefinite`] if the weights are not finite.
    pub fn factorise(
        stage: &Stage,
        stage_index: usize,
        weights: ArrayView2<'_, f32>,
        penalty: ActivationPenalty,
    ) -> Result<Self, SolveError> {
        let dense = dense_convolution(stage, weights);
        let size = stage.input.len();
        let mut normal = Array2::zeros((size, size));
        blas::gram_lower(dense.view(), &mut normal.view_mut());
        normal *= penalty.beta;
        normal
            .diag_mut()
            .map_inplace(|value| *value += penalty.gamma);
        let lower = normal
            .cholesky_into(UPLO::Lower)
            .map_err(|_| SolveError::NotPositiveDefinite { stage: stage_index })?;
        Ok(Self {
            stage_index,
            lower,
            beta: penalty.beta,
            gamma: penalty.gamma,
        })
    }

    /// Adds the exact correction to the activations `a` `[n, H, W, C_in]`, given `dz` `[n, H_out, W_out, C_out]`.
    /// Returns `|dz - W da|^2`.
    ///
    /// # Errors
    /// [`SolveError::NotPositiveDefinite`] if the triangular solves fail.
    pub fn update(
        &self,
        stage: &Stage,
        weights: ArrayView2<'_, f32>,
        dz: &[f32],
        a: &mut [f32],
    ) -> Result<f64, SolveError> {
        let failed = |_| SolveError::NotPositiveDefinite {
            stage: self.stage_index,
        };
        let size = stage.input.len();
        let samples = a.len() / size;
        let mut patches = vec![0.0; stage.rows() * stage.patch()];
        let mut back = vec![0.0; size];
        let mut right = Array2::zeros((size, samples));
        for (sample, mut column) in right.columns_mut().into_iter().enumerate() {
            let dz = sample_view(stage, dz, sample);
            toeplitz::adjoint(stage, weights, dz, &mut patches, &mut back);
            column.assign(&ndarray::ArrayView1::from(&back));
        }
        right *= self.beta;
        let half = self
            .lower
            .solve_triangular(UPLO::Lower, Diag::NonUnit, &right)
            .map_err(failed)?;
        let da = self
            .lower
            .t()
            .solve_triangular(UPLO::Upper, Diag::NonUnit, &half)
            .map_err(failed)?;
        // The normal equations give |dz - W da|^2 = |dz|^2 - <W'dz, da> - gamma/beta |da|^2 without another product.
        let sum = |values: &mut dyn Iterator<Item = f32>| values.map(f64::from).sum::<f64>();
        let square = sum(&mut dz[..samples * stage.conv.len()].iter().map(|v| v * v));
        let inner = sum(&mut right.iter().zip(&da).map(|(r, d)| r * d));
        let norm = sum(&mut da.iter().map(|d| d * d));
        let remaining = square - (inner + f64::from(self.gamma) * norm) / f64::from(self.beta);
        for (a, da) in a.chunks_exact_mut(size).zip(da.columns()) {
            for (a, da) in a.iter_mut().zip(da) {
                *a += *da;
            }
        }
        Ok(remaining.max(0.0))
    }
}

/// The convolution without bias as one matrix `[H_out*W_out*C_out, H*W*C_in]`.
fn dense_convolution(stage: &Stage, weights: ArrayView2<'_, f32>) -> Array2<f32> {
    let (inputs, outputs) = (stage.input.len(), stage.conv.channels);
    // Each Toeplitz row of the index image says which input every kernel value meets; padding meets none.
    let index_image: Vec<f32> = (1..=inputs).map(|index| index as f32).collect();
    let mut rows = vec![0.0; stage.rows() * stage.unknowns()];
    toeplitz::toeplitz_rows(stage, &index_image, &mut rows);
    let mut dense = Array2::zeros((stage.conv.len(), inputs));
    for (position, row) in rows.chunks_exact(stage.unknowns()).enumerate() {
        for (unknown, index) in row[..stage.patch()].iter().enumerate() {
            if *index > 0.0 {
                for output in 0..outputs {
                    let target = [position * outputs + output, *index as usize - 1];
                    dense[target] = weights[[unknown, output]];
                }
            }
        }
    }
    dense
}

fn square_norm(values: &[f32]) -> f32 {
    // ndarray's dot is BLAS: wide, and in a fixed order.
    let view = ndarray::ArrayView1::from(values);
    view.dot(&view)
}

/// View of one sample's rows in a `[n * rows, C]` buffer.
#[must_use]
pub fn sample_view<'a>(stage: &Stage, values: &'a [f32], sample: usize) -> ArrayView2<'a, f32> {
    let length = stage.conv.len();
    ArrayView2::from_shape(
        (stage.rows(), stage.conv.channels),
        &values[sample * length..(sample + 1) * length],
    )
    .unwrap_or_else(|_| unreachable!("one sample has the stage's shape"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toeplitz::tests::{draw, stage};
    use proptest::prelude::*;

    #[derive(Debug)]
    struct Problem {
        stage: Stage,
        weights: Array2<f32>,
        dz: Array2<f32>,
        penalty: ActivationPenalty,
    }

    fn problems() -> impl Strategy<Value = Problem> {
        (
            1usize..5,
            any::<bool>(),
            1usize..5,
            1usize..4,
            0usize..4,
            any::<u64>(),
            0.1f32..10.0,
            0.1f32..10.0,
        )
            .prop_map(|(kernel, same, c_in, c_out, extra, seed, beta, gamma)| {
                let pad = if same && kernel % 2 == 1 {
                    (kernel - 1) / 2
                } else {
                    0
                };
                let stage = stage(kernel + extra, kernel, pad, c_in, c_out);
                Problem {
                    weights: Array2::from_shape_vec(
                        (stage.unknowns(), c_out),
                        draw(seed, stage.weights()),
                    )
                    .expect("shape"),
                    dz: Array2::from_shape_vec(
                        (stage.rows(), c_out),
                        draw(seed ^ 1, stage.conv.len()),
                    )
                    .expect("shape"),
                    penalty: ActivationPenalty { beta, gamma },
                    stage,
                }
            })
    }

    impl Problem {
        fn image(&self, da: &[f32]) -> Array2<f32> {
            let mut rows = vec![0.0; self.stage.rows() * self.stage.unknowns()];
            toeplitz::toeplitz_rows(&self.stage, da, &mut rows);
            let mut weights = self.weights.clone();
            weights.row_mut(self.stage.patch()).fill(0.0);
            ArrayView2::from_shape((self.stage.rows(), self.stage.unknowns()), &rows)
                .expect("shape")
                .dot(&weights)
        }

        fn adjoint(&self, z: &Array2<f32>) -> Vec<f32> {
            let mut a = vec![0.0; self.stage.input.len()];
            let mut scratch = vec![0.0; self.stage.rows() * self.stage.patch()];
            toeplitz::adjoint(
                &self.stage,
                self.weights.view(),
                z.view(),
                &mut scratch,
                &mut a,
            );
            a
        }

        fn cost(&self, da: &[f32]) -> f64 {
            let gap = &self.dz - &self.image(da);
            let square = |values: &mut dyn Iterator<Item = f32>| {
                values.map(|v| f64::from(v).powi(2)).sum::<f64>()
            };
            f64::from(self.penalty.beta) * square(&mut gap.iter().copied())
                + f64::from(self.penalty.gamma) * square(&mut da.iter().copied())
        }
    }

    proptest! {
        #[test]
        fn the_exact_update_solves_its_normal_equations(problem in problems()) {
            let Problem { stage, weights, dz, penalty } = &problem;
            let exact = Exact::factorise(stage, 1, weights.view(), *penalty).expect("finite");
            let mut da = vec![0.0; stage.input.len()];
            let remaining = exact.update(stage, weights.view(), dz.as_slice().expect("contiguous"), &mut da).expect("solvable");
            let gap = &problem.dz - &problem.image(&da);
            let direct = gap.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>();
            let scale = problem.dz.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>();
            prop_assert!((remaining - direct).abs() < 1e-3 * scale, "{remaining} {direct}");
            let left = problem.adjoint(&problem.image(&da));
            let right = problem.adjoint(dz);
            for ((l, r), da) in left.iter().zip(&right).zip(&da) {
                let gap = penalty.beta * l + penalty.gamma * da - penalty.beta * r;
                prop_assert!(gap.abs() < 2e-3 * (1.0 + penalty.beta), "residual {gap}");
            }
        }

        #[test]
        fn one_step_is_the_best_along_its_direction_and_never_beats_the_exact(problem in problems()) {
            let Problem { stage, weights, dz, penalty } = &problem;
            let mut da = vec![0.0; stage.input.len()];
            let remaining = OneStep::new(stage).update(stage, weights.view(), dz.view(), *penalty, &mut da);
            let gap = dz - &problem.image(&da);
            let direct = gap.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>();
            let scale = dz.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>();
            prop_assert!((remaining - direct).abs() < 1e-3 * scale, "{remaining} {direct}");
            let cost = problem.cost(&da);
            for scale in [0.0, 0.5, 0.9, 1.1, 2.0] {
                let other: Vec<f32> = da.iter().map(|v| v * scale).collect();
                prop_assert!(cost <= problem.cost(&other) * (1.0 + 1e-4));
            }
            let mut exact = vec![0.0; stage.input.len()];
            Exact::factorise(stage, 1, weights.view(), *penalty).expect("finite")
                .update(stage, weights.view(), dz.as_slice().expect("contiguous"), &mut exact).expect("solvable");
            prop_assert!(problem.cost(&exact) <= cost * (1.0 + 1e-4));
        }
    }
}
