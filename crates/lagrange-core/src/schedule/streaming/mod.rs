//! Streaming ADMM: forward-reset sweeps over mini-batches, with running Gram matrices and momentum at the
//! coordinator.
//!
//! For a batch, each shard passes its samples forward with the current W, so that every constraint starts
//! satisfied; minimises over z_L, then backwards over a_l and z_l; and sums the correction equations
//! `[T(a_{l-1}) | z_l - m_l]`. The coordinator solves them for a weight step (`WeightUpdate`) and updates the
//! multipliers. A step is one round.

mod balance;
mod collect;
mod coordinator;

use self::collect::Draws;
use self::coordinator::StreamingCoordinator;
use super::sweep::{BLOCK, Sweep};
use super::{
    CoordinatorHalf, Cut, Round, Schedule, ScheduleParams, ShardInput, ShardOutput, ShardState,
    Sizes, SolverKind, WorkerHalf,
};
use crate::equations::EquationLayout;
use crate::forward::Forward;
use crate::network::Network;
use crate::residual::StepScalars;
use crate::solver::{Block, Collected, CrossMoments};

/// The streaming schedule of one run.
#[derive(Debug, Clone)]
pub struct Streaming {
    params: ScheduleParams,
    network: Network,
    cut: Cut,
    /// Layouts of the sums without and with Gram triangles.
    layouts: [EquationLayout; 2],
}

impl Streaming {
    /// The streaming schedule of `network`, with `cut` samples in a step.
    #[must_use]
    pub fn new(params: &ScheduleParams, network: &Network, cut: Cut) -> Self {
        Self {
            params: params.clone(),
            network: network.clone(),
            cut,
            layouts: [false, true].map(|gram| EquationLayout::new(network, gram)),
        }
    }

    /// Layout of the sums of `round`.
    #[must_use]
    pub fn layout(&self, round: Round) -> &EquationLayout {
        &self.layouts[usize::from(round.gram)]
    }
}

impl Schedule for Streaming {
    fn sizes(&self, round: Round) -> Option<Sizes> {
        let residuals = self.cut.samples * self.network.outputs();
        (round.stage == 0).then(|| Sizes {
            // The factor of beta_L follows the weights.
            shared: self.network.weights() + 1,
            rows_in: residuals,
            sums: self.layout(round).len(),
            scalars: StepScalars::count(self.network.len()),
            rows_out: residuals,
        })
    }

    fn next(&self, round: Round) -> (u64, usize) {
        (round.step + 1, 0)
    }

    fn is_stateful(&self) -> bool {
        false
    }

    fn worker(&self) -> Box<dyn WorkerHalf> {
        Box::new(StreamingWorker {
            sweep: Sweep::new(&self.network, &self.params, self.cut.shards),
            cross: CrossMoments::new(&self.network),
            draws: Draws::new(&self.params, &self.network, self.cut.shards),
            schedule: self.clone(),
        })
    }

    fn coordinator(&self) -> Box<dyn CoordinatorHalf> {
        Box::new(StreamingCoordinator::new(self.clone()))
    }
}

/// Worker half of the streaming schedule, with its buffers.
///
/// A shard's samples go through the whole sweep in blocks that fit the processor's cache; only sums and drawn
/// rows outlive a block.
#[derive(Debug, Clone)]
struct StreamingWorker {
    schedule: Streaming,
    sweep: Sweep,
    cross: CrossMoments,
    draws: Draws,
}

impl WorkerHalf for StreamingWorker {
    fn forward(&mut self) -> &mut Forward {
        &mut self.sweep.forward
    }

    fn run(
        &mut self,
        round: Round,
        input: &ShardInput<'_>,
        _: Option<&mut ShardState>,
        output: ShardOutput<'_>,
    ) -> StepScalars {
        let layout = self.schedule.layout(round);
        assert_eq!(output.sums.len(), layout.len(), "sums of all stages");
        let network = &self.schedule.network;
        let (image, outputs) = (network.input().len(), network.outputs());
        let samples = input.images.len() / image;
        let params = &self.schedule.params;
        let [factor] = *input.shared else {
            panic!("the factor of the last stage's penalty")
        };
        self.sweep.penalties.beta_output = params.beta_output * factor;
        // The draws overwrite the triangles.
        layout.crosses_mut(output.sums).fill(0.0);
        let mut scalars = StepScalars::zeros(network.len());
        self.draws.begin(round, samples, input.key);
        self.sweep.inspector.begin(round, input, samples);
        // With sampled equations every sample may be drawn, so none can be skipped.
        let drawn = params.solver == SolverKind::Sampled;
        for start in (0..samples).step_by(BLOCK) {
            let part = input.part(start..samples.min(start + BLOCK), image, outputs);
            let residuals = &mut output.rows[start * outputs..][..part.targets.len()];
            self.sweep
                .inspector
                .enter(start..start + part.positions.len());
            self.sweep
                .run_from_forward(&part, drawn, residuals, &mut scalars);
            let block = Block {
                start,
                forward: &self.sweep.forward,
                corrections: &self.sweep.corrections,
                moved: &self.sweep.moved,
            };
            if !drawn {
                self.cross.take(0..network.len(), &block);
            }
            self.draws.take(&block);
        }
        let mut collected = Collected {
            layout,
            sums: output.sums,
            rows: &mut [],
        };
        if !drawn {
            self.cross.finish(0..network.len(), &mut collected);
        }
        self.draws.finish(&mut collected);
        *output.checks = self.sweep.inspector.finish();
        scalars
    }
}
