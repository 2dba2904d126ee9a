//! What a worker does with a step: one shard's sweep and its sums.

use super::StepParams;
use crate::activation::{ActivationSolver, sample_view};
use crate::blas;
use crate::equations::{EquationLayout, matrix, pack_triangle};
use crate::forward::Forward;
use crate::network::Network;
use crate::pooling::{PoolResidual, Pooling};
use crate::random::{Purpose, stream};
use crate::residual::StepScalars;
use crate::schedule::Outputs;
use crate::weights::Weights;
use ndarray::Array2;
use ndarray::linalg::general_mat_mul;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

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
    /// Rows drawn, and their corrections.
    sample: Vec<f32>,
    sampled_dz: Vec<f32>,
    gram: Vec<Array2<f32>>,
}

impl LocalStep {
    /// Buffers for at most `samples` samples a step.
    #[must_use]
    pub fn new(network: &Network, params: StepParams, samples: usize) -> Self {
        let stages = network.stages();
        let square = |d: usize| Array2::zeros((d, d));
        Self {
            network: network.clone(),
            params,
            current: params,
            forward: Forward::new(network, samples),
            pooling: Pooling::new(network.activation(), params.staircase),
            corrections: stages
                .iter()
                .map(|stage| vec![0.0; samples * stage.conv.len()])
                .collect(),
            updated: vec![0.0; samples * stages.iter().map(|s| s.output.len()).max().unwrap_or(0)],
            solvers: stages[1..]
                .iter()
                .map(|stage| ActivationSolver::new(stage, params.activation))
                .collect(),
            sample: Vec::new(),
            sampled_dz: Vec::new(),
            gram: stages
                .iter()
                .map(|stage| square(stage.unknowns()))
                .collect(),
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
        let stages = self.network.len();
        self.current.beta_output = self.params.beta_output * input.penalty_factor;
        self.forward.run(input.weights, input.images);
        let mut scalars = StepScalars::zeros(stages);
        self.update_outputs(input, output.residuals, &mut scalars);
        for index in (0..stages - 1).rev() {
            scalars.coupling[index] = self.update_activation(index, input);
            let residual = self.update_hidden_outputs(index);
            scalars.output[index] = residual.output;
            scalars.activation[index] = residual.activation;
        }
        self.sum_equations(layout, input.key, output.sums);
        scalars
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
    fn update_activation(&mut self, index: usize, input: &StepInput<'_>) -> f64 {
        let consumer = index + 1;
        let stage = &self.network.stages()[consumer];
        let h = self.forward.a(index);
        let updated = &mut self.updated[..h.len()];
        updated.copy_from_slice(h);
        let weights = input.weights.stage(consumer);
        let dz = &self.corrections[consumer][..self.forward.samples() * stage.conv.len()];
        let penalty = self
            .current
            .activation_penalty(consumer + 1 == self.network.len());
        let mut remaining = 0.0;
        for (sample, a) in updated.chunks_exact_mut(stage.input.len()).enumerate() {
            let dz = sample_view(stage, dz, sample);
            remaining += self.solvers[index].update(stage, weights, dz, penalty, a);
        }
        remaining
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

    /// S_l = T'(z - m) from every row; G_l = T'T from sampled rows (every row of the last stage). With sampled equations, both from those.
    fn sum_equations(&mut self, layout: &EquationLayout, key: (u64, u64, u64), sums: &mut [f32]) {
        assert_eq!(sums.len(), layout.len(), "sums of all stages");
        let (seed, shard, step) = key;
        let mut random = stream(seed, Purpose::Rows, shard, step);
        for index in 0..self.network.len() {
            let drawn = self.draw_equations(index, layout.has_gram(), &mut random);
            let stage = &self.network.stages()[index];
            let (d, c) = (stage.unknowns(), stage.conv.channels);
            let (all, share) = (self.forward.rows(index), self.params.equations > 0.0);
            let sampled = matrix(&self.sample[..drawn * d], drawn, d);
            let mut cross = layout.cross_mut(index, sums);
            if share {
                // Scaled up to what every row would have summed to.
                let scale = all.nrows() as f32 / drawn as f32;
                let dz = matrix(&self.sampled_dz[..drawn * c], drawn, c);
                general_mat_mul(scale, &sampled.t(), &dz, 0.0, &mut cross);
            } else {
                let dz = &self.corrections[index][..all.nrows() * c];
                let dz = matrix(dz, all.nrows(), c);
                general_mat_mul(1.0, &all.t(), &dz, 0.0, &mut cross);
            }
            if !layout.has_gram() {
                continue;
            }
            let gram = &mut self.gram[index];
            let last = index + 1 == self.network.len();
            if last && !share {
                blas::gram_lower(all, &mut gram.view_mut());
            } else {
                blas::gram_lower(sampled, &mut gram.view_mut());
            }
            if share {
                let wanted = if last {
                    all.nrows()
                } else {
                    self.params.gram_rows
                };
                *gram *= wanted as f32 / drawn as f32;
            }
            pack_triangle(gram.view(), layout.triangle_mut(index, sums));
        }
    }

    /// Draws equations of stage `index` into `sample` and `sampled_dz`; returns how many.
    fn draw_equations(&mut self, index: usize, gram: bool, random: &mut ChaCha8Rng) -> usize {
        let stage = &self.network.stages()[index];
        let (d, c) = (stage.unknowns(), stage.conv.channels);
        let rows = self.forward.rows(index);
        let share = (self.params.equations * d as f32).ceil() as usize;
        let (count, dz) = match share {
            0 if !gram || index + 1 == self.network.len() => (0, false),
            0 => (self.params.gram_rows, false),
            share => (share.min(rows.nrows()), true),
        };
        self.sample.resize(self.sample.len().max(count * d), 0.0);
        self.sampled_dz
            .resize(self.sampled_dz.len().max(count * c), 0.0);
        for draw in 0..count {
            let pick = random.random_range(0..rows.nrows() as u32) as usize;
            let target = &mut self.sample[draw * d..][..d];
            target.copy_from_slice(rows.row(pick).as_slice().unwrap_or_default());
            if dz {
                let from = &self.corrections[index][pick * c..][..c];
                self.sampled_dz[draw * c..][..c].copy_from_slice(from);
            }
        }
        count
    }
}
