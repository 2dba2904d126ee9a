//! What a run does, round by round: start, steps, evaluations. Pure: it asks for rounds and takes their
//! totals.

mod memory;
mod outcome;
mod steps;

pub(crate) use self::memory::PlanFacts;
pub use self::outcome::Outcome;

use crate::guard::Guard;
use crate::iterate::Iterate;
use crate::multipliers::Multipliers;
use crate::report::{Evaluation, RunEvent};
use crate::round::RoundTotal;
use crate::start::{KMeansStart, begin};
use lagrange_core::check::Certificate;
use lagrange_core::network::Network;
use lagrange_core::schedule::{Schedule, Sizes};
use lagrange_core::solver::SolveError;
use lagrange_data::{BatchOrder, Partition, Split};
use lagrange_protocol::{ConversionError, Job, Payload, RunSpec, sizes_of};
use std::collections::VecDeque;
use std::sync::Arc;

/// Why a run must end.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// A weight system could not be solved.
    #[error("step {step}: {source}")]
    Solve {
        /// The step, from 0.
        step: u64,
        /// What went wrong.
        source: SolveError,
    },
    /// A job too large for its messages.
    #[error(transparent)]
    Job(#[from] ConversionError),
    /// Totals of another round: a defect of Lagrange.
    #[error("the totals are not of the round that was asked for; please report this")]
    Misfit,
}

/// A run in progress.
#[derive(Debug)]
pub struct Plan {
    spec: RunSpec,
    network: Network,
    partition: Partition,
    schedule: Box<dyn Schedule>,
    now: Iterate,
    guard: Guard,
    orders: Vec<BatchOrder>,
    start: Option<KMeansStart>,
    /// Steps completed.
    step: u64,
    steps_per_epoch: u64,
    total_steps: u64,
    /// Splits to evaluate before the next step.
    due: VecDeque<Split>,
    evaluations: Vec<Evaluation>,
    equations: u64,
    certificate: Certificate,
    /// Checksums of the shards' answers in the rounds of the current step; none before its first.
    checksums: Vec<u32>,
    interrupted: bool,
}

impl Plan {
    /// The run of `spec`, before its first round.
    #[must_use]
    pub fn new(spec: RunSpec) -> Self {
        let (network, partition) = (spec.network(), spec.partition());
        let (config, cut) = (spec.config(), spec.cut());
        let schedule = spec.schedule(&network);
        let steps_per_epoch = spec.steps_per_epoch();
        let lengths = (0..cut.shards).map(|shard| partition.shard_len(Split::Train, shard));
        let (weights, start) = begin(config.start.kind, &network, config.seed);
        let order = |(shard, length)| {
            BatchOrder::new(config.seed, shard, length, cut.samples, steps_per_epoch)
        };
        Self {
            now: Iterate {
                weights,
                multipliers: Multipliers::zeros(lengths.clone(), network.outputs()),
                schedule: schedule.coordinator(),
            },
            guard: Guard::default(),
            orders: lengths.enumerate().map(order).collect(),
            start,
            step: 0,
            steps_per_epoch,
            total_steps: spec.total_steps(),
            due: VecDeque::new(),
            evaluations: Vec::new(),
            equations: 0,
            certificate: Certificate::default(),
            checksums: Vec::new(),
            interrupted: false,
            schedule,
            network,
            partition,
            spec,
        }
    }

    /// The job of the next round and its sizes; `None` when the run is complete.
    ///
    /// # Errors
    /// [`PlanError::Job`]
    pub fn next_job(&self) -> Result<Option<(Job, Sizes)>, PlanError> {
        let job = if let Some(start) = &self.start {
            start.job()
        } else if let Some(&split) = self.due.front() {
            Job::Evaluate { split }
        } else if self.step < self.total_steps && !self.interrupted {
            Job::Round(self.now.schedule.round(self.step))
        } else {
            return Ok(None);
        };
        Ok(Some((job, self.sizes(job)?)))
    }

    /// Sizes of the messages of `job`.
    ///
    /// # Errors
    /// [`ConversionError`] if the run has no such job.
    pub(crate) fn sizes(&self, job: Job) -> Result<Sizes, ConversionError> {
        sizes_of(job, &self.spec, &self.network, &*self.schedule)
    }

    /// Inputs of `job` that all shards share: the weights, then what the schedule adds to a round, or a
    /// Lloyd iteration's centroids.
    #[must_use]
    pub fn shared_inputs(&self, job: Job) -> Payload {
        let mut payload = Payload::new();
        payload.push(Arc::<[f32]>::from(self.now.weights.as_slice()));
        let more = match job {
            Job::Round(round) => Some(self.now.schedule.shared(round)),
            _ => self.start.as_ref().and_then(KMeansStart::inputs),
        };
        if let Some(more) = more.filter(|values| !values.is_empty()) {
            payload.push(more);
        }
        payload
    }

    /// Inputs of `job` for `shards`, in order: the multipliers of the samples whose z_L it moves.
    #[must_use]
    pub fn shard_inputs(&mut self, job: Job, shards: &[u32]) -> Payload {
        let mut payload = Payload::new();
        let Job::Round(round) = job else {
            return payload;
        };
        if self.schedule.sizes(round).is_some_and(|s| s.rows_in > 0) {
            let mut rows = Vec::new();
            for &shard in shards {
                let positions = self.orders[shard as usize].positions(round.step);
                rows.extend(self.now.multipliers.gather(shard as usize, positions));
            }
            payload.push(rows);
        }
        payload
    }

    /// Takes the totals of `job` and moves on; what there is to tell, in order.
    ///
    /// # Errors
    /// [`PlanError::Solve`]: training diverged, and there is no iterate left to go back to. Weights and
    /// multipliers may be those of half a step: the run has no result.
    pub fn absorb(&mut self, job: Job, total: &RoundTotal) -> Result<Vec<RunEvent>, PlanError> {
        let event = match job {
            Job::Round(round) => return self.absorb_round(round, total),
            Job::Evaluate { split } => self.absorb_evaluation(split, total)?,
            Job::InitialCentroids { stage } => self.absorb_start(stage, "patch-seeds", total),
            Job::Cluster { stage } => self.absorb_start(stage, "cluster", total),
            Job::Moments { stage } => self.absorb_start(stage, "moments", total),
        };
        Ok(vec![event])
    }

    fn absorb_start(&mut self, stage: usize, round: &'static str, total: &RoundTotal) -> RunEvent {
        if let Some(start) = self.start.take() {
            let samples = self.start_samples();
            let weights = &mut self.now.weights;
            self.start = start.absorb(&self.network, &total.sums, samples, weights);
        }
        RunEvent::Start { stage, round }
    }

    /// Images that the start looks at, over all shards.
    fn start_samples(&self) -> usize {
        let share = self.spec.config().start.images / self.spec.shards();
        let of_shard = |shard| self.partition.shard_len(Split::Train, shard).min(share);
        (0..self.spec.shards()).map(of_shard).sum()
    }

    fn absorb_evaluation(
        &mut self,
        split: Split,
        total: &RoundTotal,
    ) -> Result<RunEvent, PlanError> {
        let [samples, correct, loss] = *total.scalars else {
            return Err(PlanError::Misfit);
        };
        self.due.pop_front();
        let evaluation = Evaluation {
            step: self.step,
            split,
            samples: samples as u64,
            correct: correct as u64,
            accuracy: correct / samples.max(1.0),
            loss: loss / samples.max(1.0),
        };
        self.evaluations.push(evaluation);
        Ok(RunEvent::Evaluation(evaluation))
    }

    /// The iterate, if `job` was the last evaluation of it.
    pub(crate) fn evaluated(&self, job: Job) -> Option<RunEvent> {
        let is_last = matches!(job, Job::Evaluate { .. }) && self.due.is_empty();
        is_last.then(|| RunEvent::Iterate {
            step: self.step,
            weights: Arc::new(self.now.weights.clone()),
        })
    }

    /// Puts down what is to be evaluated behind the step that has just been completed.
    fn schedule_evaluations(&mut self) {
        let every = match self.spec.config().schedule.evaluate_every {
            0 => self.steps_per_epoch,
            every => every,
        };
        if self.step == self.total_steps {
            self.schedule_final_evaluations();
        } else if self.step.is_multiple_of(every) {
            // Never the test set where there is a validation set.
            self.due.push_back(match self.spec.has_validation() {
                false => Split::Test,
                true => Split::Validation,
            });
        }
    }

    fn schedule_final_evaluations(&mut self) {
        self.due.clear();
        if self.spec.has_validation() {
            self.due.push_back(Split::Validation);
        }
        self.due.push_back(Split::Test);
    }

    /// Does what the next round will need and nobody waits for meanwhile. Whether and when it is called
    /// makes no difference but to time.
    pub fn prepare(&mut self) {
        self.now.schedule.prepare(&self.now.weights);
    }

    /// Skips the remaining steps; the run still ends with its final evaluations.
    pub fn interrupt(&mut self) {
        if !self.interrupted && self.step < self.total_steps {
            self.interrupted = true;
            self.start = None;
            self.schedule_final_evaluations();
        }
    }

    /// Whether [`Plan::interrupt`] cut the run short.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.interrupted
    }

    /// The network trained.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// What workers are told of the run.
    #[must_use]
    pub fn spec(&self) -> &RunSpec {
        &self.spec
    }

    /// The schedule that trains.
    pub(crate) fn schedule(&self) -> &dyn Schedule {
        &*self.schedule
    }

    /// Number of logical shards.
    #[must_use]
    pub fn shards(&self) -> u32 {
        self.spec.shards() as u32
    }

    /// Whether workers hold state from round to round.
    #[must_use]
    pub fn is_stateful(&self) -> bool {
        self.schedule.is_stateful()
    }

    /// Whether `job` goes on from what earlier rounds left on the workers.
    #[must_use]
    pub fn is_stateful_job(&self, job: Job) -> bool {
        self.is_stateful() && matches!(job, Job::Round(_))
    }

    /// Steps completed.
    #[must_use]
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Steps of the whole run.
    #[must_use]
    pub fn total_steps(&self) -> u64 {
        self.total_steps
    }

    /// Splits that are to be evaluated before the next step.
    pub(crate) fn due(&self) -> Vec<Split> {
        self.due.iter().copied().collect()
    }
}
