//! One shard's part of a round of work.

use super::inputs::Moved;
use super::{Compute, ComputeError};
use crate::store::Shard;
use lagrange_core::check::Checks;
use lagrange_core::equations::matrix;
use lagrange_core::schedule::{Round, ShardInput, ShardOutput, Sizes};
use lagrange_core::start::{cluster_sums, initial_centroid_sums, moment_sums};
use lagrange_core::weights::Weights;
use lagrange_data::Split;
use lagrange_protocol::{Job, ShardRecord, part_crc32};
use std::sync::Arc;

/// Context shared by all shards of a round.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) job: Job,
    pub(super) sizes: Sizes,
    pub(super) weights: Arc<Weights>,
    /// Inputs shared by all shards, after the weights.
    pub(super) shared: &'a [f32],
}

/// One shard's part of an answer.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) sums: Vec<f32>,
    pub(super) scalars: Vec<f64>,
    pub(super) rows: Vec<f32>,
    pub(super) record: ShardRecord,
}

/// A shard and its number.
#[derive(Debug, Clone, Copy)]
pub(super) struct ShardRef<'a> {
    pub(super) index: u32,
    pub(super) shard: &'a Shard,
}

impl Compute {
    /// The part of shard `index`, with the inputs `rows`.
    pub(super) fn part(
        &self,
        context: &Context<'_>,
        index: u32,
        rows: &[f32],
    ) -> Result<Part, ComputeError> {
        let held = self.store.shard(index);
        let held =
            held.ok_or_else(|| ComputeError::misfit(format!("shard {index} is not held")))?;
        let shard = ShardRef {
            index,
            shard: &held,
        };
        let mut part = Part {
            sums: self.buffers.take(context.sizes.sums),
            scalars: Vec::new(),
            rows: vec![0.0; context.sizes.rows_out],
            record: ShardRecord::default(),
        };
        match context.job {
            Job::Round(round) => self.round(context, round, shard, rows, &mut part)?,
            Job::Evaluate { split } => part.scalars = self.evaluate(context, shard, split),
            Job::InitialCentroids { stage } => {
                let patches = self.patches(context, stage, shard);
                let channels = self.network.stages()[stage].conv.channels;
                let (number, shards) = (index as usize, self.spec.shards());
                initial_centroid_sums(patches.view(), channels, number, shards, &mut part.sums);
            }
            Job::Cluster { stage } => {
                let patches = self.patches(context, stage, shard);
                let stage = &self.network.stages()[stage];
                let centroids = matrix(context.shared, stage.conv.channels, stage.patch());
                cluster_sums(patches.view(), centroids, &mut part.sums);
            }
            Job::Moments { stage } => {
                let forward = self.start_forward(context, shard, stage + 1);
                moment_sums(
                    &forward,
                    &self.network.stages()[stage],
                    stage,
                    &mut part.sums,
                );
            }
        }
        part.record.crc32 = part_crc32(&part.sums, &part.scalars, &part.rows);
        Ok(part)
    }

    fn round(
        &self,
        context: &Context<'_>,
        round: Round,
        ShardRef { index, shard }: ShardRef<'_>,
        multipliers: &[f32],
        part: &mut Part,
    ) -> Result<(), ComputeError> {
        let schedule = &*self.schedule;
        let mut state =
            self.states
                .take(schedule, &self.network, round, index, shard.train.len())?;
        let positions = shard.positions(round.step);
        self.scratch.with(schedule, |scratch| {
            let moved = Moved {
                shard: index,
                step: round.step,
            };
            let samples = positions.iter().map(|&position| position as usize);
            self.inputs
                .load(&mut scratch.samples, &shard.train, samples, Some(moved));
            scratch.forward(&context.weights);
            let input = ShardInput {
                images: &scratch.samples.images,
                targets: &scratch.samples.targets,
                weights: &scratch.samples.weights,
                multipliers,
                positions: &positions,
                shared: context.shared,
                loaded: &context.weights,
                key: (self.spec.config().seed, index.into()),
            };
            let mut checks = Checks::default();
            let output = ShardOutput {
                sums: &mut part.sums,
                rows: &mut part.rows,
                checks: &mut checks,
            };
            let scalars = scratch.half.run(round, &input, state.as_mut(), output);
            part.scalars = scalars.to_row();
            part.record.checks = checks.tallies().to_vec();
        });
        self.states.put_back(index, state);
        Ok(())
    }

    /// Samples, correct predictions and summed loss of one shard of a split.
    fn evaluate(&self, context: &Context<'_>, shard: ShardRef<'_>, split: Split) -> Vec<f64> {
        let data = shard.shard.split(split);
        let (question, loss) = (self.inputs.question(), self.spec.config().schedule.loss);
        let (mut correct, mut sum) = (0u64, 0.0f64);
        let mut targets = Vec::with_capacity(self.network.outputs());
        self.scratch.with(&*self.schedule, |scratch| {
            let block = scratch.forward(&context.weights).capacity();
            for start in (0..data.len()).step_by(block) {
                let positions = start..data.len().min(start + block);
                self.inputs
                    .load(&mut scratch.samples, data, positions.clone(), None);
                let forward = scratch.half.forward();
                forward.run(&scratch.samples.images);
                let width = self.network.outputs();
                for (position, outputs) in positions.zip(forward.outputs().chunks_exact(width)) {
                    let label = data.label(position);
                    correct += u64::from(question.is_correct(outputs, label));
                    targets.clear();
                    targets.extend((0..width).map(|output| question.target(label, output)));
                    sum += loss.value(outputs, &targets);
                }
            }
        });
        vec![data.len() as f64, correct as f64, sum]
    }
}
