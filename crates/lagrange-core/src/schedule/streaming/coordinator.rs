//! The coordinator's half of the streaming schedule.

use super::Streaming;
use super::balance::Balance;
use crate::check::SolveChecks;
use crate::network::Stage;
use crate::penalties::Penalties;
use crate::residual::StepScalars;
use crate::schedule::{
    CoordinatorHalf, Memory, MemoryError, Round, SolverKind, StageMetrics, StepDone, Totals,
    WeightUpdate,
};
use crate::solver::SolveError;
use crate::weights::Weights;

/// Number of first steps that refresh the Gram matrices regardless of `gram_every`: the rows sampled from one
/// batch do not cover the next.
const GRAM_WARM_UP: u16 = 8;

/// State of the streaming steps: weight updates, and the factor of the last penalty.
#[derive(Debug, Clone)]
pub(super) struct StreamingCoordinator {
    schedule: Streaming,
    update: WeightUpdate,
    balance: Balance,
}

impl StreamingCoordinator {
    pub(super) fn new(schedule: Streaming) -> Self {
        let batch = schedule.cut.shards * schedule.cut.samples;
        let gram_rows = Some(schedule.params.gram_rows);
        let update = WeightUpdate::new(&schedule.network, &schedule.params, batch, gram_rows);
        Self {
            update: update.factorise_behind(GRAM_WARM_UP),
            balance: Balance::new(schedule.params.balance),
            schedule,
        }
    }

    /// Toeplitz rows, hence equations per output, that each stage of a step is fitted to.
    fn equations(&self) -> Vec<usize> {
        let (params, cut) = (&self.schedule.params, self.schedule.cut);
        let of_stage = |stage: &Stage| {
            let all = cut.samples * stage.rows();
            let drawn = params.equations / cut.shards as f32 * stage.unknowns() as f32;
            cut.shards
                * match params.solver {
                    SolverKind::Sampled => all.min(drawn.ceil() as usize),
                    SolverKind::Gram | SolverKind::PseudoInverse => all,
                }
        };
        self.schedule
            .network
            .stages()
            .iter()
            .map(of_stage)
            .collect()
    }

    fn balance(&mut self, scalars: &StepScalars, stages: &[StageMetrics], beta_output: f32) {
        let cut = self.schedule.cut;
        let values = cut.shards * cut.samples * self.schedule.network.outputs();
        if let (Some(primal), Some(last)) = (scalars.output.last(), stages.last()) {
            let dual = f64::from(beta_output * last.step_norm);
            self.balance.absorb((primal / values as f64).sqrt(), dual);
        }
    }
}

impl CoordinatorHalf for StreamingCoordinator {
    fn round(&self, step: u64) -> Round {
        let gram = step < GRAM_WARM_UP.into()
            || step.is_multiple_of(self.schedule.params.gram_every)
            // After a divergence, training may restart from its first step.
            || self.update.is_new();
        Round {
            step,
            stage: 0,
            gram,
        }
    }

    fn shared(&self, _: Round) -> Vec<f32> {
        vec![self.balance.factor()]
    }

    fn penalties(&self, _: u64) -> Penalties {
        let penalties = self.schedule.params.penalties();
        Penalties {
            beta_output: penalties.beta_output * self.balance.factor(),
            ..penalties
        }
    }

    fn is_between_steps(&self) -> bool {
        true
    }

    fn prepare(&mut self, weights: &Weights) {
        // An error occurs again in the step, which reports it.
        let _ = self.update.settle(weights);
    }

    fn absorb(
        &mut self,
        round: Round,
        totals: &Totals<'_>,
        rate: f32,
        weights: &mut Weights,
    ) -> Result<Option<StepDone>, SolveError> {
        let layout = self.schedule.layout(round);
        let mut checks = SolveChecks::of_step(&self.schedule.params, round.step);
        let stages = self
            .update
            .step(layout, totals.sums, rate, weights, &mut checks)?;
        let penalties = self.penalties(round.step);
        self.balance(totals.scalars, &stages, penalties.beta_output);
        Ok(Some(StepDone {
            scalars: totals.scalars.clone(),
            objective: totals.scalars.objective(&penalties),
            penalties,
            stages,
            solves: Vec::new(),
            equations: self.equations(),
            checks: checks.finish(),
        }))
    }

    fn fork(&self) -> Option<Box<dyn CoordinatorHalf>> {
        Some(Box::new(self.clone()))
    }

    fn memory(&self) -> Memory {
        let mut memory = Memory::default();
        self.update.save(&mut memory);
        memory.set_number("balance", self.balance.factor().to_bits().into());
        memory
    }

    fn restore(&mut self, memory: &Memory) -> Result<(), MemoryError> {
        self.update.restore(memory)?;
        let factor = u32::try_from(memory.number("balance")?).map(f32::from_bits);
        match factor.is_ok_and(|factor| self.balance.set_factor(factor)) {
            true => Ok(()),
            false => Err(MemoryError::new("balance", "cannot be")),
        }
    }
}
