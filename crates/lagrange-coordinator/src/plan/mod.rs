//! What a run does, round by round: start, steps, evaluations. Pure: it asks for rounds and takes their totals.

mod steps;

use crate::balance::Balance;
use crate::classic::ClassicSteps;
use crate::guard::Guard;
use crate::multipliers::{Multipliers, sha256_of};
use crate::report::{Evaluation, Report};
use crate::round::RoundTotal;
use crate::run_plan::{PlanError, RunPlan};
use crate::start::{KMeansStart, begin};
use lagrange_core::equations::EquationLayout;
use lagrange_core::network::Network;
use lagrange_core::schedule::streaming::WeightUpdate;
use lagrange_core::weights::Weights;
use lagrange_data::{BatchOrder, Partition, Split};
use lagrange_protocol::{Job, JobShape, Payload, RunSpec};
use std::collections::VecDeque;
use std::sync::Arc;

/// Every one of the first steps refreshes the Gram matrices, whatever `gram_every` says: one batch's sample has too few rows to
/// tell what the next batch needs.
const GRAM_WARM_UP: u64 = 8;

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The network.
    pub network: Network,
    /// Final weights.
    pub weights: Weights,
    /// SHA-256 of the weights as little-endian f32, in hexadecimal.
    pub weights_sha256: String,
    /// SHA-256 of the multipliers, likewise.
    pub multipliers_sha256: String,
    /// Steps completed.
    pub steps: u64,
    /// How often training diverged and was taken up again from an earlier point.
    pub rollbacks: u32,
    /// Equations per output that weight updates were fitted to, over all stages and steps.
    pub equations: u64,
    /// Whether it was asked to stop before its last step.
    pub interrupted: bool,
    /// The last evaluation of each split.
    pub evaluations: Vec<Evaluation>,
}

impl Outcome {
    /// The last evaluation of `split`, if there was one.
    #[must_use]
    pub fn evaluation(&self, split: Split) -> Option<&Evaluation> {
        self.evaluations.iter().rev().find(|e| e.split == split)
    }
}

/// How a run's steps are taken.
#[derive(Debug)]
pub(crate) enum Steps {
    Streaming(Box<WeightUpdate>),
    Classic(Box<ClassicSteps>),
}

/// A run in progress.
#[derive(Debug)]
pub struct Plan {
    run: RunPlan,
    pub(crate) network: Network,
    partition: Partition,
    pub(crate) weights: Weights,
    pub(crate) steps: Steps,
    pub(crate) guard: Guard,
    pub(crate) balance: Balance,
    pub(crate) multipliers: Multipliers,
    orders: Vec<BatchOrder>,
    /// Layouts without and with Gram triangles.
    layouts: [EquationLayout; 2],
    pub(crate) start: Option<KMeansStart>,
    pub(crate) step: u64,
    steps_per_epoch: u64,
    pub(crate) total_steps: u64,
    /// Splits to evaluate before the next step.
    pub(crate) due: VecDeque<Split>,
    pub(crate) evaluations: Vec<Evaluation>,
    pub(crate) equations: u64,
    interrupted: bool,
}

impl Plan {
    /// Checks everything and prepares the first round.
    ///
    /// # Errors
    /// [`PlanError`]
    pub fn new(run: RunPlan, partition: Partition) -> Result<Self, PlanError> {
        run.check()?;
        let spec = &run.spec;
        let network = spec.resolve()?;
        let batch = spec.batch_per_shard;
        let steps_per_epoch = partition.steps_per_epoch(batch)?;
        let shards = partition.shards();
        let lengths = (0..shards).map(|shard| partition.shard_len(Split::Train, shard));
        let (weights, start) = begin(run.start, &network, spec.seed);
        let gram_rows = shards * spec.step.gram_rows;
        Ok(Self {
            steps: match run.classic {
                None => {
                    let rows = Some(gram_rows);
                    let update = WeightUpdate::new(&network, run.update, shards * batch, rows)
                        .factorise_behind(GRAM_WARM_UP as u16);
                    Steps::Streaming(Box::new(update))
                }
                Some(plan) => {
                    let steps = ClassicSteps::new(plan, &network, run.update, shards * batch);
                    Steps::Classic(Box::new(steps))
                }
            },
            guard: Guard::default(),
            balance: Balance::new(run.balance),
            multipliers: Multipliers::zeros(lengths.clone(), network.outputs()),
            orders: lengths
                .enumerate()
                .map(|(shard, len)| BatchOrder::new(spec.seed, shard, len, batch, steps_per_epoch))
                .collect(),
            layouts: [false, true].map(|gram| EquationLayout::new(&network, gram)),
            weights,
            start,
            step: 0,
            steps_per_epoch,
            total_steps: ((steps_per_epoch as f64 * run.epochs).round() as u64).max(1),
            due: VecDeque::new(),
            evaluations: Vec::new(),
            equations: 0,
            interrupted: false,
            network,
            partition,
            run,
        })
    }

    /// The job of the next round and its shape; `None` when the run is complete.
    ///
    /// # Errors
    /// [`PlanError::Job`]
    pub fn next_job(&self) -> Result<Option<(Job, JobShape)>, PlanError> {
        let job = if let Some(start) = &self.start {
            start.job()
        } else if let Some(&split) = self.due.front() {
            Job::Evaluate { split }
        } else if self.step < self.total_steps && !self.interrupted {
            match &self.steps {
                Steps::Streaming(update) => Job::Step {
                    step: self.step,
                    gram: self.step < GRAM_WARM_UP
                        || self.step.is_multiple_of(self.run.gram_every)
                        // Training may have gone back to its very beginning.
                        || update.is_new(),
                },
                Steps::Classic(steps) => Job::Sweep(steps.round(self.step)),
            }
        } else {
            return Ok(None);
        };
        let shape = JobShape::of(job, &self.run.spec, &self.network)?;
        Ok(Some((job, shape)))
    }

    /// Inputs of `job` that all shards share: the weights, then a step's penalty factor, or a Lloyd iteration's centroids.
    #[must_use]
    pub fn shared_inputs(&self, job: Job) -> Payload {
        let mut payload = Payload::new();
        payload.push(Arc::<[f32]>::from(self.weights.as_slice()));
        if matches!(job, Job::Step { .. }) {
            payload.push([self.balance.factor()]);
        }
        if let Some(centroids) = self.start.as_ref().and_then(KMeansStart::inputs) {
            payload.push(centroids);
        }
        payload
    }

    /// Inputs of `job` for `shards`, in order: the multipliers of a step's samples.
    #[must_use]
    pub fn shard_inputs(&mut self, job: Job, shards: &[u32]) -> Payload {
        let mut payload = Payload::new();
        let step = match (job, &self.steps) {
            (Job::Step { step, .. }, _) => Some(step),
            (Job::Sweep(round), Steps::Classic(steps)) => {
                steps.moves_outputs(round).then_some(round.step)
            }
            _ => None,
        };
        if let Some(step) = step {
            let mut rows = Vec::new();
            for &shard in shards {
                let positions = self.orders[shard as usize].positions(step);
                rows.extend(self.multipliers.gather(shard as usize, positions));
            }
            payload.push(rows);
        }
        payload
    }

    /// Takes the totals of `job` and moves on; what there is to tell, if anything.
    ///
    /// # Errors
    /// [`PlanError::Solve`]: training diverged, and there is no point left to go back to. Weights and
    /// multipliers may be those of half a step: the run has no result.
    pub fn absorb(&mut self, job: Job, total: &RoundTotal) -> Result<Option<Report>, PlanError> {
        match job {
            Job::Step { step, gram } => self.absorb_step(step, gram, total).map(Some),
            Job::Sweep(round) => self.absorb_sweep(round, total),
            Job::Evaluate { split } => Ok(Some(self.absorb_evaluation(split, total))),
            Job::PatchSeeds { stage } | Job::Cluster { stage } | Job::Moments { stage } => {
                if let Some(start) = self.start.take() {
                    let samples = self.start_samples();
                    self.start =
                        start.absorb(&self.network, &total.sums, samples, &mut self.weights);
                }
                let round = match job {
                    Job::PatchSeeds { .. } => "patch-seeds",
                    Job::Cluster { .. } => "cluster",
                    _ => "moments",
                };
                Ok(Some(Report::Start { stage, round }))
            }
        }
    }

    /// Images that the start looks at, over all shards.
    fn start_samples(&self) -> usize {
        (0..self.partition.shards())
            .map(|shard| {
                let len = self.partition.shard_len(Split::Train, shard);
                len.min(self.run.spec.start_images)
            })
            .sum()
    }

    fn evaluate_every(&self) -> u64 {
        match self.run.evaluate_every {
            0 => self.steps_per_epoch,
            every => every,
        }
    }

    /// The split whose accuracy is watched during training: never the test set where a validation set is held out.
    fn watched_split(&self) -> Split {
        if self.run.spec.validation > 0 {
            Split::Validation
        } else {
            Split::Test
        }
    }

    fn schedule_final_evaluations(&mut self) {
        self.due.clear();
        if self.run.spec.validation > 0 {
            self.due.push_back(Split::Validation);
        }
        self.due.push_back(Split::Test);
    }

    fn absorb_evaluation(&mut self, split: Split, total: &RoundTotal) -> Report {
        self.due.pop_front();
        let [samples, correct, loss] =
            [0, 1, 2].map(|i| total.scalars.get(i).copied().unwrap_or(0.0));
        let evaluation = Evaluation {
            step: self.step,
            split,
            samples: samples as u64,
            correct: correct as u64,
            accuracy: correct / samples.max(1.0),
            loss: loss / samples.max(1.0),
        };
        self.evaluations.push(evaluation);
        Report::Evaluation(evaluation)
    }

    /// Does what the next step will need and nobody waits for meanwhile. Whether and when it is called makes no difference but to time.
    pub fn prepare(&mut self) {
        if let Steps::Streaming(update) = &mut self.steps {
            // What fails now fails again in the step, which reports it.
            let _ = update.settle(&self.weights);
        }
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
        &self.run.spec
    }

    /// Number of logical shards.
    #[must_use]
    pub fn shards(&self) -> u32 {
        self.partition.shards() as u32
    }

    /// Whether workers hold state from round to round.
    #[must_use]
    pub fn is_stateful(&self) -> bool {
        matches!(&self.steps, Steps::Classic(steps) if steps.is_stateful())
    }

    /// Whether `job` goes on from what earlier rounds left on the workers.
    #[must_use]
    pub fn is_stateful_job(&self, job: Job) -> bool {
        self.is_stateful() && matches!(job, Job::Sweep(_))
    }

    /// Steps of the whole run.
    #[must_use]
    pub fn total_steps(&self) -> u64 {
        self.total_steps
    }

    /// How the run ended.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        Outcome {
            network: self.network.clone(),
            weights_sha256: sha256_of(self.weights.as_slice().iter()),
            multipliers_sha256: self.multipliers.sha256(),
            weights: self.weights.clone(),
            steps: self.step,
            rollbacks: self.guard.returns(),
            equations: self.equations,
            interrupted: self.interrupted,
            evaluations: self.evaluations.clone(),
        }
    }
}
