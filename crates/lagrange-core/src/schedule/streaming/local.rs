//! What a worker does with a step: one shard's sweep and its sums.

use super::StepParams;
use crate::activation::{ActivationUpdate, Exact, OneStep, sample_view};
use crate::blas;
use crate::equations::{EquationLayout, matrix, matrix_mut, pack_triangle};
use crate::forward::Forward;
use crate::network::{Network, Stage};
use crate::pooling;
use crate::random::{Purpose, stream};
use crate::residual::StepScalars;
use crate::solver::SolveError;
use crate::weights::Weights;
use ndarray::Array2;
use ndarray::linalg::general_mat_mul;
use rand::RngExt as _;

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
    /// Factors from [`LocalStep::factorise`]: one per hidden stage in exact mode, empty otherwise.
    pub exact: &'a [Exact],
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
    forward: Forward,
    /// z_l - m_l per stage.
    corrections: Vec<Vec<f32>>,
    /// Updated activation of the hidden stage in hand.
    updated: Vec<f32>,
    one_step: Vec<OneStep>,
    sample: Vec<f32>,
    gram: Vec<Array2<f32>>,
}

impl LocalStep {
    /// Buffers for at most `samples` samples a step.
    #[must_use]
    pub fn new(network: &Network, params: StepParams, samples: usize) -> Self {
        let stages = network.stages();
        let square = |d: usize| Array2::zeros((d, d));
        let widest = stages.iter().map(Stage::unknowns).max().unwrap_or(0);
        Self {
            network: network.clone(),
            params,
            forward: Forward::new(network, samples),
            corrections: stages
                .iter()
                .map(|stage| vec![0.0; samples * stage.conv.len()])
                .collect(),
            updated: vec![0.0; samples * stages.iter().map(|s| s.output.len()).max().unwrap_or(0)],
            one_step: stages[1..].iter().map(OneStep::new).collect(),
            sample: vec![0.0; params.gram_rows * widest],
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

    /// The factors that exact activation updates share under `weights`; empty in one-step mode.
    ///
    /// # Errors
    /// [`SolveError`] if the weights are not finite.
    pub fn factorise(
        network: &Network,
        params: &StepParams,
        weights: &Weights,
    ) -> Result<Vec<Exact>, SolveError> {
        if params.activation == ActivationUpdate::OneStep {
            return Ok(Vec::new());
        }
        (1..network.len())
            .map(|index| {
                let penalty = params.activation_penalty(index + 1 == network.len());
                let stage = &network.stages()[index];
                Exact::factorise(stage, index, weights.stage(index), penalty)
            })
            .collect()
    }

    /// One shard's sweep: forward pass, z_L, then a_l and z_l backwards, then the equations' sums.
    ///
    /// # Errors
    /// [`SolveError`] if an exact activation update fails.
    ///
    /// # Panics
    /// If a slice does not have the length its documentation gives.
    pub fn run(
        &mut self,
        layout: &EquationLayout,
        input: &StepInput<'_>,
        output: StepOutput<'_>,
    ) -> Result<StepScalars, SolveError> {
        let stages = self.network.len();
        self.forward.run(input.weights, input.images);
        let mut scalars = StepScalars {
            output: vec![0.0; stages],
            coupling: vec![0.0; stages - 1],
            activation: vec![0.0; stages - 1],
            ..StepScalars::default()
        };
        self.update_outputs(input, output.residuals, &mut scalars);
        for index in (0..stages - 1).rev() {
            scalars.coupling[index] = self.update_activation(index, input)?;
            let residual = self.update_hidden_outputs(index);
            scalars.output[index] = residual.output;
            scalars.activation[index] = residual.activation;
        }
        self.sum_equations(layout, input.key, output.sums);
        Ok(scalars)
    }

    /// The last output update: z_L by the loss's prox.
    fn update_outputs(
        &mut self,
        input: &StepInput<'_>,
        residuals: &mut [f32],
        scalars: &mut StepScalars,
    ) {
        let last = self.network.len() - 1;
        let StepParams {
            loss, beta_output, ..
        } = self.params;
        let m = self.forward.m(last);
        assert_eq!(m.len(), input.targets.len(), "one target per output");
        assert_eq!(
            m.len(),
            input.multipliers.len(),
            "one multiplier per output"
        );
        assert_eq!(m.len(), residuals.len(), "one residual per output");
        for (i, (&m, residual)) in m.iter().zip(residuals.iter_mut()).enumerate() {
            let (y, lambda) = (input.targets[i], input.multipliers[i]);
            let z = loss.prox(m, y, lambda, beta_output);
            *residual = z - m;
            self.corrections[last][i] = z - m;
            scalars.loss += f64::from(loss.value(m, y));
            scalars.loss_updated += f64::from(loss.value(z, y));
            scalars.multiplier_work += f64::from(lambda * (z - m));
            scalars.output[last] += f64::from((z - m) * (z - m));
        }
    }

    /// The activation update of hidden stage `index`, from the corrections of the stage that consumes it. Returns what is left
    /// of that stage's output residual.
    fn update_activation(
        &mut self,
        index: usize,
        input: &StepInput<'_>,
    ) -> Result<f64, SolveError> {
        let consumer = index + 1;
        let stage = &self.network.stages()[consumer];
        let h = self.forward.a(index);
        let updated = &mut self.updated[..h.len()];
        updated.copy_from_slice(h);
        let weights = input.weights.stage(consumer);
        let dz = &self.corrections[consumer][..self.forward.samples() * stage.conv.len()];
        if let Some(exact) = input.exact.get(index) {
            return exact.update(stage, weights, dz, updated);
        }
        let penalty = self
            .params
            .activation_penalty(consumer + 1 == self.network.len());
        let mut remaining = 0.0;
        for (sample, a) in updated.chunks_exact_mut(stage.input.len()).enumerate() {
            let dz = sample_view(stage, dz, sample);
            remaining += self.one_step[index].update(stage, weights, dz, penalty, a);
        }
        Ok(remaining)
    }

    /// The output update of hidden stage `index`, from the updated activation.
    fn update_hidden_outputs(&mut self, index: usize) -> pooling::PoolResidual {
        let stage = &self.network.stages()[index];
        let m = self.forward.m(index);
        pooling::prox(
            stage.conv,
            self.params.pool_penalty(),
            m,
            &self.updated[..self.forward.samples() * stage.output.len()],
            &mut self.corrections[index][..m.len()],
        )
    }

    /// S_l = T'(z - m) from every row; G_l = T'T from sampled rows (every row of the last stage).
    fn sum_equations(&mut self, layout: &EquationLayout, key: (u64, u64, u64), sums: &mut [f32]) {
        assert_eq!(sums.len(), layout.len(), "sums of all stages");
        let (seed, shard, step) = key;
        let mut random = stream(seed, Purpose::Rows, shard, step);
        for (index, stage) in self.network.stages().iter().enumerate() {
            let rows = self.forward.rows(index);
            let dz = &self.corrections[index][..rows.nrows() * stage.conv.channels];
            let dz = matrix(dz, rows.nrows(), stage.conv.channels);
            general_mat_mul(1.0, &rows.t(), &dz, 0.0, &mut layout.cross_mut(index, sums));
            if !layout.has_gram() {
                continue;
            }
            let gram = &mut self.gram[index];
            if index + 1 == self.network.len() {
                blas::gram_lower(rows, &mut gram.view_mut());
            } else {
                let sample = &mut self.sample[..self.params.gram_rows * stage.unknowns()];
                let mut sample = matrix_mut(sample, self.params.gram_rows, stage.unknowns());
                for mut target in sample.rows_mut() {
                    let pick = random.random_range(0..rows.nrows() as u32);
                    target.assign(&rows.row(pick as usize));
                }
                blas::gram_lower(sample.view(), &mut gram.view_mut());
            }
            pack_triangle(gram.view(), layout.triangle_mut(index, sums));
        }
    }
}
