//! Weight update by steps: the solution of the correction equations, bounded by a trust radius.

use super::{HiddenStep, Memory, MemoryError, Metric, ScheduleParams};
use crate::blas;
use crate::check::{SolveChecks, SymmetricSystem, system_amount};
use crate::equations::{EquationLayout, average_triangle, pack_triangle, triangle_len};
use crate::finite::all_finite;
use crate::network::Network;
use crate::solver::{GramSolver, SolveError, gram_norm, trust_region_scale};
use crate::weights::Weights;
use ndarray::{Array2, ArrayView2};

/// Running Gram matrix, momentum and factor of one stage.
#[derive(Debug, Clone)]
struct StageState {
    /// Running Gram matrix G, `[d, d]`, lower triangle.
    gram: Array2<f32>,
    velocity: Array2<f32>,
    solver: Option<GramSolver>,
    /// Whether G has moved since it was factorised.
    stale: bool,
    /// `|W|_G^2`: computed with every new G, and updated by each step.
    square: f64,
    refreshes: u16,
    /// Rows summed in one Gram matrix, and in one cross moment.
    gram_rows: f32,
    cross_rows: f32,
}

/// Direction of a stage's step.
#[derive(Debug)]
struct Direction {
    /// dW, and G dW, both `[d, C]`.
    step: Array2<f32>,
    image: Array2<f32>,
    /// Condition number of the system.
    condition: f32,
    /// What its diagonal has beside G; `None` if no system was solved.
    ridge: Option<f32>,
}

/// Movement of one stage's weights in a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StageMetrics {
    /// `|W|_G` before the step: the root mean square output.
    pub weight_norm: f32,
    /// `|dW|_G`: the root mean square change of the outputs, which is the step's dual residual per unit beta.
    pub step_norm: f32,
    /// Lower bound of the condition number of the weight system.
    pub condition: f32,
}

/// Weight updates of all stages, with their state between steps.
#[derive(Debug, Clone)]
pub(crate) struct WeightUpdate {
    params: ScheduleParams,
    /// Number of first refreshes whose factor is used at once; later factors wait for the next step.
    at_once: u16,
    stages: Vec<StageState>,
}

impl WeightUpdate {
    /// State before the first step, for batches of `batch` samples of which every hidden stage contributes
    /// `gram_rows` rows to its Gram matrix, or all of them if that is `None`.
    #[must_use]
    pub fn new(
        network: &Network,
        params: &ScheduleParams,
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
            params: params.clone(),
            at_once: u16::MAX,
            stages,
        }
    }

    /// After the first `refreshes` refreshes, uses a refreshed Gram matrix one step later, so that it can be
    /// factorised while workers compute that step: see [`WeightUpdate::settle`].
    #[must_use]
    pub fn factorise_behind(self, refreshes: u16) -> Self {
        Self {
            at_once: refreshes,
            ..self
        }
    }

    /// Whether Gram matrices are still missing; the next step must then refresh them.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.stages.iter().any(|state| state.refreshes == 0)
    }

    /// Factorises refreshed Gram matrices. Optional: the next step would do so itself, with the same result.
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

    /// One step: refreshes the running Gram matrices if `layout` has them, adds the cross moments to the
    /// momentum, solves `dW = (G + ridge mean(diag G) I)^-1 V`, and moves `weights`: hidden stages by
    /// `rate * trust` in the Gram metric, the last by `rate * output_rate` of its step. `checks` tell how
    /// well each system is solved.
    ///
    /// # Errors
    /// [`SolveError`] if sums or solutions are not finite or a system is not positive definite; `weights` are
    /// then unchanged.
    ///
    /// # Panics
    /// If `sums` does not have the layout's length, or the first step has no Gram matrices.
    pub fn step(
        &mut self,
        layout: &EquationLayout,
        sums: &[f32],
        rate: f32,
        weights: &mut Weights,
        checks: &mut SolveChecks,
    ) -> Result<Vec<StageMetrics>, SolveError> {
        self.settle(weights)?;
        let mut moved = Vec::with_capacity(self.stages.len());
        let last = self.stages.len() - 1;
        for (index, state) in self.stages.iter_mut().enumerate() {
            // A new Gram matrix may have to wait for the next step.
            let solved_with = (checks.is_due() && layout.has_gram()).then(|| state.gram.clone());
            state.absorb(&self.params, layout, index, sums)?;
            let current = weights.stage(index);
            if state.stale && state.refreshes <= self.at_once {
                state.factorise(&self.params, current, index)?;
            }
            let weight_norm = state.square.sqrt() as f32;
            let direction = state.solve(&self.params, index)?;
            let gram = solved_with.filter(|_| state.stale);
            state.check(gram.as_ref(), &direction, index, checks);
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
                StageMetrics {
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

impl WeightUpdate {
    /// Saves all state that is needed to continue with the same bits.
    pub(super) fn save(&self, memory: &mut Memory) {
        for (stage, state) in self.stages.iter().enumerate() {
            let [gram, velocity, square, refreshes, stale] = names(stage);
            let mut packed = vec![0.0; triangle_len(state.gram.nrows())];
            pack_triangle(state.gram.view(), &mut packed);
            memory.set_array(&gram, packed);
            memory.set_array(&velocity, state.velocity.iter().copied().collect());
            memory.set_number(&square, state.square.to_bits());
            memory.set_number(&refreshes, state.refreshes.into());
            memory.set_number(&stale, state.stale.into());
        }
    }

    /// Restores the state of `memory`. Factors of Gram matrices are recomputed, with the same bits.
    ///
    /// # Errors
    /// [`MemoryError`] if it belongs to another network or holds non-finite values.
    pub(super) fn restore(&mut self, memory: &Memory) -> Result<(), MemoryError> {
        for (stage, state) in self.stages.iter_mut().enumerate() {
            let [gram, velocity, square, refreshes, stale] = names(stage);
            let packed = memory.array(&gram, triangle_len(state.gram.nrows()))?;
            average_triangle(packed, 0.0, 1.0, &mut state.gram);
            let values = memory.array(&velocity, state.velocity.len())?;
            state
                .velocity
                .iter_mut()
                .zip(values)
                .for_each(|(to, from)| *to = *from);
            state.square = f64::from_bits(memory.number(&square)?);
            if !state.square.is_finite() {
                return Err(MemoryError::new(&square, "is not finite"));
            }
            state.refreshes = u16::try_from(memory.number(&refreshes)?)
                .map_err(|_| MemoryError::new(&refreshes, "cannot be"))?;
            state.stale = memory.number(&stale)? != 0;
            state.solver = None;
            if state.refreshes > 0 && !state.stale {
                let solver = GramSolver::factorise(state.gram.view(), self.params.ridge, stage);
                let solver =
                    solver.map_err(|_| MemoryError::new(&gram, "is not positive definite"))?;
                state.solver = Some(solver);
            }
        }
        Ok(())
    }
}

/// Names of one stage's entries in a memory.
fn names(stage: usize) -> [String; 5] {
    ["gram", "velocity", "square", "refreshes", "stale"].map(|part| format!("{stage}.{part}"))
}

impl StageState {
    fn absorb(
        &mut self,
        params: &ScheduleParams,
        layout: &EquationLayout,
        index: usize,
        sums: &[f32],
    ) -> Result<(), SolveError> {
        let cross = layout.cross(index, sums);
        self.velocity *= params.momentum;
        self.velocity.scaled_add(1.0 / self.cross_rows, &cross);
        if layout.has_gram() {
            // The first Gram matrices enter as a plain mean. In a decaying mean the first small sample would
            // dominate for long, and only the ridge would bound steps along the directions that it missed.
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
        params: &ScheduleParams,
        weights: ArrayView2<'_, f32>,
        index: usize,
    ) -> Result<(), SolveError> {
        let solver = GramSolver::factorise(self.gram.view(), params.ridge, index)?;
        self.solver = Some(solver);
        self.square = f64::from(gram_norm(&self.gram, weights)).powi(2);
        self.stale = false;
        Ok(())
    }

    /// Checks that `direction` solves the system of `gram`, or of the running Gram matrix.
    fn check(
        &self,
        gram: Option<&Array2<f32>>,
        direction: &Direction,
        index: usize,
        checks: &mut SolveChecks,
    ) {
        let (Some(ridge), Some(signs)) =
            (direction.ridge, checks.signs(index, self.velocity.ncols()))
        else {
            return;
        };
        let system = SymmetricSystem {
            gram: gram.unwrap_or(&self.gram).view(),
            ridge,
            right: self.velocity.view(),
            solution: direction.step.view(),
        };
        checks.record(index, system_amount(&system, &signs));
    }

    fn solve(&self, params: &ScheduleParams, index: usize) -> Result<Direction, SolveError> {
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
                    ridge: Some(solver.ridge()),
                })
            }
            (Some(_), Metric::Identity) => {
                // The scale is that of the least-squares step for uncorrelated inputs.
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
                    ridge: None,
                })
            }
        }
    }
}

/// `<a, b>` of two matrices of one shape.
fn dot(a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>) -> f64 {
    // One running sum per column: the sums of a row are independent and vectorise.
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
mod tests;
