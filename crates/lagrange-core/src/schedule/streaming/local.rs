//! What a worker does with a step: one shard's sweep and its sums.

use super::StepParams;
use super::drawn::Drawn;
use crate::activation::ActivationSolver;
use crate::equations::EquationLayout;
use crate::forward::Forward;
use crate::network::Network;
use crate::pooling::{PoolResidual, Pooling};
use crate::residual::StepScalars;
use crate::schedule::Outputs;
use crate::weights::Weights;

/// Samples that go through a sweep together: their inputs, outputs and corrections stay in a core's own cache.
const BLOCK: usize = 8;

/// One shard's share of a batch: n samples.
#[derive(Debug, Clone, Copy)]
pub struct StepInput<'a> {
    /// Current weights of all stages.
    pub weights: &'a Weights,
    /// Normalised samples, `[n, H, W, C]`.
    pub images: &'a [f32],
    /// Targets y, `[n, O]`, each +1 or -1.
    pub targets: &'a [f32],
    /// Multipliers of these samples, `[n, O]`.
    pub multipliers: &'a [f32],
    /// Factor of the last stage's penalty in this step.
    pub penalty_factor: f32,
    /// Key of the row sampling: (seed, shard, step).
    pub key: (u64, u64, u64),
}

/// Where a shard's step leaves its results.
#[derive(Debug)]
pub struct StepOutput<'a> {
    /// Sums in the layout given, overwritten.
    pub sums: &'a mut [f32],
    /// Output residuals z_L - m_L, `[n, O]`, overwritten.
    pub residuals: &'a mut [f32],
}

/// A shard's step with all its buffers, reused from step to step.
///
/// A shard's samples go through the whole sweep in blocks that fit the processor's cache; only sums and drawn rows outlive a block.
#[derive(Debug, Clone)]
pub struct LocalStep {
    network: Network,
    params: StepParams,
    /// `params` with this step's penalties.
    current: StepParams,
    forward: Forward,
    pooling: Pooling,
    /// z_l - m_l per stage.
    corrections: Vec<Vec<f32>>,
    /// Updated activation of the hidden stage in hand.
    updated: Vec<f32>,
    solvers: Vec<ActivationSolver>,
    drawn: Drawn,
}

impl LocalStep {
    /// Buffers for the steps of one shard at a time.
    #[must_use]
    pub fn new(network: &Network, params: StepParams) -> Self {
        let stages = network.stages();
        let widest = stages.iter().map(|stage| stage.output.len()).max();
        Self {
            network: network.clone(),
            params,
            current: params,
            forward: Forward::new(network, BLOCK),
            pooling: Pooling::new(network.activation(), params.staircase),
            corrections: stages
                .iter()
                .map(|stage| vec![0.0; BLOCK * stage.conv.len()])
                .collect(),
            updated: vec![0.0; BLOCK * widest.unwrap_or(0)],
            solvers: stages[1..]
                .iter()
                .map(|stage| ActivationSolver::new(stage, params.activation))
                .collect(),
            drawn: Drawn::new(network),
        }
    }

    /// The forward pass's buffers, for rounds that need nothing else.
    pub fn forward(&mut self) -> &mut Forward {
        &mut self.forward
    }

    /// One shard's sweep: forward pass, z_L, then a_l and z_l backwards, then the equations' sums.
    ///
    /// # Panics
    /// If a slice does not have the length its documentation gives.
    pub fn run(
        &mut self,
        layout: &EquationLayout,
        input: &StepInput<'_>,
        output: StepOutput<'_>,
    ) -> StepScalars {
        assert_eq!(output.sums.len(), layout.len(), "sums of all stages");
        let (image, outputs) = (self.network.input().len(), self.network.outputs());
        let samples = input.images.len() / image;
        self.current.beta_output = self.params.beta_output * input.penalty_factor;
        self.forward.load(input.weights);
        output.sums.fill(0.0);
        let mut scalars = StepScalars::zeros(self.network.len());
        self.drawn
            .begin(&self.params, layout.has_gram(), samples, input.key);
        for start in (0..samples).step_by(BLOCK) {
            let end = samples.min(start + BLOCK);
            let per_output = start * outputs..end * outputs;
            let block = StepInput {
                images: &input.images[start * image..end * image],
                targets: &input.targets[per_output.clone()],
                multipliers: &input.multipliers[per_output.clone()],
                ..*input
            };
            self.sweep(&block, &mut output.residuals[per_output], &mut scalars);
            self.collect(layout, start, output.sums);
        }
        self.drawn.finish(&self.params, layout, output.sums);
        scalars
    }

    fn sweep(&mut self, input: &StepInput<'_>, residuals: &mut [f32], scalars: &mut StepScalars) {
        self.forward.run(input.images);
        self.update_outputs(input, residuals, scalars);
        for index in (0..self.network.len() - 1).rev() {
            scalars.coupling[index] += self.update_activation(index);
            let residual = self.update_hidden_outputs(index);
            scalars.output[index] += residual.output;
            scalars.activation[index] += residual.activation;
        }
    }

    /// The last output update: z_L by the loss's prox.
    fn update_outputs(
        &mut self,
        input: &StepInput<'_>,
        residuals: &mut [f32],
        scalars: &mut StepScalars,
    ) {
        let last = self.network.len() - 1;
        let outputs = Outputs {
            m: self.forward.m(last),
            targets: input.targets,
            multipliers: input.multipliers,
        };
        let loss = (self.current.loss, self.current.beta_output);
        // z_L itself is of no further use here: its buffer takes the corrections.
        let z = &mut self.corrections[last][..outputs.m.len()];
        outputs.update(loss, z, residuals, scalars);
        z.copy_from_slice(residuals);
    }

    /// The activation update of hidden stage `index`, from the corrections of the stage that consumes it. Returns what is left
    /// of that stage's output residual.
    fn update_activation(&mut self, index: usize) -> f64 {
        let consumer = index + 1;
        let stage = &self.network.stages()[consumer];
        let h = self.forward.a(index);
        let updated = &mut self.updated[..h.len()];
        updated.copy_from_slice(h);
        let penalty = self
            .current
            .activation_penalty(consumer + 1 == self.network.len());
        let convolution = self.forward.convolution(consumer);
        let corrections = self.corrections[consumer].chunks_exact(stage.conv.len());
        let samples = updated.chunks_exact_mut(stage.input.len());
        samples
            .zip(corrections)
            .map(|(a, dz)| self.solvers[index].update(convolution, dz, penalty, a))
            .sum()
    }

    /// The output update of hidden stage `index`, from the updated activation.
    fn update_hidden_outputs(&mut self, index: usize) -> PoolResidual {
        let stage = &self.network.stages()[index];
        let m = self.forward.m(index);
        self.pooling.prox(
            stage.conv,
            self.params.pool_penalty(),
            m,
            &self.updated[..self.forward.samples() * stage.output.len()],
            &mut self.corrections[index][..m.len()],
        )
    }

    /// Adds the block's cross moments T'(z - m), or takes the equations drawn from it; `start` is its first sample.
    fn collect(&mut self, layout: &EquationLayout, start: usize, sums: &mut [f32]) {
        for index in 0..self.network.len() {
            let length = self.forward.m(index).len();
            let dz = &self.corrections[index][..length];
            if self.params.equations == 0.0 {
                let cross = layout.cross_slice_mut(index, sums);
                self.forward.add_cross(index, dz, cross);
            }
            self.drawn.take(index, start, &self.forward, dz);
        }
    }
}
