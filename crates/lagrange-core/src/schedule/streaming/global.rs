//! What the coordinator does with a step's sums: solve the correction equations and move the weights.

use super::{HiddenStep, Metric, UpdateParams};
use crate::equations::{EquationLayout, average_triangle};
use crate::network::Network;
use crate::solver::{GramSolver, SolveError, gram_norm, trust_region_scale};
use crate::weights::Weights;
use ndarray::{Array2, ArrayView2};

/// Running Gram matrix, momentum and factor of one stage.
#[derive(Debug, Clone)]
struct StageState {
    /// Its lower triangle.
    gram: Array2<f32>,
    velocity: Array2<f32>,
    solver: Option<GramSolver>,
    refreshes: u16,
    /// Rows behind one summed Gram matrix, and behind one cross moment.
    gram_rows: f32,
    cross_rows: f32,
}

/// How one stage's weights moved in a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StageReport {
    /// `|W|_G` before the step: the root mean square output.
    pub weight_norm: f32,
    /// `|dW|_G`: the root mean square change of the outputs, which is the step's dual residual per unit beta.
    pub step_norm: f32,
    /// Lower bound of the condition number of the weight system.
    pub condition: f32,
}

/// The weight updates of all stages, with what they remember between steps.
#[derive(Debug, Clone)]
pub struct WeightUpdate {
    params: UpdateParams,
    stages: Vec<StageState>,
}

impl WeightUpdate {
    /// State before the first step, for batches of `batch` samples of which every hidden stage contributes `gram_rows` rows
    /// to its Gram matrix, or all of them if that is `None`.
    #[must_use]
    pub fn new(
        network: &Network,
        params: UpdateParams,
        batch: usize,
        gram_rows: Option<usize>,
    ) -> Self {
        let last = network.len() - 1;
        let stages = network
            .stages()
            .iter()
            .enumerate()
            .map(|(index, stage)| StageState {
                gram: Array2::zeros((stage.unknowns(), stage.unknowns())),
                velocity: Array2::zeros((stage.unknowns(), stage.conv.channels)),
                solver: None,
                refreshes: 0,
                gram_rows: match gram_rows {
                    Some(rows) if index != last => rows as f32,
                    _ => (batch * stage.rows()) as f32,
                },
                cross_rows: (batch * stage.rows()) as f32,
            })
            .collect();
        Self { params, stages }
    }

    /// One step: refreshes the running Gram matrices if `layout` has them, adds the cross moments to the momentum,
    /// solves `dW = (G + ridge mean(diag G) I)^-1 V`, and moves `weights`: hidden stages by `rate * trust` in the Gram metric, the last
    /// by `rate * output_rate` of its step.
    ///
    /// # Errors
    /// [`SolveError`] if sums or solutions are not finite or a system is not positive definite; `weights` are then unchanged.
    ///
    /// # Panics
    /// If `sums` does not have the layout's length, or the first step has no Gram matrices.
    pub fn step(
        &mut self,
        layout: &EquationLayout,
        sums: &[f32],
        rate: f32,
        weights: &mut Weights,
    ) -> Result<Vec<StageReport>, SolveError> {
        let mut moved = Vec::with_capacity(self.stages.len());
        let last = self.stages.len() - 1;
        for (index, state) in self.stages.iter_mut().enumerate() {
            state.absorb(&self.params, layout, index, sums)?;
            let (step, condition) = state.solve(&self.params, index)?;
            let current = weights.stage(index);
            let weight_norm = gram_norm(&state.gram, current);
            let length = gram_norm(&state.gram, step.view());
            let scale = match (self.params.hidden_step, self.params.metric) {
                (HiddenStep::TrustRegion, Metric::Gram) if index != last => {
                    trust_region_scale(length, rate * self.params.trust * weight_norm)
                }
                (HiddenStep::TrustRegion, Metric::Identity) if index != last => {
                    let [length, norm] = [step.view(), current].map(euclidean_norm);
                    trust_region_scale(length, rate * self.params.trust * norm)
                }
                _ => rate * self.params.output_rate,
            };
            let step_norm = scale * length;
            moved.push((
                &current + step * scale,
                StageReport {
                    weight_norm,
                    step_norm,
                    condition,
                },
            ));
        }
        for (index, (matrix, _)) in moved.iter().enumerate() {
            if !matrix.iter().all(|value| value.is_finite()) {
                return Err(SolveError::NotFinite {
                    stage: index,
                    quantity: "weights",
                });
            }
        }
        for (index, (matrix, _)) in moved.iter().enumerate() {
            weights.set_stage(index, matrix);
        }
        Ok(moved.into_iter().map(|(_, report)| report).collect())
    }
}

impl StageState {
    fn absorb(
        &mut self,
        params: &UpdateParams,
        layout: &EquationLayout,
        index: usize,
        sums: &[f32],
    ) -> Result<(), SolveError> {
        let cross = layout.cross(index, sums);
        self.velocity *= params.momentum;
        self.velocity.scaled_add(1.0 / self.cross_rows, &cross);
        if layout.has_gram() {
            // A plain mean of the first ones: a decaying mean would let the first small sample dominate for long, and
            // directions that it happened to miss would be stepped along without bound but for the ridge.
            let seen = f32::from(self.refreshes);
            let kept = params.gram_decay.min(seen / (seen + 1.0));
            self.refreshes = self.refreshes.saturating_add(1);
            let packed = layout.triangle(index, sums);
            average_triangle(packed, kept, (1.0 - kept) / self.gram_rows, &mut self.gram);
            self.solver = Some(GramSolver::factorise(
                self.gram.view(),
                params.ridge,
                index,
            )?);
        }
        Ok(())
    }

    /// The step and the condition of its system.
    fn solve(&self, params: &UpdateParams, index: usize) -> Result<(Array2<f32>, f32), SolveError> {
        match (&self.solver, params.metric) {
            (None, _) => panic!("the first step must refresh the Gram matrices"),
            (Some(solver), Metric::Gram) => {
                Ok((solver.solve(&self.velocity, index)?, solver.condition()))
            }
            (Some(_), Metric::Identity) => {
                // On the scale of the least-squares step of uncorrelated inputs.
                let mean = self
                    .gram
                    .diag()
                    .mean()
                    .unwrap_or(0.0)
                    .max(f32::MIN_POSITIVE);
                Ok((&self.velocity / mean, 1.0))
            }
        }
    }
}

fn euclidean_norm(weights: ArrayView2<'_, f32>) -> f32 {
    weights.iter().map(|w| w * w).sum::<f32>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{NetworkSpec, Padding, Shape, StageSpec};
    use crate::start::he;
    use crate::toeplitz::tests::draw;

    fn network() -> Network {
        let input = Shape {
            height: 6,
            width: 6,
            channels: 1,
        };
        let stage = StageSpec {
            kernel: 3,
            channels: 2,
            padding: Padding::Valid,
        };
        Network::resolve(
            &NetworkSpec {
                stages: vec![stage],
                ..NetworkSpec::default()
            },
            input,
            2,
        )
        .expect("fits")
    }

    /// Sums with the Gram matrices of random rows; `rows` batches' worth.
    fn sums(layout: &EquationLayout, network: &Network, seeds: &[u64], scale: f32) -> Vec<f32> {
        let mut sums = draw(9, layout.len());
        for (index, stage) in network.stages().iter().enumerate() {
            let d = stage.unknowns();
            let mut gram = Array2::zeros((d, d));
            for &seed in seeds {
                let rows = Array2::from_shape_vec((3, d), draw(seed, 3 * d)).expect("shape");
                gram += &rows.t().dot(&rows);
            }
            crate::equations::pack_triangle(
                (gram * scale).view(),
                layout.triangle_mut(index, &mut sums),
            );
        }
        sums
    }

    fn moved(network: &Network, all_sums: &[Vec<f32>]) -> Weights {
        let layout = EquationLayout::new(network, true);
        let params = UpdateParams {
            momentum: 0.0,
            ..UpdateParams::default()
        };
        let mut update = WeightUpdate::new(network, params, 4, Some(3));
        let mut weights = he(network, 1);
        for sums in all_sums {
            weights = he(network, 1);
            update
                .step(&layout, sums, 1.0, &mut weights)
                .expect("solvable");
        }
        weights
    }

    /// One batch's rows do not span what the next batch needs: early systems must be a plain mean, not the first one slowly forgotten.
    #[test]
    fn the_first_gram_matrices_are_averaged() {
        let network = network();
        let layout = EquationLayout::new(&network, true);
        let one_by_one = [1, 2, 3].map(|seed| sums(&layout, &network, &[seed], 1.0));
        let at_once = [sums(&layout, &network, &[1, 2, 3], 1.0 / 3.0)];
        let (left, right) = (moved(&network, &one_by_one), moved(&network, &at_once));
        for (l, r) in left.as_slice().iter().zip(right.as_slice()) {
            assert!((l - r).abs() < 1e-4 * r.abs().max(1.0), "{l} {r}");
        }
    }

    #[test]
    fn hidden_stages_move_by_the_trust_region_and_nothing_moves_on_bad_sums() {
        let network = network();
        let layout = EquationLayout::new(&network, true);
        let params = UpdateParams::default();
        let mut update = WeightUpdate::new(&network, params, 4, Some(3));
        let mut weights = he(&network, 1);
        let good = sums(&layout, &network, &[1], 1.0);
        let report = update
            .step(&layout, &good, 0.5, &mut weights)
            .expect("solvable");
        let relative = report[0].step_norm / report[0].weight_norm;
        assert!((relative - 0.5 * params.trust).abs() < 1e-5, "{relative}");
        for at in [0, layout.len() - 1] {
            let before = weights.clone();
            let mut bad = good.clone();
            bad[at] = f32::NAN;
            let error = update
                .step(&layout, &bad, 0.5, &mut weights)
                .expect_err("refused");
            assert!(matches!(error, SolveError::NotFinite { .. }), "{error}");
            assert_eq!(weights, before);
        }
    }
}
