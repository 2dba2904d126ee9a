//! How many numbers a job takes and gives: what bounds every payload before it is allocated.

use crate::limits::MAX_VALUES;
use crate::{ConversionError, Job, RunSpec};
use lagrange_core::equations::EquationLayout;
use lagrange_core::network::{Network, Stage};
use lagrange_core::residual::StepScalars;
use lagrange_core::schedule::classic::{Order, SweepRound, rows_per_shard, sweep_layout};

/// Sizes of a job's inputs and outputs, in values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobShape {
    /// Inputs shared by all shards.
    pub shared: usize,
    /// Inputs of each shard.
    pub rows_in: usize,
    /// Sums of each node.
    pub sums: usize,
    /// Scalar sums of each node.
    pub scalars: usize,
    /// Outputs of each shard that are not summed.
    pub rows_out: usize,
}

impl JobShape {
    /// The shape of `job` in the run of `spec` with `network`.
    ///
    /// # Errors
    /// [`ConversionError::OutOfRange`] if the job names a stage that has no kernels to find, or is too large.
    pub fn of(job: Job, spec: &RunSpec, network: &Network) -> Result<Self, ConversionError> {
        let shape = Self::unbounded(job, spec, network)?;
        let Self {
            shared,
            rows_in,
            sums,
            rows_out,
            ..
        } = shape;
        // What a shard's part draws, whether or not it travels.
        let widest = network.stages().iter().map(Stage::unknowns).max();
        let drawn = spec.step.gram_rows.max(spec.start_patches) * widest.unwrap_or(0);
        if [shared, rows_in, sums, rows_out, drawn]
            .iter()
            .any(|&size| size > MAX_VALUES)
        {
            return Err(ConversionError::OutOfRange("job"));
        }
        Ok(shape)
    }

    fn unbounded(job: Job, spec: &RunSpec, network: &Network) -> Result<Self, ConversionError> {
        let hidden = |stage: usize| {
            network
                .hidden()
                .get(stage)
                .ok_or(ConversionError::OutOfRange("job.stage"))
        };
        let weights = network.weights();
        let plain = Self {
            shared: weights,
            rows_in: 0,
            sums: 0,
            scalars: 0,
            rows_out: 0,
        };
        Ok(match job {
            Job::PatchSeeds { stage } => {
                let stage = hidden(stage)?;
                Self {
                    sums: stage.conv.channels * stage.patch(),
                    ..plain
                }
            }
            Job::Cluster { stage } => {
                let stage = hidden(stage)?;
                Self {
                    shared: weights + stage.conv.channels * stage.patch(),
                    sums: stage.conv.channels * stage.unknowns(),
                    ..plain
                }
            }
            Job::Moments { stage } => Self {
                sums: 2 * hidden(stage)?.conv.channels,
                ..plain
            },
            // Otherwise nothing would compute it, and the answer would be whatever lay in the buffers.
            Job::Step { .. } if spec.sweep.is_some() => {
                return Err(ConversionError::OutOfRange("job.step"));
            }
            Job::Step { gram, .. } => {
                let rows = spec.batch_per_shard * network.outputs();
                Self {
                    // The penalty factor follows the weights.
                    shared: weights + 1,
                    rows_in: rows,
                    sums: EquationLayout::new(network, gram).len(),
                    scalars: StepScalars::count(network.len()),
                    rows_out: rows,
                }
            }
            Job::Sweep(round) => Self::of_sweep(round, spec, network)?,
            Job::Evaluate { .. } => Self {
                scalars: 3,
                ..plain
            },
        })
    }

    fn of_sweep(
        round: SweepRound,
        spec: &RunSpec,
        network: &Network,
    ) -> Result<Self, ConversionError> {
        let sweep = spec.sweep.ok_or(ConversionError::Missing("spec.sweep"))?;
        if round.stage > network.len() || (round.stage > 0 && sweep.order != Order::Taylor) {
            return Err(ConversionError::OutOfRange("job.stage"));
        }
        let residuals = if round.moves_outputs(sweep.order, network.len()) {
            spec.batch_per_shard * network.outputs()
        } else {
            0
        };
        let equations = network.stages()[round.collects(sweep.order, network.len())]
            .iter()
            .map(|stage| {
                let width = stage.unknowns() + stage.conv.channels;
                rows_per_shard(stage, &sweep, spec.shards) * width
            });
        Ok(Self {
            shared: network.weights(),
            rows_in: residuals,
            sums: sweep_layout(network, &sweep, round).len(),
            scalars: StepScalars::count(network.len()),
            rows_out: residuals + equations.sum::<usize>(),
        })
    }

    /// Values of the payload of work for `shards` shards.
    #[must_use]
    pub fn work_floats(&self, shards: usize) -> usize {
        self.shared + shards * self.rows_in
    }

    /// Values of the payload of a reply with `nodes` sums for `shards` shards.
    #[must_use]
    pub fn reply_floats(&self, nodes: usize, shards: usize) -> usize {
        nodes * self.sums + shards * self.rows_out
    }
}
