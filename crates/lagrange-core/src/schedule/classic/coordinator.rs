//! The coordinator's half of the classic schedule.

use super::Classic;
use super::solve::Solved;
use crate::check::SolveChecks;
use crate::network::Stage;
use crate::penalties::Penalties;
use crate::residual::StepScalars;
use crate::schedule::{
    BlockOrder, ClassicUpdate, CoordinatorHalf, Memory, MemoryError, Round, StepDone, Totals,
    WeightUpdate,
};
use crate::solver::SolveError;
use crate::weights::Weights;

/// State of the classic steps.
#[derive(Debug)]
pub(super) struct ClassicCoordinator {
    schedule: Classic,
    /// Weight update, if weights move by steps.
    update: Option<WeightUpdate>,
    /// Next round of the current step.
    stage: usize,
    /// Scalars of the step's rounds so far.
    scalars: StepScalars,
    solved: Vec<Solved>,
    checks: SolveChecks,
}

impl ClassicCoordinator {
    pub(super) fn new(schedule: Classic) -> Self {
        let batch = schedule.cut.shards * schedule.cut.samples;
        let update = || WeightUpdate::new(&schedule.network, &schedule.params, batch, None);
        Self {
            update: (schedule.classic.update == ClassicUpdate::Step).then(update),
            stage: 0,
            scalars: StepScalars::zeros(schedule.network.len()),
            solved: Vec::new(),
            checks: SolveChecks::default(),
            schedule,
        }
    }

    /// Result of the step after its last round; `moved` is the movement of stages that took steps.
    fn done(&mut self, step: u64, moved: Vec<crate::schedule::StageMetrics>) -> StepDone {
        let Self { schedule, .. } = self;
        let none = StepScalars::zeros(schedule.network.len());
        let scalars = std::mem::replace(&mut self.scalars, none);
        let solved = std::mem::take(&mut self.solved);
        let penalties = schedule.penalties(step);
        let batch = schedule.cut.shards * schedule.cut.samples;
        let all = |stage: &Stage| batch * stage.rows();
        StepDone {
            objective: match schedule.classic.order {
                BlockOrder::OutputFirst => scalars.objective(&penalties),
                BlockOrder::Taylor | BlockOrder::InputFirst => {
                    scalars.objective_forward(&penalties)
                }
            },
            scalars,
            penalties,
            equations: match &self.update {
                Some(_) => schedule.network.stages().iter().map(all).collect(),
                None => solved.iter().map(|solved| solved.equations).collect(),
            },
            stages: match &self.update {
                Some(_) => moved,
                None => solved.iter().map(|solved| solved.report).collect(),
            },
            solves: solved.iter().map(|solved| solved.solve).collect(),
            checks: self.checks.finish(),
        }
    }
}

impl Classic {
    /// Penalties in `step`.
    pub(super) fn penalties(&self, step: u64) -> Penalties {
        let (penalties, factor) = (self.params.penalties(), self.classic.penalty_factor(step));
        Penalties {
            beta: penalties.beta * factor,
            beta_output: penalties.beta_output * factor,
            ..penalties
        }
    }
}

impl CoordinatorHalf for ClassicCoordinator {
    fn round(&self, step: u64) -> Round {
        let every = self.schedule.classic.audit_every;
        Round {
            step,
            stage: self.stage,
            gram: every > 0 && step.is_multiple_of(every),
        }
    }

    fn shared(&self, _: Round) -> Vec<f32> {
        Vec::new()
    }

    fn penalties(&self, step: u64) -> Penalties {
        self.schedule.penalties(step)
    }

    fn is_between_steps(&self) -> bool {
        self.stage == 0
    }

    fn prepare(&mut self, _: &Weights) {}

    fn absorb(
        &mut self,
        round: Round,
        totals: &Totals<'_>,
        rate: f32,
        weights: &mut Weights,
    ) -> Result<Option<StepDone>, SolveError> {
        self.scalars.add(totals.scalars);
        if round.stage == 0 {
            self.checks = SolveChecks::of_step(&self.schedule.params, round.step);
        }
        let (checks, mut moved) = (&mut self.checks, Vec::new());
        match &mut self.update {
            Some(update) => {
                let layout = self.schedule.layout(round);
                moved = update.step(&layout, totals.sums, rate, weights, checks)?;
            }
            None => self
                .solved
                .extend(self.schedule.solve(round, totals, weights, checks)?),
        }
        let (step, stage) = crate::schedule::Schedule::next(&self.schedule, round);
        self.stage = stage;
        Ok((step > round.step).then(|| self.done(round.step, moved)))
    }

    /// `None`: every step solves anew, so there is nothing to return to.
    fn fork(&self) -> Option<Box<dyn CoordinatorHalf>> {
        None
    }

    fn memory(&self) -> Memory {
        let mut memory = Memory::default();
        if let Some(update) = &self.update {
            update.save(&mut memory);
        }
        memory
    }

    fn restore(&mut self, memory: &Memory) -> Result<(), MemoryError> {
        match &mut self.update {
            Some(update) => update.restore(memory),
            None => Ok(()),
        }
    }
}
