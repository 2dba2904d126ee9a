//! The worker's half of the classic schedule: a round updates z and a block by block, and collects equations.

use super::Classic;
use crate::forward::Forward;
use crate::random::{Purpose, stream};
use crate::residual::StepScalars;
use crate::schedule::state::BlockState;
use crate::schedule::sweep::{BLOCK, Start, Sweep, of_sample, of_sample_mut};
use crate::schedule::{
    BlockOrder, Fit, InitialState, Round, ShardInput, ShardOutput, ShardState, WorkerHalf,
};
use crate::solver::{Block, Collected, Collection, Collector, Moments};
use rand_distr::{Distribution as _, StandardNormal};

/// Worker half of the classic schedule, with its buffers.
#[derive(Debug)]
pub(super) struct ClassicWorker {
    schedule: Classic,
    sweep: Sweep,
    /// z and a of the block, as the updates leave them.
    kept: BlockState,
    /// a of the block before the round.
    before: Vec<Vec<f32>>,
    /// Samples of the block that start from a forward pass in this round.
    reset: Vec<bool>,
    /// h(z_l) and z_{l+1} - W_{l+1} h(z_l) of one sample.
    h: Vec<f32>,
    dz: Vec<f32>,
    collector: Box<dyn Collector>,
    /// Moments of all rows, collected in audited rounds.
    audit: Moments,
}

impl ClassicWorker {
    pub(super) fn new(schedule: Classic) -> Self {
        let network = &schedule.network;
        let stages = network.stages().iter();
        let widest = stages.map(|stage| (stage.output.len(), stage.conv.len()));
        let (output, conv) = widest.fold((0, 0), |a, b| (a.0.max(b.0), a.1.max(b.1)));
        Self {
            sweep: Sweep::new(network, &schedule.params, schedule.cut.shards),
            kept: BlockState::new(network, BLOCK),
            before: BlockState::new(network, BLOCK).a,
            reset: Vec::with_capacity(BLOCK),
            h: vec![0.0; output],
            dz: vec![0.0; conv],
            collector: schedule
                .solver
                .collector(network, schedule.cut.shards, BLOCK),
            audit: Moments::new(network, BLOCK),
            schedule,
        }
    }

    /// Runs all blocks of a round: updates, collectors, and back into `state`.
    fn blocks(
        &mut self,
        round: Round,
        input: &ShardInput<'_>,
        mut state: Option<&mut ShardState>,
        residuals: &mut [f32],
        collected: &mut Collected<'_>,
    ) -> StepScalars {
        let (image, outputs) = (
            self.sweep.network.input().len(),
            self.sweep.network.outputs(),
        );
        let samples = input.positions.len();
        let mut scalars = StepScalars::zeros(self.sweep.network.len());
        self.sweep.penalties = self.schedule.penalties(round.step);
        for start in (0..samples).step_by(BLOCK) {
            let part = input.part(start..samples.min(start + BLOCK), image, outputs);
            let residuals = match &mut *residuals {
                [] => &mut [],
                residuals => &mut residuals[start * outputs..][..part.targets.len()],
            };
            let inspector = &mut self.sweep.inspector;
            inspector.enter(start..start + part.positions.len());
            self.begin(round, &part, state.as_deref());
            self.update(round, &part, residuals, &mut scalars);
            self.fit(round);
            let block = Block {
                start,
                forward: &self.sweep.forward,
                corrections: &self.sweep.corrections,
                moved: &self.sweep.moved,
            };
            self.collector.take(&block, collected);
            if self.audits(round) {
                self.audit.take(&block, collected);
            }
            if let Some(state) = &mut state {
                state.store(part.positions, &self.kept);
            }
        }
        scalars
    }

    /// Whether `round` collects sums for an audit of the solver.
    fn audits(&self, round: Round) -> bool {
        round.gram && !self.schedule.solver.takes_sums()
    }

    /// Loads z and a of the block, sets them at a sample's first visit, and resets them when that is due.
    fn begin(&mut self, round: Round, part: &ShardInput<'_>, state: Option<&ShardState>) {
        let classic = &self.schedule.classic;
        let (every, random) = (classic.reset_every, classic.initial == InitialState::Random);
        let visits = |&position: &u32| state.map_or(0, |state| state.visits(position));
        let due = |position| match visits(position) {
            _ if round.stage > 0 => false,
            0 => !random,
            visits => every > 0 && visits.is_multiple_of(every),
        };
        self.reset.clear();
        self.reset.extend(part.positions.iter().map(due));
        if let Some(state) = state {
            state.load(part.positions, &mut self.kept);
        }
        match self.reset.contains(&true) {
            true => self.sweep.forward.run(part.images),
            false => self.sweep.forward.begin(part.images),
        }
        for (sample, &position) in part.positions.iter().enumerate() {
            if self.reset[sample] {
                self.keep_forward(sample);
            } else if random && round.stage == 0 && visits(&position) == 0 {
                self.randomise(sample, part.key, position);
            }
        }
        for (before, a) in self.before.iter_mut().zip(&self.kept.a) {
            before.copy_from_slice(a);
        }
    }

    /// Sets z and a of one sample to those of the forward pass.
    fn keep_forward(&mut self, sample: usize) {
        let Sweep {
            network, forward, ..
        } = &self.sweep;
        for (index, stage) in network.stages().iter().enumerate() {
            let m = of_sample(forward.m(index), stage.conv.len(), sample);
            of_sample_mut(&mut self.kept.z[index], stage.conv.len(), sample).copy_from_slice(m);
        }
        for (index, stage) in network.hidden().iter().enumerate() {
            let a = of_sample(forward.a(index), stage.output.len(), sample);
            of_sample_mut(&mut self.kept.a[index], stage.output.len(), sample).copy_from_slice(a);
        }
    }

    /// Standard normal z, and a = h(z), for a sample that was never visited.
    fn randomise(&mut self, sample: usize, (seed, shard): (u64, u64), position: u32) {
        let mut random = stream(seed, Purpose::State, shard, position.into());
        for (stage, z) in self.sweep.network.stages().iter().zip(&mut self.kept.z) {
            for value in of_sample_mut(z, stage.conv.len(), sample) {
                *value = StandardNormal.sample(&mut random);
            }
        }
        for (index, stage) in self.sweep.network.hidden().iter().enumerate() {
            let z = of_sample(&self.kept.z[index], stage.conv.len(), sample);
            let a = of_sample_mut(&mut self.kept.a[index], stage.output.len(), sample);
            self.sweep.poolings[index].apply(z, a);
        }
    }

    /// The updates of a round, in the schedule's order.
    fn update(
        &mut self,
        round: Round,
        part: &ShardInput<'_>,
        residuals: &mut [f32],
        scalars: &mut StepScalars,
    ) {
        let (samples, last) = (0..part.positions.len(), self.sweep.network.len() - 1);
        let all = |run: &mut dyn FnMut(usize)| samples.clone().for_each(run);
        match (self.schedule.classic.order, round.stage) {
            (BlockOrder::OutputFirst, _) => {
                all(&mut |sample| {
                    if !self.reset[sample] {
                        (0..=last).for_each(|index| self.map(index, sample));
                    }
                });
                self.update_outputs(part, residuals, scalars);
                let Self { sweep, reset, .. } = self;
                sweep.find_moved(|sample| !reset[sample]);
                sweep.inspector.prefer(&sweep.moved);
                let watched = sweep.inspector.sample();
                sweep.inspect_outputs(part, watched.is_some_and(|sample| reset[sample]));
                for index in (0..last).rev() {
                    for number in 0..self.sweep.moved.len() {
                        let sample = self.sweep.moved[number];
                        self.update_activation(index, sample, scalars);
                        self.update_hidden(index, sample, scalars);
                    }
                }
                return;
            }
            (BlockOrder::InputFirst, _) => {
                for index in 0..last {
                    all(&mut |sample| self.update_forward(index, sample, scalars));
                }
                all(&mut |sample| self.map(last, sample));
                self.update_outputs(part, residuals, scalars);
                self.sweep.inspect_outputs(part, false);
            }
            (BlockOrder::Taylor, 0) => {}
            (BlockOrder::Taylor, stage) if stage > last => {
                all(&mut |sample| self.map(last, sample));
                self.update_outputs(part, residuals, scalars);
                self.sweep.inspect_outputs(part, false);
            }
            (BlockOrder::Taylor, stage) => {
                all(&mut |sample| self.update_forward(stage - 1, sample, scalars));
            }
        }
        self.sweep.moved.clear();
        self.sweep.moved.extend(samples);
    }

    /// Input and m of stage `index` for one sample, from its a as it is now.
    fn map(&mut self, index: usize, sample: usize) {
        let before = index.checked_sub(1).map(|before| &self.kept.a[before]);
        self.sweep
            .forward
            .map(index, sample, before.map(Vec::as_slice));
    }

    /// z_L of the whole block.
    fn update_outputs(
        &mut self,
        part: &ShardInput<'_>,
        residuals: &mut [f32],
        scalars: &mut StepScalars,
    ) {
        let last = self.sweep.network.len() - 1;
        self.sweep.update_outputs(part, residuals, scalars);
        let m = self.sweep.forward.m(last);
        for ((z, m), dz) in self.kept.z[last].iter_mut().zip(m).zip(residuals) {
            *z = m + *dz;
        }
    }

    /// a_l and z_l of one sample, in an order from the first stage to the last.
    fn update_forward(&mut self, index: usize, sample: usize, scalars: &mut StepScalars) {
        // Even where z started from a forward pass, those of earlier stages have moved since.
        self.reset[sample] = false;
        self.update_activation(index, sample, scalars);
        self.map(index, sample);
        self.update_hidden(index, sample, scalars);
    }

    /// a_l of one sample, from z_{l+1} and h(z_l).
    fn update_activation(&mut self, index: usize, sample: usize, scalars: &mut StepScalars) {
        let stages = self.sweep.network.stages();
        let (conv, output, consumer) = (
            stages[index].conv,
            stages[index].output.len(),
            stages[index + 1].conv.len(),
        );
        if self.reset[sample] {
            self.sweep
                .update_activation(index, sample, Start::Forward, scalars);
        } else {
            let (h, dz) = (&mut self.h[..output], &mut self.dz[..consumer]);
            let z = of_sample(&self.kept.z[index], conv.len(), sample);
            self.sweep.poolings[index].apply(z, h);
            self.sweep.forward.convolution(index + 1).apply(h, dz);
            let z = of_sample(&self.kept.z[index + 1], consumer, sample);
            dz.iter_mut().zip(z).for_each(|(dz, z)| *dz = z - *dz);
            self.sweep
                .update_activation(index, sample, Start::Kept { h, dz }, scalars);
        }
        let a = of_sample_mut(&mut self.kept.a[index], output, sample);
        a.copy_from_slice(&self.sweep.updated[..output]);
    }

    /// z_l of one sample, from m_l and the a_l updated last.
    fn update_hidden(&mut self, index: usize, sample: usize, scalars: &mut StepScalars) {
        self.sweep.update_hidden(index, sample, scalars);
        let length = self.sweep.network.stages()[index].conv.len();
        let m = of_sample(self.sweep.forward.m(index), length, sample);
        let dz = of_sample(&self.sweep.corrections[index], length, sample);
        let z = of_sample_mut(&mut self.kept.z[index], length, sample);
        for ((z, m), dz) in z.iter_mut().zip(m).zip(dz) {
            *z = m + dz;
        }
    }

    /// Sets input, m and corrections of the stages collected to those that their weights are fitted on.
    fn fit(&mut self, round: Round) {
        let classic = &self.schedule.classic;
        let updated = match (classic.order, classic.fit) {
            (BlockOrder::OutputFirst, Fit::Forward) => return,
            (BlockOrder::InputFirst, Fit::Forward) => false,
            (BlockOrder::Taylor, _) | (_, Fit::Updated) => true,
        };
        for index in self.schedule.collects(round) {
            let length = self.sweep.network.stages()[index].conv.len();
            let source = if updated { &self.kept.a } else { &self.before };
            for sample in 0..self.sweep.forward.samples() {
                let a = index.checked_sub(1).map(|before| source[before].as_slice());
                self.sweep.forward.map(index, sample, a);
                let m = of_sample(self.sweep.forward.m(index), length, sample);
                let z = of_sample(&self.kept.z[index], length, sample);
                let dz = of_sample_mut(&mut self.sweep.corrections[index], length, sample);
                for ((dz, z), m) in dz.iter_mut().zip(z).zip(m) {
                    *dz = z - m;
                }
            }
        }
        self.sweep.moved.clear();
        self.sweep.moved.extend(0..self.sweep.forward.samples());
    }
}

impl WorkerHalf for ClassicWorker {
    fn forward(&mut self) -> &mut Forward {
        &mut self.sweep.forward
    }

    fn run(
        &mut self,
        round: Round,
        input: &ShardInput<'_>,
        mut state: Option<&mut ShardState>,
        output: ShardOutput<'_>,
    ) -> StepScalars {
        let layout = self.schedule.layout(round);
        assert_eq!(
            output.sums.len(),
            layout.len(),
            "sums of the round's stages"
        );
        let moves = self.schedule.moves_outputs(round);
        let (residuals, rows) = output.rows.split_at_mut(input.multipliers.len());
        assert_eq!(residuals.is_empty(), !moves, "multipliers where z_L moves");
        let mut collected = Collected {
            layout: &layout,
            sums: output.sums,
            rows,
        };
        let rounds = self.sweep.network.len() as u64 + 1;
        let collection = Collection {
            stages: self.schedule.collects(round),
            samples: input.positions.len(),
            key: (
                input.key.0,
                input.key.1,
                round.step * rounds + round.stage as u64,
            ),
        };
        self.sweep
            .inspector
            .begin(round, input, input.positions.len());
        self.collector.begin(&collection, &mut collected);
        if self.audits(round) {
            self.audit.begin(&collection, &mut collected);
        }
        let scalars = self.blocks(
            round,
            input,
            state.as_deref_mut(),
            residuals,
            &mut collected,
        );
        self.collector.finish(&mut collected);
        if self.audits(round) {
            self.audit.finish(&mut collected);
        }
        if let Some(state) = state.filter(|_| moves) {
            state.count_visits(input.positions);
        }
        *output.checks = self.sweep.inspector.finish();
        scalars
    }
}
