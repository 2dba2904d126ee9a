//! What a worker does with a step: one shard's sweep and its sums.

use super::StepParams;
use super::drawn::Drawn;
use crate::activation::ActivationSolver;
use crate::convolution::CrossMoment;
use crate::equations::EquationLayout;
use crate::forward::Forward;
use crate::network::Network;
use crate::pooling::Pooling;
use crate::residual::StepScalars;
use crate::schedule::Outputs;
use crate::weights::Weights;

/// Samples that go through a sweep together: their inputs, outputs and corrections stay in a core's own cache.
const BLOCK: usize = 8;

/// One shard's share of a batch: n samples.
#[derive(Debug, Clone, Copy)]
pub struct StepInput<'a> {
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
    /// z_l - m_l per stage, of the samples in `moved`.
    corrections: Vec<Vec<f32>>,
    /// Samples of the block whose outputs moved. The others satisfy everything as they are: the minimiser over each of their blocks is where
    /// the forward pass left it, and all their corrections are zero.
    moved: Vec<usize>,
    /// Updated activation of one sample, in the hidden stage in hand.
    updated: Vec<f32>,
    solvers: Vec<ActivationSolver>,
    cross: Vec<CrossMoment>,
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
            moved: Vec::with_capacity(BLOCK),
            updated: vec![0.0; widest.unwrap_or(0)],
            solvers: stages[1..]
                .iter()
                .map(|stage| ActivationSolver::new(stage, params.activation))
                .collect(),
            cross: stages.iter().map(CrossMoment::new).collect(),
            drawn: Drawn::new(network),
        }
    }

    /// The forward pass's buffers, for rounds that need nothing else.
    pub fn forward(&mut self) -> &mut Forward {
        &mut self.forward
    }

    /// Takes the weights of the steps to come.
    pub fn load(&mut self, weights: &Weights) {
        self.forward.load(weights);
    }

    /// One shard's sweep with the weights loaded last: forward pass, z_L, then a_l and z_l backwards, then the equations' sums.
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
        // Triangles are written whole.
        layout.crosses_mut(output.sums).fill(0.0);
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
            self.collect(start);
        }
        for (index, cross) in self.cross.iter_mut().enumerate() {
            cross.drain(layout.cross_slice_mut(index, output.sums));
        }
        self.drawn.finish(&self.params, layout, output.sums);
        scalars
    }

    fn sweep(&mut self, input: &StepInput<'_>, residuals: &mut [f32], scalars: &mut StepScalars) {
        self.forward.run(input.images);
        self.update_outputs(input, residuals, scalars);
        for index in (0..self.network.len() - 1).rev() {
            for number in 0..self.moved.len() {
                self.update_hidden(index, self.moved[number], scalars);
            }
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
        self.moved.clear();
        let samples = residuals.chunks_exact(self.network.outputs()).enumerate();
        // Drawn equations are copied from wherever they fall.
        let all = self.params.equations > 0.0;
        let moved = samples.filter(|(_, dz)| all || dz.iter().any(|&dz| dz != 0.0));
        self.moved.extend(moved.map(|(sample, _)| sample));
    }

    /// The activation update of hidden stage `index` for one sample, from the corrections of the stage that consumes it, and then its output
    /// update.
    fn update_hidden(&mut self, index: usize, sample: usize, scalars: &mut StepScalars) {
        let (stage, consumer) = (
            &self.network.stages()[index],
            &self.network.stages()[index + 1],
        );
        let (before, after) = self.corrections.split_at_mut(index + 1);
        let consumed = of_sample(&after[0], consumer.conv.len(), sample);
        let updated = &mut self.updated[..stage.output.len()];
        updated.copy_from_slice(of_sample(self.forward.a(index), stage.output.len(), sample));
        let penalty = self
            .current
            .activation_penalty(index + 2 == self.network.len());
        let convolution = self.forward.convolution(index + 1);
        scalars.coupling[index] +=
            self.solvers[index].update(convolution, consumed, penalty, updated);
        let residual = self.pooling.prox(
            stage.conv,
            self.params.pool_penalty(),
            of_sample(self.forward.m(index), stage.conv.len(), sample),
            updated,
            &mut before[index][sample * stage.conv.len()..][..stage.conv.len()],
        );
        scalars.output[index] += residual.output;
        scalars.activation[index] += residual.activation;
    }

    /// Adds the block's cross moments T'(z - m), or takes the equations drawn from it; `start` is its first sample.
    fn collect(&mut self, start: usize) {
        for (index, stage) in self.network.stages().iter().enumerate() {
            let dz = &self.corrections[index][..self.forward.m(index).len()];
            if self.params.equations == 0.0 {
                for &sample in &self.moved {
                    let a = of_sample(self.forward.input(index), stage.input.len(), sample);
                    self.cross[index].add(a, of_sample(dz, stage.conv.len(), sample));
                }
            }
            self.drawn.take(index, start, &self.forward, dz);
        }
    }
}

/// One sample's part of `values`, of which every sample has `length`.
fn of_sample(values: &[f32], length: usize, sample: usize) -> &[f32] {
    &values[sample * length..][..length]
}
