//! What a worker does with a round of a classic step: move its blocks, collect equations.

use super::collect::{Collected, Collector};
use super::state::{Block, ShardState};
use super::{Fit, InitialState, Order, SweepParams, SweepRound};
use crate::activation::ActivationSolver;
use crate::convolution::Convolution;
use crate::equations::{EquationLayout, matrix};
use crate::network::Network;
use crate::pooling::Pooling;
use crate::random::{Purpose, stream};
use crate::residual::StepScalars;
use crate::schedule::Outputs;
use crate::schedule::streaming::StepParams;
use crate::toeplitz;
use crate::weights::Weights;
use rand_distr::{Distribution as _, StandardNormal};

/// Samples of one block: enough for wide products, few enough for the caches.
const BLOCK: usize = 16;

/// One shard's share of a round: n samples.
#[derive(Debug, Clone, Copy)]
pub struct SweepInput<'a> {
    /// Current weights of all stages.
    pub weights: &'a Weights,
    /// Normalised samples, `[n, H, W, C]`.
    pub images: &'a [f32],
    /// Targets y, `[n, O]`, each +1 or -1.
    pub targets: &'a [f32],
    /// Multipliers, `[n, O]`, where the round moves z_L.
    pub multipliers: &'a [f32],
    /// The samples' positions within the shard.
    pub positions: &'a [u32],
    /// The round.
    pub round: SweepRound,
    /// Key of random draws: (seed, shard).
    pub key: (u64, u64),
}

/// Where a shard's round leaves its results.
#[derive(Debug)]
pub struct SweepOutput<'a> {
    /// Sums in the layout given, overwritten.
    pub sums: &'a mut [f32],
    /// Output residuals z_L - m_L, `[n, O]`, where the round moves z_L.
    pub residuals: &'a mut [f32],
    /// Raw or triangular equations, for the solvers that take them.
    pub rows: &'a mut [f32],
}

/// A shard's rounds with all their buffers.
#[derive(Debug, Clone)]
pub struct LocalSweep {
    network: Network,
    step: StepParams,
    sweep: SweepParams,
    pooling: Pooling,
    convolutions: Vec<Convolution>,
    solvers: Vec<ActivationSolver>,
    block: Block,
    rows: Vec<f32>,
    m: Vec<f32>,
    h: Vec<f32>,
    dz: Vec<f32>,
    collector: Collector,
}

impl LocalSweep {
    /// Buffers for the rounds of one of `shards` shards at a time.
    #[must_use]
    pub fn new(network: &Network, step: StepParams, sweep: SweepParams, shards: usize) -> Self {
        let stages = network.stages();
        let widest = |values: fn(&crate::network::Stage) -> usize| {
            BLOCK * stages.iter().map(values).max().unwrap_or(0)
        };
        Self {
            network: network.clone(),
            step,
            sweep,
            pooling: Pooling::new(network.activation(), step.staircase),
            convolutions: stages.iter().map(Convolution::new).collect(),
            solvers: stages[1..]
                .iter()
                .map(|stage| ActivationSolver::new(stage, step.activation))
                .collect(),
            block: Block::new(network, BLOCK),
            rows: vec![0.0; widest(|stage| stage.rows() * stage.unknowns())],
            m: vec![0.0; widest(|stage| stage.conv.len())],
            h: vec![0.0; widest(|stage| stage.output.len())],
            dz: vec![0.0; widest(|stage| stage.conv.len())],
            collector: Collector::new(network, sweep, shards),
        }
    }

    /// One shard's round.
    ///
    /// # Panics
    /// If a slice does not have the length its documentation gives.
    pub fn run(
        &mut self,
        layout: &EquationLayout,
        state: &mut ShardState,
        input: &SweepInput<'_>,
        output: SweepOutput<'_>,
    ) -> StepScalars {
        let stages = self.network.len();
        let mut scalars = StepScalars::zeros(stages);
        let mut collected = Collected::new(layout, output.sums, output.rows);
        self.collector.begin(input.key, input.round);
        for (index, convolution) in self.convolutions.iter_mut().enumerate() {
            convolution.load(input.weights.stage(index));
        }
        let outputs = self.network.outputs();
        let image = self.network.input().len();
        let total = input.positions.len();
        for start in (0..total).step_by(BLOCK) {
            let range = start..total.min(start + BLOCK);
            let per_output = range.start * outputs..range.end * outputs;
            let moves = input.round.moves_outputs(self.sweep.order, stages);
            let part = Part {
                images: &input.images[range.start * image..range.end * image],
                targets: &input.targets[per_output.clone()],
                multipliers: if moves {
                    &input.multipliers[per_output.clone()]
                } else {
                    &[]
                },
                positions: &input.positions[range.clone()],
                input,
            };
            let residuals = if moves {
                &mut output.residuals[per_output]
            } else {
                &mut [][..]
            };
            state.load(part.positions, &mut self.block);
            self.prepare(state, &part);
            self.move_blocks(&part, residuals, &mut scalars);
            self.collect(&part, (range.end, total), &mut collected);
            state.store(part.positions, &self.block);
        }
        self.collector.finish(&mut collected);
        if input.round.moves_outputs(self.sweep.order, stages) {
            state.count_visit(input.positions);
        }
        scalars
    }

    /// Sets z and a at a sample's first visit, and resets them when that is due.
    fn prepare(&mut self, state: &ShardState, part: &Part<'_>) {
        if part.input.round.stage == 0 {
            let every = self.sweep.reset_every;
            let random = self.sweep.initial == InitialState::Random;
            let visits = part.positions.iter().map(|&p| state.visits(p));
            let due: Vec<bool> = visits
                .map(|visits| match visits {
                    0 => !random,
                    visits => every > 0 && visits.is_multiple_of(every),
                })
                .collect();
            if random {
                self.randomise(state, part);
            }
            if due.contains(&true) {
                let kept = self.block.clone();
                self.forward(part);
                for sample in (0..due.len()).filter(|&sample| !due[sample]) {
                    self.block.restore(&kept, sample);
                }
            }
        }
        self.block.remember();
    }

    fn forward(&mut self, part: &Part<'_>) {
        for index in 0..self.network.len() {
            self.map(index, part, Source::Now);
            let length = self.block.samples * self.network.stages()[index].conv.len();
            self.block.z[index][..length].copy_from_slice(&self.m[..length]);
            self.activate(index);
        }
    }

    /// a_l = h(z_l), where there is one.
    fn activate(&mut self, index: usize) {
        if let Some(stage) = self.network.hidden().get(index) {
            let n = self.block.samples;
            let z = &self.block.z[index][..n * stage.conv.len()];
            let a = &mut self.block.a[index][..n * stage.output.len()];
            self.pooling.apply(stage.conv, z, a);
        }
    }

    /// Standard normal z, and a = h(z), for samples that were never visited.
    fn randomise(&mut self, state: &ShardState, part: &Part<'_>) {
        let (seed, shard) = part.input.key;
        let kept = self.block.clone();
        for (sample, &position) in part.positions.iter().enumerate() {
            let mut random = stream(seed, Purpose::State, shard, position.into());
            for (stage, z) in self.network.stages().iter().zip(&mut self.block.z) {
                for value in &mut z[sample * stage.conv.len()..][..stage.conv.len()] {
                    *value = StandardNormal.sample(&mut random);
                }
            }
        }
        for index in 0..self.network.hidden().len() {
            self.activate(index);
        }
        for (sample, &position) in part.positions.iter().enumerate() {
            if state.visits(position) > 0 {
                self.block.restore(&kept, sample);
            }
        }
    }

    fn move_blocks(&mut self, part: &Part<'_>, residuals: &mut [f32], scalars: &mut StepScalars) {
        let last = self.network.len() - 1;
        match (self.sweep.order, part.input.round.stage) {
            (Order::OutputFirst, _) => {
                self.map(last, part, Source::Now);
                self.move_outputs(part, residuals, scalars);
                for index in (0..last).rev() {
                    self.move_activation(index, part, scalars);
                    self.map(index, part, Source::Before);
                    self.move_hidden_outputs(index, part, scalars);
                }
            }
            (Order::InputFirst, _) => {
                for index in 0..last {
                    self.move_activation(index, part, scalars);
                    self.map(index, part, Source::Now);
                    self.move_hidden_outputs(index, part, scalars);
                }
                self.map(last, part, Source::Now);
                self.move_outputs(part, residuals, scalars);
            }
            (Order::Taylor, 0) => {}
            (Order::Taylor, stage) if stage == self.network.len() => {
                self.map(last, part, Source::Now);
                self.move_outputs(part, residuals, scalars);
            }
            (Order::Taylor, stage) => {
                self.move_activation(stage - 1, part, scalars);
                self.map(stage - 1, part, Source::Now);
                self.move_hidden_outputs(stage - 1, part, scalars);
            }
        }
    }

    /// m_l = T(a_{l-1}) W_l into `m`.
    fn map(&mut self, index: usize, part: &Part<'_>, source: Source) {
        let length = self.block.samples * self.network.stages()[index].conv.len();
        let from = stage_input(&self.network, &self.block, index, part, source);
        self.convolutions[index].apply(from, &mut self.m[..length]);
    }

    /// z_L by the loss's prox around `m`.
    fn move_outputs(&mut self, part: &Part<'_>, residuals: &mut [f32], scalars: &mut StepScalars) {
        let last = self.network.len() - 1;
        let beta = self.step.beta_output * self.sweep.penalty_factor(part.input.round.step);
        let outputs = Outputs {
            m: &self.m[..residuals.len()],
            targets: part.targets,
            multipliers: part.multipliers,
        };
        let z = &mut self.block.z[last][..residuals.len()];
        outputs.update((self.step.loss, beta), z, residuals, scalars);
    }

    /// a_l from z_{l+1} and h(z_l).
    fn move_activation(&mut self, index: usize, part: &Part<'_>, scalars: &mut StepScalars) {
        let n = self.block.samples;
        let hidden = &self.network.stages()[index];
        let stage = &self.network.stages()[index + 1];
        let length = n * hidden.output.len();
        let z = &self.block.z[index][..n * hidden.conv.len()];
        self.pooling.apply(hidden.conv, z, &mut self.h[..length]);
        let dz = &mut self.dz[..n * stage.conv.len()];
        let convolution = &mut self.convolutions[index + 1];
        convolution.apply(&self.h[..length], dz);
        for (dz, z) in dz.iter_mut().zip(&self.block.z[index + 1]) {
            *dz = z - *dz;
        }
        let mut penalty = self
            .step
            .activation_penalty(index + 2 == self.network.len());
        penalty.beta *= self.sweep.penalty_factor(part.input.round.step);
        let a = &mut self.block.a[index][..length];
        a.copy_from_slice(&self.h[..length]);
        let corrections = dz.chunks_exact(stage.conv.len());
        for (a, dz) in a.chunks_exact_mut(stage.input.len()).zip(corrections) {
            scalars.coupling[index] += self.solvers[index].update(convolution, dz, penalty, a);
        }
    }

    /// z_l from `m` and a_l.
    fn move_hidden_outputs(&mut self, index: usize, part: &Part<'_>, scalars: &mut StepScalars) {
        let stage = &self.network.stages()[index];
        let n = self.block.samples;
        let length = n * stage.conv.len();
        let mut penalty = self.step.pool_penalty();
        penalty.beta *= self.sweep.penalty_factor(part.input.round.step);
        let residual = self.pooling.prox(
            stage.conv,
            penalty,
            &self.m[..length],
            &self.block.a[index][..n * stage.output.len()],
            &mut self.dz[..length],
        );
        for ((z, m), dz) in self.block.z[index]
            .iter_mut()
            .zip(&self.m)
            .zip(&self.dz[..length])
        {
            *z = m + dz;
        }
        scalars.output[index] += residual.output;
        scalars.activation[index] += residual.activation;
    }

    fn collect(
        &mut self,
        part: &Part<'_>,
        progress: (usize, usize),
        collected: &mut Collected<'_>,
    ) {
        let source = match (self.sweep.order, self.sweep.fit) {
            (Order::OutputFirst | Order::InputFirst, Fit::Forward) => Source::Before,
            _ => Source::Now,
        };
        let (order, stages) = (self.sweep.order, self.network.len());
        for index in part.input.round.collects(order, stages) {
            self.map(index, part, source);
            let stage = &self.network.stages()[index];
            let count = self.block.samples * stage.rows();
            let length = count * stage.conv.channels;
            let rows = &mut self.rows[..count * stage.unknowns()];
            let from = stage_input(&self.network, &self.block, index, part, source);
            toeplitz::toeplitz_rows(stage, from, rows);
            let z = &self.block.z[index][..length];
            for ((dz, z), m) in self.dz.iter_mut().zip(z).zip(&self.m[..length]) {
                *dz = z - m;
            }
            self.collector.add(
                index,
                progress,
                matrix(rows, count, stage.unknowns()),
                matrix(z, count, stage.conv.channels),
                matrix(&self.dz[..length], count, stage.conv.channels),
                collected,
            );
        }
    }
}

/// a_{l-1} of stage `index`.
fn stage_input<'a>(
    network: &Network,
    block: &'a Block,
    index: usize,
    part: &Part<'a>,
    source: Source,
) -> &'a [f32] {
    let Some(before) = index.checked_sub(1) else {
        return part.images;
    };
    let length = block.samples * network.stages()[index].input.len();
    match source {
        Source::Now => &block.a[before][..length],
        Source::Before => &block.before[before][..length],
    }
}

/// Which activations a stage is fed with.
#[derive(Debug, Clone, Copy)]
enum Source {
    Now,
    Before,
}

/// One block's share of the input.
#[derive(Debug)]
struct Part<'a> {
    images: &'a [f32],
    targets: &'a [f32],
    multipliers: &'a [f32],
    positions: &'a [u32],
    input: &'a SweepInput<'a>,
}
