//! Classic ADMM: z and a persist from step to step and are swept layer by layer, as in Taylor et al. 2016.
//!
//! In Taylor's order a step takes a round per stage and one more: the coordinator solves W_l from the
//! equations `[T(a_{l-1}) | z_l]`, then the workers move a_l and z_l, then W_{l+1} is due; z_L comes last.
//! Output-first, the workers move z_L, then a_l and z_l backwards, in one round, and the coordinator solves
//! every stage from it. With a forward reset in every step its updates of z and a are those of the streaming
//! schedule.

mod coordinator;
mod solve;
mod worker;

use self::coordinator::ClassicCoordinator;
use self::worker::ClassicWorker;
use super::{
    BlockOrder, ClassicParams, CoordinatorHalf, Cut, Round, Schedule, ScheduleParams, Sizes,
    SolverKind, WorkerHalf,
};
use crate::equations::EquationLayout;
use crate::network::{Network, Stage};
use crate::residual::StepScalars;
use crate::solver::{Gram, PseudoInverse, Sampled, Solver, place};
use std::ops::Range;
use std::sync::Arc;

/// The classic schedule of one run.
#[derive(Debug, Clone)]
pub struct Classic {
    params: ScheduleParams,
    classic: ClassicParams,
    network: Network,
    cut: Cut,
    solver: Arc<dyn Solver>,
}

impl Classic {
    /// The classic schedule of `network`, with `cut` samples in a step.
    #[must_use]
    pub fn new(
        params: &ScheduleParams,
        classic: &ClassicParams,
        network: &Network,
        cut: Cut,
    ) -> Self {
        let solver: Arc<dyn Solver> = match params.solver {
            SolverKind::Gram => Arc::new(Gram {
                ridge: params.ridge,
            }),
            SolverKind::Sampled => Arc::new(Sampled {
                equations: params.equations,
                screen: classic.screen,
            }),
            SolverKind::PseudoInverse => Arc::new(PseudoInverse),
        };
        Self {
            params: params.clone(),
            classic: classic.clone(),
            network: network.clone(),
            cut,
            solver,
        }
    }

    /// Whether `round` moves z_L, and so takes multipliers and gives residuals. In Taylor's order, round l
    /// moves a_{l-1} and z_{l-1} and then collects stage l; the round after the last stage moves z_L.
    fn moves_outputs(&self, round: Round) -> bool {
        self.classic.order != BlockOrder::Taylor || round.stage == self.network.len()
    }

    /// Stages whose equations `round` collects.
    fn collects(&self, round: Round) -> Range<usize> {
        let stages = self.network.len();
        match self.classic.order {
            BlockOrder::OutputFirst | BlockOrder::InputFirst => 0..stages,
            BlockOrder::Taylor => round.stage.min(stages)..(round.stage + 1).min(stages),
        }
    }

    /// Layout of the sums of `round`: those of the stages collected, for a solver that takes sums and for
    /// audits.
    #[must_use]
    pub fn layout(&self, round: Round) -> EquationLayout {
        let sums = self.solver.takes_sums() || round.gram;
        let stages = if sums { self.collects(round) } else { 0..0 };
        EquationLayout::of_stages(&self.network, stages, sums)
    }

    /// Number of values of the equations that a shard sends in `round`.
    fn equations(&self, round: Round) -> usize {
        let stages = &self.network.stages()[self.collects(round)];
        let values = |(number, stage): (usize, &Stage)| {
            let (_, width) = place(&*self.solver, stages, number, self.cut.shards);
            self.solver.rows_per_shard(stage, self.cut.shards) * width
        };
        stages.iter().enumerate().map(values).sum()
    }
}

impl Schedule for Classic {
    fn sizes(&self, round: Round) -> Option<Sizes> {
        let last = match self.classic.order {
            BlockOrder::Taylor => self.network.len(),
            BlockOrder::OutputFirst | BlockOrder::InputFirst => 0,
        };
        if round.stage > last {
            return None;
        }
        let residuals = match self.moves_outputs(round) {
            true => self.cut.samples * self.network.outputs(),
            false => 0,
        };
        Some(Sizes {
            shared: self.network.weights(),
            rows_in: residuals,
            sums: self.layout(round).len(),
            scalars: StepScalars::count(self.network.len()),
            rows_out: residuals + self.equations(round),
        })
    }

    fn next(&self, round: Round) -> (u64, usize) {
        match self.classic.order {
            BlockOrder::Taylor if round.stage < self.network.len() => (round.step, round.stage + 1),
            _ => (round.step + 1, 0),
        }
    }

    fn is_stateful(&self) -> bool {
        !self.classic.is_stateless()
    }

    fn worker(&self) -> Box<dyn WorkerHalf> {
        Box::new(ClassicWorker::new(self.clone()))
    }

    fn coordinator(&self) -> Box<dyn CoordinatorHalf> {
        Box::new(ClassicCoordinator::new(self.clone()))
    }
}
