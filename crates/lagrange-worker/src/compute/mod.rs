//! From work to reply: every shard's part in parallel, then sums along the fixed tree.

mod buffers;
mod classic;
mod scratch;

use self::buffers::Buffers;
use self::scratch::{Kernel, Scratch};
use crate::store::{Shard, ShardStore, StoreError};
use lagrange_core::equations::{EquationLayout, matrix};
use lagrange_core::forward::Forward;
use lagrange_core::network::Network;
use lagrange_core::random::{Purpose, stream};
use lagrange_core::schedule::classic::{ShardState, StateLost};
use lagrange_core::schedule::streaming::{StepInput, StepOutput};
use lagrange_core::start::{cluster_sums, moment_sums, patch_sample, seed_sums};
use lagrange_core::tree::{Node, PartialSums, add_into};
use lagrange_core::weights::Weights;
use lagrange_data::{Normaliser, ShardData};
use lagrange_protocol::{
    ConversionError, Job, JobShape, NodeSum, Payload, ReplyHeader, RunSpec, Work, WorkHeader,
};
use ndarray::Array2;
use rayon::prelude::*;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Why work cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum ComputeError {
    /// The data cannot be had.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The work contradicts the run.
    #[error("work that does not fit the run: {0}")]
    Misfit(String),
    /// A classic round that does not go on from what is here.
    #[error(transparent)]
    StateLost(#[from] StateLost),
    /// A job that this run does not have.
    #[error(transparent)]
    Conversion(#[from] ConversionError),
}

/// A reply before it is framed.
#[derive(Debug)]
pub struct Answer {
    /// Its header.
    pub header: ReplyHeader,
    /// Its payload.
    pub payload: Payload,
}

/// One shard's part of an answer.
#[derive(Debug, Default)]
struct Part {
    sums: Vec<f32>,
    scalars: Vec<f64>,
    rows: Vec<f32>,
}

type StageAndShard = (usize, u32);

/// Does a run's work for the shards of a store.
#[derive(Debug)]
pub struct Compute {
    spec: RunSpec,
    network: Network,
    store: ShardStore,
    layouts: [EquationLayout; 2],
    normaliser: Normaliser,
    scratch: Mutex<Vec<Scratch>>,
    buffers: Buffers,
    /// Work begun so far.
    answered: AtomicU64,
    /// Patches of the stage whose kernels are being found. They depend on the run alone: the weights of earlier stages are settled.
    patches: Mutex<HashMap<StageAndShard, Arc<Array2<f32>>>>,
    /// z and a of the classic schedule.
    states: Mutex<HashMap<u32, ShardState>>,
}

impl Compute {
    /// For the run of `spec` with `network`.
    #[must_use]
    pub fn new(spec: RunSpec, network: Network, store: ShardStore) -> Self {
        Self {
            layouts: [false, true].map(|gram| EquationLayout::new(&network, gram)),
            normaliser: Normaliser::new(spec.normalisation),
            spec,
            network,
            store,
            scratch: Mutex::default(),
            buffers: Buffers::default(),
            answered: AtomicU64::new(0),
            patches: Mutex::default(),
            states: Mutex::default(),
        }
    }

    /// The run's network.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Forgets z and a of the classic schedule: a coordinator met again has them done over.
    pub fn forget_states(&self) {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.clear();
    }

    /// The sizes of `job`'s messages.
    ///
    /// # Errors
    /// [`ConversionError`] if the network has no such job.
    pub fn shape(&self, job: Job) -> Result<JobShape, ConversionError> {
        JobShape::of(job, &self.spec, &self.network)
    }

    /// Does `work`, in parallel over its shards on the current rayon pool.
    ///
    /// # Errors
    /// [`ComputeError`]
    pub fn answer(&self, work: &Work) -> Result<Answer, ComputeError> {
        let header = &work.header;
        let shape = self.check(header)?;
        let expected = shape.work_floats(header.shards.len());
        if work.payload.len() != expected {
            return Err(ComputeError::Misfit(format!(
                "{} values where {expected} belong",
                work.payload.len()
            )));
        }
        self.store.hold(&header.shards)?;
        let (shared, rows) = work.payload.split_at(shape.shared);
        let (weights, extra) = shared.split_at(self.network.weights());
        let weights = Weights::from_flat(&self.network, weights.to_vec())
            .ok_or_else(|| ComputeError::Misfit("weights of another network".to_owned()))?;
        let context = Context {
            job: header.job,
            number: self.answered.fetch_add(1, Ordering::Relaxed) + 1,
            weights,
            extra,
        };
        let parts = header
            .shards
            .par_iter()
            .enumerate()
            .map(|(index, &shard)| {
                let rows = &rows[index * shape.rows_in..][..shape.rows_in];
                self.part(&context, shape, shard, rows)
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(self.assemble(work, parts))
    }

    /// Checks that `header` asks for something that this run has, of shards that it has; the sizes of its messages. Nothing may be
    /// allocated for a payload before that.
    ///
    /// # Errors
    /// [`ComputeError`]
    pub fn check(&self, header: &WorkHeader) -> Result<JobShape, ComputeError> {
        let misfit = |text: String| Err(ComputeError::Misfit(text));
        let shape = self.shape(header.job)?;
        if !header.shards.is_sorted_by(|a, b| a < b) {
            return misfit("its shards are not in order".to_owned());
        }
        match header.shards.last() {
            Some(&last) if last as usize >= self.spec.shards => {
                misfit(format!("shard {last} of {}", self.spec.shards))
            }
            _ => Ok(shape),
        }
    }

    fn assemble(&self, work: &Work, parts: Vec<Part>) -> Answer {
        let shards = &work.header.shards;
        let mut sums = PartialSums::new(self.spec.shards as u32);
        let mut rows = Vec::new();
        for (&shard, part) in shards.iter().zip(parts) {
            rows.extend(part.rows);
            let value = (part.sums, part.scalars);
            sums.add(Node::leaf(shard), value, |mut left, right| {
                add_into(&mut left.0, &right.0);
                add_into(&mut left.1, &right.1);
                self.buffers.give_back(right.0);
                left
            });
        }
        let mut sums: Vec<_> = sums.into_nodes().collect();
        sums.sort_by_key(|(node, _)| node.shards(self.spec.shards as u32).start);
        let mut payload = Payload::new();
        let mut nodes = Vec::with_capacity(sums.len());
        for (node, (values, scalars)) in sums {
            payload.push(self.buffers.lend(values));
            nodes.push(NodeSum { node, scalars });
        }
        payload.push(rows);
        Answer {
            header: ReplyHeader {
                run: work.header.run.clone(),
                round: work.header.round,
                attempt: work.header.attempt,
                nodes,
                shards: shards.clone(),
                payload_floats: payload.floats() as u64,
            },
            payload,
        }
    }

    fn part(
        &self,
        context: &Context<'_>,
        shape: JobShape,
        index: u32,
        rows: &[f32],
    ) -> Result<Part, ComputeError> {
        let shard = self
            .store
            .shard(index)
            .ok_or_else(|| ComputeError::Misfit(format!("shard {index} is not held")))?;
        let mut part = Part {
            sums: self.buffers.take(shape.sums),
            ..Part::default()
        };
        match context.job {
            Job::Step { step, gram } => {
                part.rows = vec![0.0; shape.rows_out];
                self.step(context, (step, gram), (index, &shard), rows, &mut part);
            }
            Job::Sweep(round) => {
                part.rows = vec![0.0; shape.rows_out];
                self.sweep(context, round, (index, &shard), rows, &mut part)?;
            }
            Job::Evaluate { split } => {
                part.scalars = self
                    .with_scratch(|scratch| self.evaluate(context, scratch, shard.split(split)));
            }
            Job::PatchSeeds { stage } => {
                let patches = self.patches(context, stage, index, &shard);
                let channels = self.network.stages()[stage].conv.channels;
                seed_sums(
                    patches.view(),
                    channels,
                    index as usize,
                    self.spec.shards,
                    &mut part.sums,
                );
            }
            Job::Cluster { stage } => {
                let patches = self.patches(context, stage, index, &shard);
                let stage = &self.network.stages()[stage];
                let centroids = matrix(context.extra, stage.conv.channels, stage.patch());
                cluster_sums(patches.view(), centroids, &mut part.sums);
            }
            Job::Moments { stage } => {
                let forward = self.start_forward(context, &shard.train, stage + 1);
                moment_sums(
                    &forward,
                    &self.network.stages()[stage],
                    stage,
                    &mut part.sums,
                );
            }
        }
        Ok(part)
    }

    fn step(
        &self,
        context: &Context<'_>,
        (step, gram): (u64, bool),
        (index, shard): (u32, &Shard),
        multipliers: &[f32],
        part: &mut Part,
    ) {
        let positions: Vec<u32> = {
            let mut order = shard.order.lock().unwrap_or_else(PoisonError::into_inner);
            order.positions(step).to_vec()
        };
        self.with_scratch(|scratch| {
            let samples = positions.iter().map(|&position| position as usize);
            self.load(scratch, &shard.train, samples, Some((index, step)));
            scratch.load_weights(context.number, &context.weights);
            let input = StepInput {
                images: &scratch.images,
                targets: &scratch.targets,
                multipliers,
                penalty_factor: context.extra.first().copied().unwrap_or(1.0),
                key: (self.spec.seed, index.into(), step),
            };
            let output = StepOutput {
                sums: &mut part.sums,
                residuals: &mut part.rows,
            };
            let layout = &self.layouts[usize::from(gram)];
            if let Kernel::Streaming(kernel) = &mut scratch.kernel {
                part.scalars = kernel.run(layout, &input, output).to_row();
            }
        });
    }

    /// Samples, correct predictions and summed loss of one shard of a split.
    fn evaluate(&self, context: &Context<'_>, scratch: &mut Scratch, data: &ShardData) -> Vec<f64> {
        let (mut correct, mut loss) = (0u64, 0.0f64);
        scratch.load_weights(context.number, &context.weights);
        let block = scratch.kernel.forward().capacity();
        for start in (0..data.len()).step_by(block) {
            let positions = start..data.len().min(start + block);
            self.load(scratch, data, positions.clone(), None);
            let forward = scratch.kernel.forward();
            forward.run(&scratch.images);
            let width = self.network.outputs();
            for (position, outputs) in positions.zip(forward.outputs().chunks_exact(width)) {
                let label = data.label(position);
                correct += u64::from(self.spec.task.is_correct(outputs, label));
                for (output, &z) in outputs.iter().enumerate() {
                    let y = self.spec.task.target(label, output);
                    loss += f64::from(self.spec.step.loss.value(z, y));
                }
            }
        }
        vec![data.len() as f64, correct as f64, loss]
    }

    /// Normalises the samples at `positions`, moved at random if `augment` gives shard and step, and writes their targets.
    fn load(
        &self,
        scratch: &mut Scratch,
        data: &ShardData,
        positions: impl ExactSizeIterator<Item = usize>,
        augment: Option<(u32, u64)>,
    ) {
        let augment = augment.filter(|_| !self.spec.augment.is_none());
        let mut random = augment
            .map(|(shard, step)| stream(self.spec.seed, Purpose::Augment, shard.into(), step));
        let image = self.network.input().len();
        let outputs = self.network.outputs();
        scratch.images.resize(positions.len() * image, 0.0);
        scratch.targets.clear();
        for (position, inputs) in positions.zip(scratch.images.chunks_exact_mut(image)) {
            let pixels = data.image(position);
            match &mut random {
                Some(random) => {
                    let image = (pixels, self.spec.side);
                    let normalisation = self.spec.normalisation;
                    self.spec
                        .augment
                        .apply(random, image, normalisation, inputs);
                }
                None => self.normaliser.apply(pixels, inputs),
            }
            let label = data.label(position);
            scratch
                .targets
                .extend((0..outputs).map(|output| self.spec.task.target(label, output)));
        }
    }

    /// The forward pass of the start's images, evenly spread over the shard, through `stages` stages.
    fn start_forward(&self, context: &Context<'_>, data: &ShardData, stages: usize) -> Forward {
        let count = data.len().min(self.spec.start_images);
        let image = self.network.input().len();
        let mut images = vec![0.0; count * image];
        for (index, inputs) in images.chunks_exact_mut(image).enumerate() {
            self.normaliser
                .apply(data.image(index * data.len() / count), inputs);
        }
        let mut forward = Forward::new(&self.network, count);
        forward.load(&context.weights);
        forward.run_through(&images, stages);
        forward
    }

    fn patches(
        &self,
        context: &Context<'_>,
        stage: usize,
        index: u32,
        shard: &Shard,
    ) -> Arc<Array2<f32>> {
        let lock = || self.patches.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = lock().get(&(stage, index)) {
            return Arc::clone(found);
        }
        let forward = self.start_forward(context, &shard.train, stage);
        let key = (self.spec.seed, index.into());
        let shape = &self.network.stages()[stage];
        let patches = Arc::new(patch_sample(
            &forward,
            shape,
            stage,
            self.spec.start_patches,
            key,
        ));
        let mut cache = lock();
        cache.retain(|&(cached, _), _| cached == stage);
        cache.insert((stage, index), Arc::clone(&patches));
        patches
    }

    /// Runs `work` with one thread's buffers, made when more threads than ever before are at work.
    fn with_scratch<T>(&self, work: impl FnOnce(&mut Scratch) -> T) -> T {
        let lock = || self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = lock().pop();
        let mut scratch = idle.unwrap_or_else(|| Scratch {
            kernel: Kernel::new(&self.spec, &self.network),
            loaded: 0,
            images: Vec::new(),
            targets: Vec::new(),
        });
        let result = work(&mut scratch);
        lock().push(scratch);
        result
    }
}

/// What all shards of a round share.
struct Context<'a> {
    job: Job,
    /// Tells its weights from those of other rounds; never 0.
    number: u64,
    weights: Weights,
    /// Shared inputs behind the weights.
    extra: &'a [f32],
}
