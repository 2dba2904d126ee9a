//! What the coordinator does with a step's sums: solve the correction equations and move the weights.

use super::{HiddenStep, Metric, UpdateParams};
use crate::blas;
use crate::equations::{EquationLayout, average_triangle};
use crate::finite::all_finite;
use crate::network::Network;
use crate::solver::{GramSolver, SolveError, gram_norm, trust_region_scale};
use crate::weights::Weights;
use ndarray::{Array2, ArrayView2};

/// Running Gram matrix, momentum and factor of one stage.
#[derive(Debug, Clone)]
pub(super) struct StageState {
    /// Its lower triangle.
    pub(super) gram: Array2<f32>,
    pub(super) velocity: Array2<f32>,
    pub(super) solver: Option<GramSolver>,
    /// Whether G has moved since it was factorised.
    pub(super) stale: bool,
    /// `|W|_G^2`: computed with every new G, and from there on by what each step adds.
    pub(super) square: f64,
    pub(super) refreshes: u16,
    /// Rows behind one summed Gram matrix, and behind one cross moment.
    gram_rows: f32,
    cross_rows: f32,
}

/// Which way a stage's weights move.
#[derive(Debug)]
struct Direction {
    /// dW, and G dW, both `[d, C]`.
    step: Array2<f32>,
    image: Array2<f32>,
    /// Condition of the system.
    condition: f32,
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
    pub(super) params: UpdateParams,
    /// Refreshes after which a new factor waits for the next step.
    at_once: u16,
    pub(super) stages: Vec<StageState>,
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
                stale: false,
                square: 0.0,
                refreshes: 0,
                gram_rows: match gram_rows {
                    Some(rows) if index != last => rows as f32,
                    _ => (batch * stage.rows()) as f32,
                },
                cross_rows: (batch * stage.rows()) as f32,
            })
            .collect();
        Self {
            params,
            at_once: u16::MAX,
            stages,
        }
    }

    /// After `refreshes` of them, a refreshed Gram matrix is first used in the step behind it, so that it can be factorised while workers are busy
    /// with that step: see [`WeightUpdate::settle`].
    #[must_use]
    pub fn factorise_behind(self, refreshes: u16) -> Self {
        Self {
            at_once: refreshes,
            ..self
        }
    }

    /// Whether it has no Gram matrices yet: its next step must bring them.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.stages.iter().any(|state| state.refreshes == 0)
    }

    /// Factorises Gram matrices that have moved. The next step would do so itself: when this is called, if ever, makes no difference but to
    /// time.
    ///
    /// # Errors
    /// [`SolveError`] if a system is not positive definite; the next step fails likewise.
    pub fn settle(&mut self, weights: &Weights) -> Result<(), SolveError> {
        for (index, state) in self.stages.iter_mut().enumerate() {
            if state.stale {
                state.factorise(&self.params, weights.stage(index), index)?;
            }
        }
        Ok(())
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
        self.settle(weights)?;
        let mut moved = Vec::with_capacity(self.stages.len());
        let last = self.stages.len() - 1;
        for (index, state) in self.stages.iter_mut().enumerate() {
            state.absorb(&self.params, layout, index, sums)?;
            let current = weights.stage(index);
            if state.stale && state.refreshes <= self.at_once {
                state.factorise(&self.params, current, index)?;
            }
            let weight_norm = state.square.sqrt() as f32;
            let direction = state.solve(&self.params, index)?;
            let (step, condition) = (direction.step, direction.condition);
            let length_square = dot(step.view(), direction.image.view()).max(0.0);
            let length = length_square.sqrt() as f32;
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
            let (along, scaled) = (dot(current, direction.image.view()), f64::from(scale));
            state.square += scaled * (2.0 * along + scaled * length_square);
            state.square = state.square.max(0.0);
            if !state.square.is_finite() {
                return Err(SolveError::NotFinite {
                    stage: index,
                    quantity: "norms in the Gram metric",
                });
            }
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
            if !all_finite(packed) {
                return Err(SolveError::NotFinite {
                    stage: index,
                    quantity: "Gram sums",
                });
            }
            average_triangle(packed, kept, (1.0 - kept) / self.gram_rows, &mut self.gram);
            self.stale = true;
        }
        Ok(())
    }

    fn factorise(
        &mut self,
        params: &UpdateParams,
        weights: ArrayView2<'_, f32>,
        index: usize,
    ) -> Result<(), SolveError> {
        let solver = GramSolver::factorise(self.gram.view(), params.ridge, index)?;
        self.solver = Some(solver);
        self.square = f64::from(gram_norm(&self.gram, weights)).powi(2);
        self.stale = false;
        Ok(())
    }

    fn solve(&self, params: &UpdateParams, index: usize) -> Result<Direction, SolveError> {
        match (&self.solver, params.metric) {
            (None, _) => panic!("the first step must refresh the Gram matrices"),
            (Some(solver), Metric::Gram) => {
                let step = solver.solve(&self.velocity, index)?;
                // (G + r I) D = V holds, so a product with G need not be computed.
                let mut image = self.velocity.clone();
                image.scaled_add(-solver.ridge(), &step);
                Ok(Direction {
                    step,
                    image,
                    condition: solver.condition(),
                })
            }
            (Some(_), Metric::Identity) => {
                // On the scale of the least-squares step of uncorrelated inputs.
                let mean = self
                    .gram
                    .diag()
                    .mean()
                    .unwrap_or(0.0)
                    .max(f32::MIN_POSITIVE);
                let step = &self.velocity / mean;
                Ok(Direction {
                    image: blas::symmetric_product(self.gram.view(), step.view()),
                    step,
                    condition: 1.0,
                })
            }
        }
    }
}

/// `<a, b>` of two matrices of one shape.
fn dot(a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>) -> f64 {
    // Row by row: a chain per column of a row adds up side by side with the others.
    let mut sums = vec![0.0f64; a.ncols()];
    for (a, b) in a.rows().into_iter().zip(b.rows()) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += f64::from(a * b);
        }
    }
    sums.iter().sum()
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

    /// Norms are carried along from step to step; a product with G must say the same.
    #[test]
    fn norms_between_refreshes_are_those_of_the_gram_matrix() {
        let network = network();
        let [plain, refreshing] = [false, true].map(|gram| EquationLayout::new(&network, gram));
        for metric in [Metric::Gram, Metric::Identity] {
            let params = UpdateParams {
                trust: 0.2,
                metric,
                ..UpdateParams::default()
            };
            let mut update = WeightUpdate::new(&network, params, 4, Some(3));
            let mut weights = he(&network, 1);
            let first = sums(&refreshing, &network, &[1, 2], 1.0);
            update
                .step(&refreshing, &first, 1.0, &mut weights)
                .expect("solvable");
            for seed in 0..8 {
                let before = weights.clone();
                let report = update
                    .step(&plain, &draw(seed, plain.len()), 1.0, &mut weights)
                    .expect("solvable");
                for (index, report) in report.iter().enumerate() {
                    let gram = &update.stages[index].gram;
                    let norm = gram_norm(gram, before.stage(index));
                    let step = &weights.stage(index) - &before.stage(index);
                    let length = gram_norm(gram, step.view());
                    assert!((report.weight_norm - norm).abs() < 1e-3 * norm);
                    assert!((report.step_norm - length).abs() < 1e-3 * length);
                }
            }
        }
    }

    #[test]
    fn a_factor_that_waits_is_that_of_the_next_step_whoever_makes_it() {
        let network = network();
        let layout = EquationLayout::new(&network, true);
        let all: Vec<_> = (1..6)
            .map(|seed| sums(&layout, &network, &[seed], 1.0))
            .collect();
        let run = |behind: bool, settled: bool| {
            let update = WeightUpdate::new(&network, UpdateParams::default(), 4, Some(3));
            let mut update = if behind {
                update.factorise_behind(2)
            } else {
                update
            };
            let mut weights = he(&network, 1);
            let mut path = Vec::new();
            for sums in &all {
                update
                    .step(&layout, sums, 1.0, &mut weights)
                    .expect("solvable");
                if settled {
                    update.settle(&weights).expect("solvable");
                }
                path.push(weights.clone());
            }
            path
        };
        let (at_once, behind) = (run(false, false), run(true, false));
        assert_eq!(behind, run(true, true));
        assert_eq!(at_once[..2], behind[..2]);
        assert_ne!(at_once[2], behind[2]);
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
