//! Schedules: the order in which the blocks of the augmented objective are minimised, on workers and
//! coordinator.
//!
//! A step is one or more [`Round`]s. In each round the [`WorkerHalf`] of the schedule turns every shard's
//! samples into sums, and the [`CoordinatorHalf`] updates the weights from their totals. The schedules are
//! [`streaming`] and [`classic`]; [`schedule()`] makes one of its parameters.
//!
//! # Layout
//!
//! * `params`: [`ScheduleParams`] and [`ClassicParams`], all parameters with defaults and ranges.
//! * [`streaming`], [`classic`]: the schedules.
//! * `sweep`: updates of z and a for one block of samples, shared by all schedules.
//! * `state`: [`ShardState`], z and a that persist from step to step.
//! * `update`: a step of the weights from Gram matrices and cross moments.
//! * `memory`: [`Memory`], the coordinator half's state in a checkpoint.

pub mod classic;
mod memory;
mod params;
mod state;
pub mod streaming;
mod sweep;
mod update;

pub use memory::{Memory, MemoryError};
pub use params::{
    BlockOrder, ClassicParams, ClassicUpdate, Fit, HiddenStep, InitialState, Metric, ParamError,
    ScheduleKind, ScheduleParams, SolverKind, ranged,
};
pub use state::{ShardState, StateLost};
pub use update::StageMetrics;

pub(crate) use update::WeightUpdate;

use crate::check::Checks;
use crate::forward::Forward;
use crate::network::Network;
use crate::penalties::Penalties;
use crate::residual::StepScalars;
use crate::solver::SolveError;
use crate::weights::Weights;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::ops::Range;

/// One exchange between the coordinator and all shards within a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Round {
    /// Step of the run, from 0.
    pub step: u64,
    /// Number of the round within its step.
    pub stage: usize,
    /// Whether shards send optional Gram matrices: refreshes of the streaming schedule, audits of the classic
    /// one.
    pub gram: bool,
}

/// Sizes of a round's messages, in values.
///
/// ```
/// use lagrange_core::schedule::Sizes;
///
/// let sizes = Sizes { shared: 100, rows_in: 8, sums: 50, scalars: 9, rows_out: 8 };
/// // Work for 3 shards, and a reply with 2 nodes of the reduction tree.
/// assert_eq!((sizes.work_values(3), sizes.reply_values(2, 3)), (124, 124));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sizes {
    /// Inputs shared by all shards: the weights, followed by [`CoordinatorHalf::shared`].
    pub shared: usize,
    /// Inputs of each shard: the multipliers of its samples.
    pub rows_in: usize,
    /// Sums of each node of the reduction tree.
    pub sums: usize,
    /// Scalar sums of each node.
    pub scalars: usize,
    /// Outputs of each shard that are not summed: the residuals of its outputs, `rows_in` of them, then its
    /// equations.
    pub rows_out: usize,
}

impl Sizes {
    /// Values of the payload of work for `shards` shards.
    #[must_use]
    pub fn work_values(&self, shards: usize) -> usize {
        self.shared + shards * self.rows_in
    }

    /// Values of the payload of a reply with `nodes` sums for `shards` shards.
    #[must_use]
    pub fn reply_values(&self, nodes: usize, shards: usize) -> usize {
        nodes * self.sums + shards * self.rows_out
    }
}

/// Samples of a step, shard by shard: the same number in every step of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Logical shards.
    pub shards: usize,
    /// Samples that a step takes of each shard.
    pub samples: usize,
}

/// Input of one shard's round: n samples.
#[derive(Debug, Clone, Copy)]
pub struct ShardInput<'a> {
    /// Normalised samples, `[n, H, W, C]`.
    pub images: &'a [f32],
    /// Targets y, `[n, O]`, each +1 or -1.
    pub targets: &'a [f32],
    /// Weights of the samples' losses, `[n]`; empty where all are 1.
    pub weights: &'a [f32],
    /// Multipliers of these samples, `[n, O]`; empty in rounds that do not move z_L.
    pub multipliers: &'a [f32],
    /// The samples' positions within the shard.
    pub positions: &'a [u32],
    /// Inputs shared by all shards, after the weights.
    pub shared: &'a [f32],
    /// The weights that [`Forward::load`] has taken.
    pub loaded: &'a Weights,
    /// Key of random draws: (seed, shard).
    pub key: (u64, u64),
}

impl<'a> ShardInput<'a> {
    /// The input of a range of its samples, with `image` values and `outputs` outputs each.
    fn part(&self, samples: Range<usize>, image: usize, outputs: usize) -> Self {
        let part = |values: &'a [f32], length: usize| match values {
            [] => values,
            values => &values[samples.start * length..samples.end * length],
        };
        Self {
            images: part(self.images, image),
            targets: part(self.targets, outputs),
            weights: part(self.weights, 1),
            multipliers: part(self.multipliers, outputs),
            positions: &self.positions[samples.clone()],
            ..*self
        }
    }
}

/// Output buffers of one shard's round, which are overwritten. Sums and rows have the round's [`Sizes`].
#[derive(Debug)]
pub struct ShardOutput<'a> {
    /// Sums.
    pub sums: &'a mut [f32],
    /// Output residuals z_L - m_L, `[n, O]`, where the round moves z_L; then equations.
    pub rows: &'a mut [f32],
    /// What the checks of the round came to.
    pub checks: &'a mut Checks,
}

/// Totals of a round over all shards.
#[derive(Debug, Clone, Copy)]
pub struct Totals<'a> {
    /// Sums over all shards.
    pub sums: &'a [f32],
    /// Scalar sums over all shards.
    pub scalars: &'a StepScalars,
    /// Each shard's equations.
    pub equations: &'a [&'a [f32]],
}

/// Diagnostics of one stage's solve, in steps that solve for the weights themselves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StageSolve {
    /// Rank of the system.
    pub rank: usize,
    /// `|W - W_full| / |W_full|` for the solution W_full of all rows' normal equations, in an audited round.
    pub distance: Option<f64>,
}

/// Result of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepDone {
    /// Scalar sums over the step's samples.
    pub scalars: StepScalars,
    /// The augmented objective at the updated z and a, summed over the samples.
    pub objective: f64,
    /// Penalties that the step was computed with.
    pub penalties: Penalties,
    /// Movement of each stage's weights.
    pub stages: Vec<StageMetrics>,
    /// Diagnostics of each stage's solve; empty if weights move by steps.
    pub solves: Vec<StageSolve>,
    /// Toeplitz rows, hence equations per output, that each stage's weights were fitted to.
    pub equations: Vec<usize>,
    /// What the checks of the step's solves came to.
    pub checks: Checks,
}

/// A schedule: a division of training into rounds.
///
/// ```
/// # use lagrange_core::network::{Network, NetworkSpec, Padding, Shape, StageSpec};
/// # use lagrange_core::start::he;
/// use lagrange_core::check::Checks;
/// use lagrange_core::schedule::{
///     ClassicParams, Cut, ScheduleParams, ShardInput, ShardOutput, Totals, schedule,
/// };
/// # let stage = StageSpec { kernel: 3, channels: 2, padding: Padding::Valid };
/// # let spec = NetworkSpec::of_stages(&[stage]);
/// # let network = Network::resolve(&spec, Shape { height: 6, width: 6, channels: 1 }, 1)?;
/// # let images: Vec<f32> = (0..72).map(|i| (i * i % 7) as f32 - 3.0).collect();
/// # let mut weights = he(&network, 1);
///
/// // One step of one shard with two samples.
/// let (params, cut) = (ScheduleParams::default(), Cut { shards: 1, samples: 2 });
/// let schedule = schedule(&params, &ClassicParams::default(), &network, cut);
/// let (mut worker, mut coordinator) = (schedule.worker(), schedule.coordinator());
/// let round = coordinator.round(0);
/// let sizes = schedule.sizes(round).expect("a round of the schedule");
/// let (mut sums, mut rows) = (vec![0.0; sizes.sums], vec![0.0; sizes.rows_out]);
/// let mut checks = Checks::default();
/// worker.forward().load(&weights);
/// let input = ShardInput {
///     images: &images,
///     targets: &[1.0, -1.0],
///     weights: &[],
///     multipliers: &[0.0; 2],
///     positions: &[0, 1],
///     shared: &coordinator.shared(round),
///     loaded: &weights,
///     key: (1, 0),
/// };
/// let output = ShardOutput { sums: &mut sums, rows: &mut rows, checks: &mut checks };
/// let scalars = worker.run(round, &input, None, output);
/// let totals = Totals { sums: &sums, scalars: &scalars, equations: &[] };
/// let done = coordinator.absorb(round, &totals, 1.0, &mut weights)?.expect("the only round");
/// // The updates of z and a have lowered the augmented objective.
/// assert!(done.objective < done.scalars.loss);
/// assert!(checks.tallies().iter().all(|tally| tally.ran > 0 && tally.held == tally.ran));
/// assert_ne!(weights, he(&network, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Schedule: Debug + Send + Sync {
    /// Sizes of a round's messages; `None` if no step has such a round.
    fn sizes(&self, round: Round) -> Option<Sizes>;

    /// Step and number of the round after `round`.
    fn next(&self, round: Round) -> (u64, usize);

    /// Whether shards keep z and a from round to round: a [`ShardState`] each.
    fn is_stateful(&self) -> bool;

    /// The worker's half, with the buffers of one thread.
    fn worker(&self) -> Box<dyn WorkerHalf>;

    /// The coordinator's half, before the first step.
    fn coordinator(&self) -> Box<dyn CoordinatorHalf>;
}

/// Worker half of a schedule: samples of a shard to sums.
pub trait WorkerHalf: Debug + Send {
    /// The forward pass, whose [`Forward::load`] takes the weights of the following rounds.
    fn forward(&mut self) -> &mut Forward;

    /// One shard's round, with the weights loaded last. `state` is the shard's, already advanced past this
    /// round, where the schedule is stateful.
    ///
    /// # Panics
    /// If a slice does not have the length its documentation gives.
    fn run(
        &mut self,
        round: Round,
        input: &ShardInput<'_>,
        state: Option<&mut ShardState>,
        output: ShardOutput<'_>,
    ) -> StepScalars;
}

/// Coordinator half of a schedule: totals of rounds to weights.
pub trait CoordinatorHalf: Debug + Send + Sync {
    /// The next round, in `step`.
    fn round(&self, step: u64) -> Round;

    /// Inputs of `round` shared by all shards, after the weights.
    fn shared(&self, round: Round) -> Vec<f32>;

    /// Penalties in `step`, the next one or the current one.
    fn penalties(&self, step: u64) -> Penalties;

    /// Whether no step is half done.
    fn is_between_steps(&self) -> bool;

    /// Prepares the next round while workers compute. Optional: calls change timing only, never results.
    fn prepare(&mut self, weights: &Weights);

    /// Updates `weights` from a round's totals; `rate` scales their steps. Returns the step's result after
    /// its last round.
    ///
    /// # Errors
    /// [`SolveError`]: training diverged, or a system has no solution.
    fn absorb(
        &mut self,
        round: Round,
        totals: &Totals<'_>,
        rate: f32,
        weights: &mut Weights,
    ) -> Result<Option<StepDone>, SolveError>;

    /// A copy to return to when training diverges; `None` for a schedule with nothing to return to.
    fn fork(&self) -> Option<Box<dyn CoordinatorHalf>>;

    /// State between two steps, for a checkpoint: a run restored from it continues with the same bits.
    fn memory(&self) -> Memory;

    /// Restores the state of `memory`.
    ///
    /// # Errors
    /// [`MemoryError`] if it does not belong to this schedule and network.
    fn restore(&mut self, memory: &Memory) -> Result<(), MemoryError>;
}

/// The schedule of `params` and `classic` for `network`, with `cut` samples in a step.
///
/// ```
/// # use lagrange_core::network::{Network, NetworkSpec, Shape};
/// # let image = Shape { height: 28, width: 28, channels: 1 };
/// # let network = Network::resolve(&NetworkSpec::default(), image, 10)?;
/// use lagrange_core::schedule::{ClassicParams, Cut, ScheduleParams, schedule};
///
/// let (params, classic) = (ScheduleParams::default(), ClassicParams::default());
/// let schedule = schedule(&params, &classic, &network, Cut { shards: 2, samples: 4 });
/// let round = schedule.coordinator().round(0);
/// // A streaming step is one round; each shard gets the multipliers of 4 samples with 10 outputs.
/// assert_eq!(schedule.next(round), (1, 0));
/// assert_eq!(schedule.sizes(round).map(|sizes| sizes.rows_in), Some(4 * 10));
/// assert!(!schedule.is_stateful());
/// # Ok::<(), lagrange_core::network::NetworkError>(())
/// ```
#[must_use]
pub fn schedule(
    params: &ScheduleParams,
    classic: &ClassicParams,
    network: &Network,
    cut: Cut,
) -> Box<dyn Schedule> {
    match params.kind {
        ScheduleKind::Streaming => Box::new(streaming::Streaming::new(params, network, cut)),
        ScheduleKind::Classic => Box::new(classic::Classic::new(params, classic, network, cut)),
    }
}
