//! Sweep: the updates of z and a for one block of samples, shared by the worker halves of all schedules.

use super::{ScheduleParams, ShardInput};
use crate::activation::ActivationSolver;
use crate::check::{HiddenUpdate, Inspector, OutputsUpdated, StepTaken};
use crate::forward::{Forward, poolings};
use crate::loss::{OutputProx, OutputUpdate};
use crate::network::Network;
use crate::penalties::Penalties;
use crate::pooling::Pooling;
use crate::residual::StepScalars;

/// Samples of a block: few enough that their inputs, outputs and corrections stay in a core's own cache.
pub(super) const BLOCK: usize = 8;

/// The updates of a block, with their buffers.
#[derive(Debug, Clone)]
pub(super) struct Sweep {
    pub(super) network: Network,
    /// Penalties of the current step.
    pub(super) penalties: Penalties,
    prox: OutputProx,
    /// z_L of one sample.
    z: Vec<f32>,
    /// a_{l-1} that weights are fitted on, and m_l = T(a_{l-1}) W_l.
    pub(super) forward: Forward,
    /// Links of the hidden stages.
    pub(super) poolings: Vec<Pooling>,
    /// z_l - m_l per stage.
    pub(super) corrections: Vec<Vec<f32>>,
    /// Samples of the block with corrections. For all others the forward pass is the minimiser already, and
    /// every correction is zero.
    pub(super) moved: Vec<usize>,
    /// Updated activation of one sample, in the current hidden stage.
    pub(super) updated: Vec<f32>,
    solvers: Vec<ActivationSolver>,
    /// Watches a sample of the round, if it is one that is checked.
    pub(super) inspector: Inspector,
}

impl Sweep {
    /// The updates of one of `shards` shards.
    pub(super) fn new(network: &Network, params: &ScheduleParams, shards: usize) -> Self {
        let stages = network.stages();
        let widest = stages.iter().map(|stage| stage.output.len()).max();
        let corrections = stages
            .iter()
            .map(|stage| vec![0.0; BLOCK * stage.conv.len()]);
        let solvers = stages[1..].iter();
        Self {
            network: network.clone(),
            penalties: params.penalties(),
            prox: OutputProx::new(params.loss, network.outputs()),
            z: vec![0.0; network.outputs()],
            forward: Forward::new(network, BLOCK),
            poolings: poolings(network, params.staircase),
            corrections: corrections.collect(),
            moved: Vec::with_capacity(BLOCK),
            updated: vec![0.0; widest.unwrap_or(0)],
            solvers: solvers
                .map(|stage| ActivationSolver::new(stage, params.activation))
                .collect(),
            inspector: Inspector::new(network, params, shards),
        }
    }

    /// A whole sweep of samples that start from a forward pass: z_L, then a_l and z_l from the last hidden
    /// stage to the first. With `everywhere`, samples without corrections count as moved too.
    pub(super) fn run_from_forward(
        &mut self,
        block: &ShardInput<'_>,
        everywhere: bool,
        residuals: &mut [f32],
        scalars: &mut StepScalars,
    ) {
        self.forward.run(block.images);
        self.update_outputs(block, residuals, scalars);
        self.find_moved(|_| everywhere);
        self.inspector.prefer(&self.moved);
        self.inspect_outputs(block, true);
        for index in (0..self.network.len() - 1).rev() {
            for number in 0..self.moved.len() {
                let sample = self.moved[number];
                self.update_activation(index, sample, Start::Forward, scalars);
                self.update_hidden(index, sample, scalars);
            }
        }
    }

    /// The last output update: z_L, `[n, O]`, by the prox of the loss around m_L. Writes z_L - m_L to the
    /// corrections and to `residuals`.
    pub(super) fn update_outputs(
        &mut self,
        block: &ShardInput<'_>,
        residuals: &mut [f32],
        scalars: &mut StepScalars,
    ) {
        let last = self.network.len() - 1;
        let m = self.forward.m(last);
        for values in [block.targets, block.multipliers, residuals] {
            assert_eq!(
                m.len(),
                values.len(),
                "one target, multiplier and residual per output"
            );
        }
        let outputs = self.network.outputs();
        let beta = self.penalties.beta_output;
        let z = &mut self.z[..outputs];
        for (sample, residuals) in residuals.chunks_exact_mut(outputs).enumerate() {
            let m = of_sample(m, outputs, sample);
            let update = output_update(block, outputs, beta, sample);
            self.prox.run(m, &update, z);
            let value = self.prox.loss();
            let loss =
                |outputs: &[f32]| f64::from(update.weight) * value.value(outputs, update.targets);
            scalars.loss += loss(m);
            scalars.loss_updated += loss(z);
            for (((residual, z), m), lambda) in
                residuals.iter_mut().zip(&*z).zip(m).zip(update.multipliers)
            {
                *residual = z - m;
                scalars.multiplier_work += f64::from(lambda * *residual);
                scalars.output[last] += f64::from(*residual * *residual);
            }
        }
        self.corrections[last][..residuals.len()].copy_from_slice(residuals);
    }

    /// Checks z_L of the sample watched. A sample that `starts_sweep` comes from a forward pass, and has the
    /// rest of its sweep before it, from the last hidden stage to the first.
    pub(super) fn inspect_outputs(&mut self, block: &ShardInput<'_>, starts_sweep: bool) {
        let Some(sample) = self.inspector.sample() else {
            return;
        };
        let (last, outputs) = (self.network.len() - 1, self.network.outputs());
        self.inspector.outputs(&OutputsUpdated {
            update: output_update(block, outputs, self.penalties.beta_output, sample),
            m: of_sample(self.forward.m(last), outputs, sample),
            dz: of_sample(&self.corrections[last], outputs, sample),
            starts_sweep,
        });
    }

    /// Lists the moved samples of the block: those with corrections of the last stage, and those for which
    /// `also` holds.
    pub(super) fn find_moved(&mut self, also: impl Fn(usize) -> bool) {
        let outputs = self.network.outputs();
        let last = &self.corrections[self.network.len() - 1][..self.forward.samples() * outputs];
        let samples = last.chunks_exact(outputs).enumerate();
        let moved = samples.filter(|(sample, dz)| also(*sample) || dz.iter().any(|&dz| dz != 0.0));
        self.moved.clear();
        self.moved.extend(moved.map(|(sample, _)| sample));
    }

    /// The activation update of hidden stage `index` for one sample, from `start`: into `updated`.
    pub(super) fn update_activation(
        &mut self,
        index: usize,
        sample: usize,
        start: Start<'_>,
        scalars: &mut StepScalars,
    ) {
        let (stage, consumer) = (
            &self.network.stages()[index],
            &self.network.stages()[index + 1],
        );
        let (h, dz) = match start {
            Start::Forward => (
                of_sample(self.forward.a(index), stage.output.len(), sample),
                of_sample(&self.corrections[index + 1], consumer.conv.len(), sample),
            ),
            Start::Kept { h, dz } => (h, dz),
        };
        let updated = &mut self.updated[..stage.output.len()];
        updated.copy_from_slice(h);
        let penalty = self
            .penalties
            .of_activation(index + 2 == self.network.len());
        let convolution = self.forward.convolution(index + 1);
        scalars.coupling[index] += self.solvers[index].update(convolution, dz, penalty, updated);
        if self.inspector.watches(sample) {
            let (h, dz) = match start {
                Start::Forward => (
                    of_sample(self.forward.a(index), stage.output.len(), sample),
                    of_sample(&self.corrections[index + 1], consumer.conv.len(), sample),
                ),
                Start::Kept { h, dz } => (h, dz),
            };
            self.inspector.step(&StepTaken {
                index,
                penalty,
                h,
                dz,
                a: updated,
            });
        }
    }

    /// The output update of hidden stage `index` for one sample, from m_l and `updated`: its correction.
    pub(super) fn update_hidden(&mut self, index: usize, sample: usize, scalars: &mut StepScalars) {
        let stage = &self.network.stages()[index];
        let residual = self.poolings[index].prox(
            self.penalties.of_pool(),
            of_sample(self.forward.m(index), stage.conv.len(), sample),
            &self.updated[..stage.output.len()],
            of_sample_mut(&mut self.corrections[index], stage.conv.len(), sample),
        );
        scalars.output[index] += residual.output;
        scalars.activation[index] += residual.activation;
        if self.inspector.watches(sample) {
            self.inspector.hidden(&HiddenUpdate {
                index,
                penalty: self.penalties.of_pool(),
                m: of_sample(self.forward.m(index), stage.conv.len(), sample),
                a: &self.updated[..stage.output.len()],
                dz: of_sample(&self.corrections[index], stage.conv.len(), sample),
            });
        }
    }
}

/// The sub-problem of one sample's last outputs.
fn output_update<'a>(
    block: &ShardInput<'a>,
    outputs: usize,
    beta: f32,
    sample: usize,
) -> OutputUpdate<'a> {
    OutputUpdate {
        targets: of_sample(block.targets, outputs, sample),
        multipliers: of_sample(block.multipliers, outputs, sample),
        beta,
        weight: block.weights.get(sample).copied().unwrap_or(1.0),
    }
}

/// Starting point of an activation update.
#[derive(Debug, Clone, Copy)]
pub(super) enum Start<'a> {
    /// A forward pass: h(z_l) is the activation, and z_{l+1} - W_{l+1} h(z_l) the next stage's correction.
    Forward,
    /// z of an earlier round.
    Kept {
        /// h(z_l)
        h: &'a [f32],
        /// z_{l+1} - W_{l+1} h(z_l)
        dz: &'a [f32],
    },
}

/// One sample's part of `values`, of which every sample has `length`.
pub(super) fn of_sample(values: &[f32], length: usize, sample: usize) -> &[f32] {
    &values[sample * length..][..length]
}

/// [`of_sample`], to write.
pub(super) fn of_sample_mut(values: &mut [f32], length: usize, sample: usize) -> &mut [f32] {
    &mut values[sample * length..][..length]
}
