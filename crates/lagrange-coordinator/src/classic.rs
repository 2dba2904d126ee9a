//! The rounds of classic steps: which is next, and what its equations do to the weights.

use lagrange_core::equations::matrix;
use lagrange_core::network::{Network, Stage};
use lagrange_core::schedule::classic::{
    FullUpdate, Order, StageSolve, SweepParams, SweepRound, rows_per_shard, sweep_layout,
};
use lagrange_core::schedule::streaming::{StageReport, UpdateParams, WeightUpdate};
use lagrange_core::solver::SolveError;
use lagrange_core::weights::Weights;
use serde::{Deserialize, Serialize};

/// What becomes of a stage's equations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassicUpdate {
    /// They are solved for the weights themselves.
    #[default]
    Solve,
    /// They are solved for a step, with momentum and trust region, as in the streaming schedule.
    Step,
}

/// The coordinator's side of the classic schedule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassicPlan {
    /// What the workers are told.
    pub sweep: SweepParams,
    /// What becomes of equations.
    pub update: ClassicUpdate,
    /// Every so many steps the solutions are compared with the full ones; 0 for never.
    pub audit_every: u64,
}

#[derive(Debug)]
enum Update {
    Solve(FullUpdate),
    Step(Box<WeightUpdate>),
}

/// Classic steps in progress.
#[derive(Debug)]
pub(crate) struct ClassicSteps {
    plan: ClassicPlan,
    network: Network,
    /// Samples of a step.
    batch: usize,
    update: Update,
    /// The next round of the step in hand.
    stage: usize,
    /// Scalars of the step's rounds so far.
    scalars: Vec<f64>,
    solves: Vec<StageSolve>,
}

/// What a whole step came to.
#[derive(Debug)]
pub(crate) struct StepDone {
    pub(crate) scalars: Vec<f64>,
    pub(crate) stages: Vec<StageReport>,
    pub(crate) solves: Vec<StageSolve>,
    /// Equations per output that each stage was fitted to.
    pub(crate) equations: Vec<usize>,
}

impl ClassicSteps {
    /// For steps over `batch` samples.
    pub(crate) fn new(
        plan: ClassicPlan,
        network: &Network,
        params: UpdateParams,
        batch: usize,
    ) -> Self {
        Self {
            update: match plan.update {
                ClassicUpdate::Solve => {
                    Update::Solve(FullUpdate::new(network, &plan.sweep, batch, params.ridge))
                }
                ClassicUpdate::Step => {
                    Update::Step(Box::new(WeightUpdate::new(network, params, batch, None)))
                }
            },
            plan,
            network: network.clone(),
            batch,
            stage: 0,
            scalars: Vec::new(),
            solves: Vec::new(),
        }
    }

    pub(crate) fn round(&self, step: u64) -> SweepRound {
        let every = self.plan.audit_every;
        SweepRound {
            step,
            stage: self.stage,
            audit: every > 0 && step.is_multiple_of(every),
        }
    }

    /// Factor of the penalties beta in `step`.
    pub(crate) fn penalty_factor(&self, step: u64) -> f32 {
        self.plan.sweep.penalty_factor(step)
    }

    /// Whether no step is half done.
    pub(crate) fn is_between_steps(&self) -> bool {
        self.stage == 0 && self.scalars.is_empty()
    }

    /// The update that has a memory, if this one has.
    pub(crate) fn update(&self) -> Option<&WeightUpdate> {
        match &self.update {
            Update::Solve(_) => None,
            Update::Step(update) => Some(update),
        }
    }

    /// [`ClassicSteps::update`], to change.
    pub(crate) fn update_mut(&mut self) -> Option<&mut WeightUpdate> {
        match &mut self.update {
            Update::Solve(_) => None,
            Update::Step(update) => Some(update),
        }
    }

    /// Whether `round` gives residuals.
    pub(crate) fn moves_outputs(&self, round: SweepRound) -> bool {
        round.moves_outputs(self.plan.sweep.order, self.network.len())
    }

    /// Whether z and a on the workers outlive a step.
    pub(crate) fn is_stateful(&self) -> bool {
        !self.plan.sweep.is_stateless()
    }

    /// Whether the objective is that of a sweep from first to last.
    pub(crate) fn sweeps_forward(&self) -> bool {
        self.plan.sweep.order != Order::OutputFirst
    }

    /// Equations per output that each stage of a step was fitted to: those of its solve, or every row.
    fn equations(&self, solves: &[StageSolve]) -> Vec<usize> {
        let rows = |stage: &Stage| self.batch * stage.rows();
        match &self.update {
            Update::Solve(_) => solves.iter().map(|solve| solve.rows).collect(),
            Update::Step(_) => self.network.stages().iter().map(rows).collect(),
        }
    }

    /// Takes a round's sums, scalars and each shard's equations; returns the whole step if this was its last round.
    pub(crate) fn absorb(
        &mut self,
        round: SweepRound,
        (sums, scalars): (&[f32], &[f64]),
        equations: &[&[f32]],
        rate: f32,
        weights: &mut Weights,
    ) -> Result<Option<StepDone>, SolveError> {
        if self.scalars.is_empty() {
            self.scalars = vec![0.0; scalars.len()];
        }
        for (sum, value) in self.scalars.iter_mut().zip(scalars) {
            *sum += value;
        }
        let layout = sweep_layout(&self.network, &self.plan.sweep, round);
        let order = self.plan.sweep.order;
        let mut stages = Vec::new();
        match &mut self.update {
            Update::Step(update) => stages = update.step(&layout, sums, rate, weights)?,
            Update::Solve(update) => {
                let mut taken = 0;
                for index in round.collects(order, self.network.len()) {
                    let stage = &self.network.stages()[index];
                    let width = stage.unknowns() + stage.conv.channels;
                    let share = rows_per_shard(stage, &self.plan.sweep, equations.len()) * width;
                    let rows: Vec<f32> = equations
                        .iter()
                        .flat_map(|rows| &rows[taken..taken + share])
                        .copied()
                        .collect();
                    taken += share;
                    let rows = matrix(&rows, rows.len() / width, width);
                    let solve = update.solve(index, &layout, sums, rows, weights)?;
                    self.solves.push(solve);
                }
            }
        }
        if order == Order::Taylor && round.stage < self.network.len() {
            self.stage += 1;
            return Ok(None);
        }
        self.stage = 0;
        let solves = std::mem::take(&mut self.solves);
        let equations = self.equations(&solves);
        if stages.is_empty() {
            stages = solves.iter().map(report_of).collect();
        }
        Ok(Some(StepDone {
            scalars: std::mem::take(&mut self.scalars),
            stages,
            solves,
            equations,
        }))
    }
}

fn report_of(solve: &StageSolve) -> StageReport {
    StageReport {
        weight_norm: solve.weight_norm as f32,
        step_norm: solve.step_norm as f32,
        condition: solve.condition as f32,
    }
}
