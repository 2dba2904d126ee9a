//! The activation update: `argmin_a beta |z - W a|^2 + gamma |a - h|^2`, with z the next stage's output less
//! its bias.
//!
//! The solver works on the corrections `da = a - h` and `dz = z - W h`, which in the forward-reset schedule
//! is exactly the next stage's z - m: `argmin_da beta |dz - W da|^2 + gamma |da|^2`, whose normal equations
//! are `(W'W + gamma/beta I) da = W' dz`. Conjugate gradients solve them: each iteration is one convolution
//! and one adjoint, where a factorisation of the dense matrix of a 12 x 12 x 16 activation would cost a
//! thousand times as much whenever W moves.

use crate::convolution::{Convolution, add_scaled, sum_of_squares};
use crate::network::Stage;
use serde::{Deserialize, Serialize};

/// Method of the activation update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActivationUpdate {
    /// One conjugate-gradient step from da = 0, with the exact step length per sample.
    #[default]
    OneStep,
    /// Conjugate gradients until the normal equations hold.
    Exact,
}

/// Relative residual at which the normal equations count as solved: about the resolution of f32.
const TOLERANCE: f32 = 1e-5;
/// Iteration limit of the exact update. The condition number is 1 + beta/gamma |W|^2; a system that needs
/// more iterations is beyond the resolution of f32.
const MOST_ITERATIONS: usize = 100;

/// Penalties of the activation update.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ActivationPenalty {
    /// Weight of the next stage's output constraint.
    pub beta: f32,
    /// Weight of the activation constraint.
    pub gamma: f32,
}

/// Activation update of one stage, sample by sample, with its buffers.
#[derive(Debug, Clone)]
pub(crate) struct ActivationSolver {
    update: ActivationUpdate,
    /// r, the residual of the normal equations.
    residual: Vec<f32>,
    /// p, the search direction.
    direction: Vec<f32>,
    da: Vec<f32>,
    /// W p.
    image: Vec<f32>,
    /// dz - W da.
    remaining: Vec<f32>,
}

impl ActivationSolver {
    /// A solver for the activation that `stage` reads.
    #[must_use]
    pub fn new(stage: &Stage, update: ActivationUpdate) -> Self {
        Self {
            update,
            residual: vec![0.0; stage.input.len()],
            direction: vec![0.0; stage.input.len()],
            da: vec![0.0; stage.input.len()],
            image: vec![0.0; stage.conv.len()],
            remaining: vec![0.0; stage.conv.len()],
        }
    }

    /// Adds the correction da to one sample's activation `a` `[H, W, C_in]`, given `dz`
    /// `[H_out, W_out, C_out]`; W is that of `convolution`. Returns `|dz - W da|^2`.
    ///
    /// The first iteration goes along r = W' dz by `beta <r, r> / (beta |W r|^2 + gamma <r, r>)`, the
    /// minimiser along r.
    pub fn update(
        &mut self,
        convolution: &mut Convolution,
        dz: &[f32],
        penalty: ActivationPenalty,
        a: &mut [f32],
    ) -> f64 {
        match self.update {
            ActivationUpdate::OneStep => self.one_step(convolution, dz, penalty, a),
            ActivationUpdate::Exact => self.exact(convolution, dz, penalty, a),
        }
    }

    fn one_step(
        &mut self,
        convolution: &mut Convolution,
        dz: &[f32],
        penalty: ActivationPenalty,
        a: &mut [f32],
    ) -> f64 {
        convolution.adjoint(dz, &mut self.residual);
        let square = sum_of_squares(&self.residual);
        let before = f64::from(sum_of_squares(dz));
        if square == 0.0 {
            return before;
        }
        convolution.apply_without_bias(&self.residual, &mut self.image);
        let image = sum_of_squares(&self.image);
        let alpha = penalty.beta * square / (penalty.beta * image + penalty.gamma * square);
        add_scaled(a, alpha, &self.residual);
        // |dz - alpha W r|^2, where <dz, W r> = <W' dz, r> = |r|^2.
        let (alpha, image) = (f64::from(alpha), f64::from(image));
        (before - alpha * (2.0 * f64::from(square) - alpha * image)).max(0.0)
    }

    fn exact(
        &mut self,
        convolution: &mut Convolution,
        dz: &[f32],
        penalty: ActivationPenalty,
        a: &mut [f32],
    ) -> f64 {
        self.remaining.copy_from_slice(dz);
        self.da.fill(0.0);
        self.normal_residual(convolution, penalty);
        self.direction.copy_from_slice(&self.residual);
        let first = sum_of_squares(&self.residual);
        let mut square = first;
        for _ in 0..MOST_ITERATIONS {
            if square <= TOLERANCE * TOLERANCE * first {
                break;
            }
            convolution.apply_without_bias(&self.direction, &mut self.image);
            let image = sum_of_squares(&self.image);
            let along = sum_of_squares(&self.direction);
            let alpha = penalty.beta * square / (penalty.beta * image + penalty.gamma * along);
            add_scaled(&mut self.da, alpha, &self.direction);
            add_scaled(&mut self.remaining, -alpha, &self.image);
            self.normal_residual(convolution, penalty);
            let next = sum_of_squares(&self.residual);
            let conjugate = next / square;
            for (p, r) in self.direction.iter_mut().zip(&self.residual) {
                *p = r + conjugate * *p;
            }
            square = next;
        }
        add_scaled(a, 1.0, &self.da);
        f64::from(sum_of_squares(&self.remaining))
    }

    /// r = W' (dz - W da) - gamma/beta da, recomputed: a recurrence would drift from the true residual.
    fn normal_residual(&mut self, convolution: &mut Convolution, penalty: ActivationPenalty) {
        convolution.adjoint(&self.remaining, &mut self.residual);
        add_scaled(&mut self.residual, -penalty.gamma / penalty.beta, &self.da);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toeplitz;
    use crate::toeplitz::tests::{draw, stage, stage_of};
    use ndarray::{Array2, ArrayView2};
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
                let stage = stage_of(kernel, same, extra, c_in, c_out);
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
        fn convolution(&self) -> Convolution {
            let mut convolution = Convolution::new(&self.stage);
            convolution.load(self.weights.view());
            convolution
        }

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
            self.convolution()
                .adjoint(z.as_slice().expect("contiguous"), &mut a);
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

    /// Solves with `update`; returns da and `|dz - W da|^2` as reported.
    fn solve(problem: &Problem, update: ActivationUpdate) -> (Vec<f32>, f64) {
        let stage = &problem.stage;
        let mut da = vec![0.0; stage.input.len()];
        let remaining = ActivationSolver::new(stage, update).update(
            &mut problem.convolution(),
            problem.dz.as_slice().expect("contiguous"),
            problem.penalty,
            &mut da,
        );
        (da, remaining)
    }

    fn square(values: impl Iterator<Item = f32>) -> f64 {
        values.map(|v| f64::from(v).powi(2)).sum()
    }

    proptest! {
        #[test]
        fn the_exact_update_solves_its_normal_equations(problem in problems()) {
            let (da, _) = solve(&problem, ActivationUpdate::Exact);
            let ActivationPenalty { beta, gamma } = problem.penalty;
            let left = problem.adjoint(&problem.image(&da));
            let right = problem.adjoint(&problem.dz);
            let scale = square(right.iter().copied()).sqrt() as f32;
            for ((l, r), da) in left.iter().zip(&right).zip(&da) {
                let gap = l + gamma / beta * da - r;
                prop_assert!(gap.abs() < 1e-4 * scale.max(1.0), "residual {gap} of {scale}");
            }
        }

        #[test]
        fn what_remains_is_reported(problem in problems()) {
            for update in [ActivationUpdate::OneStep, ActivationUpdate::Exact] {
                let (da, remaining) = solve(&problem, update);
                let direct = square((&problem.dz - &problem.image(&da)).into_iter());
                let scale = square(problem.dz.iter().copied());
                prop_assert!((remaining - direct).abs() < 1e-3 * scale, "{remaining} {direct}");
            }
        }

        #[test]
        fn one_step_is_the_best_along_its_direction_and_never_beats_the_exact(problem in problems()) {
            let (da, _) = solve(&problem, ActivationUpdate::OneStep);
            let cost = problem.cost(&da);
            for scale in [0.0, 0.5, 0.9, 1.1, 2.0] {
                let other: Vec<f32> = da.iter().map(|v| v * scale).collect();
                prop_assert!(cost <= problem.cost(&other) * (1.0 + 1e-4));
            }
            let (exact, _) = solve(&problem, ActivationUpdate::Exact);
            prop_assert!(problem.cost(&exact) <= cost * (1.0 + 1e-4));
        }
    }

    #[test]
    fn nothing_to_correct_changes_nothing() {
        let stage = stage(4, 3, 0, 2, 3);
        let mut convolution = Convolution::new(&stage);
        convolution.load(Array2::ones((stage.unknowns(), 3)).view());
        let mut a = draw(1, stage.input.len());
        let before = a.clone();
        let dz = vec![0.0; stage.conv.len()];
        let penalty = ActivationPenalty {
            beta: 1.0,
            gamma: 1.0,
        };
        let left = ActivationSolver::new(&stage, ActivationUpdate::Exact).update(
            &mut convolution,
            &dz,
            penalty,
            &mut a,
        );
        assert_eq!((a, left), (before, 0.0));
    }
}
