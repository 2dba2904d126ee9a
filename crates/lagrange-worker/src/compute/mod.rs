//! Computation of replies: every shard's part in parallel, then sums along the fixed tree.

mod buffers;
mod inputs;
mod part;
mod scratch;
mod start;
mod states;

use self::buffers::Buffers;
use self::inputs::Inputs;
use self::part::{Context, Part};
use self::scratch::ScratchPool;
use self::start::Patches;
use self::states::States;
use crate::store::{ShardStore, StoreError};
use lagrange_core::network::Network;
use lagrange_core::schedule::{Schedule, Sizes, StateLost};
use lagrange_core::tree::{Node, PartialSums, add_into};
use lagrange_core::weights::Weights;
use lagrange_protocol::{
    ConversionError, Job, NodeSum, Payload, ReplyHeader, RunSpec, Work, WorkHeader, sizes_of,
};
use rayon::prelude::*;
use std::sync::Arc;

/// Error of computing work.
#[derive(Debug, thiserror::Error)]
pub enum ComputeError {
    /// The data cannot be loaded.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The work contradicts the run.
    #[error("work that does not fit the run: {0}")]
    Misfit(String),
    /// A round that does not continue from the state held here.
    #[error(transparent)]
    StateLost(#[from] StateLost),
    /// A job that this run does not have.
    #[error(transparent)]
    Conversion(#[from] ConversionError),
}

/// A reply before it is framed.
#[derive(Debug)]
pub struct Answer {
    /// Header of the reply.
    pub header: ReplyHeader,
    /// Payload of the reply.
    pub payload: Payload,
}

impl ComputeError {
    fn misfit(text: impl Into<String>) -> Self {
        Self::Misfit(text.into())
    }
}

/// Computation of a run's work, on the shards of a store.
///
/// ```
/// # use lagrange_core::{network::{NetworkSpec, Padding, StageSpec}, start::he};
/// # use lagrange_data::{Dataset, DatasetSummary, Images, LabelledSet, Split};
/// # use lagrange_protocol::{Config, DatasetFacts, RunSpec};
/// # use std::sync::Arc;
/// # let set = |n: u8| LabelledSet {
/// #     images: Images { height: 8, width: 8, channels: 1, pixels: (0..n).flat_map(|i| [i; 64]).collect() },
/// #     labels: (0..n).map(u16::from).collect(),
/// # };
/// # let mut config = Config::default();
/// # let stage = StageSpec { kernel: 3, channels: 2, padding: Padding::Valid };
/// # config.network = NetworkSpec::of_stages(&[stage]);
/// # (config.data.shards, config.schedule.batch) = (2, 4);
/// // 8 training and 4 test images, in 2 shards.
/// let dataset = Arc::new(Dataset::new(set(8), set(4)));
/// let spec = RunSpec::new(config, DatasetFacts::of(&DatasetSummary::of(&dataset)?))?;
/// use lagrange_protocol::{Job, Work, WorkHeader};
/// use lagrange_worker::{Compute, ShardStore};
///
/// let network = spec.network();
/// let payload = he(&network, 1).as_slice().to_vec();
/// let store = ShardStore::new(dataset.clone().into(), dataset.clone(), dataset.sha256(), &spec)?;
/// let header = WorkHeader {
///     run: "run".into(),
///     round: 0,
///     attempt: 1,
///     job: Job::Evaluate { split: Split::Test },
///     shards: vec![0, 1],
///     payload_floats: payload.len() as u64,
///     replay: false,
/// };
/// let answer = Compute::new(spec, network, store).answer(&Work { header, payload })?;
/// // One node covers both shards; its first scalar is the number of samples.
/// assert_eq!((answer.header.nodes.len(), answer.header.nodes[0].scalars[0]), (1, 4.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Compute {
    spec: RunSpec,
    network: Network,
    schedule: Box<dyn Schedule>,
    store: ShardStore,
    inputs: Inputs,
    scratch: ScratchPool,
    buffers: Buffers,
    patches: Patches,
    states: States,
}

impl Compute {
    /// Computation for the run of `spec` with its `network`, on the data of `store`.
    #[must_use]
    pub fn new(spec: RunSpec, network: Network, store: ShardStore) -> Self {
        Self {
            schedule: spec.schedule(&network),
            inputs: Inputs::new(&spec),
            spec,
            network,
            store,
            scratch: ScratchPool::default(),
            buffers: Buffers::default(),
            patches: Patches::default(),
            states: States::default(),
        }
    }

    /// The run's network.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Drops the persistent z and a; a coordinator that the worker rejoins repeats the rounds that make them.
    pub fn forget_states(&self) {
        self.states.forget();
    }

    /// The sizes of `job`'s messages.
    ///
    /// # Errors
    /// [`ConversionError`] if the run has no such job.
    pub fn sizes(&self, job: Job) -> Result<Sizes, ConversionError> {
        sizes_of(job, &self.spec, &self.network, &*self.schedule)
    }

    /// Computes the reply to `work`, in parallel over its shards on the current rayon pool.
    ///
    /// # Errors
    /// [`ComputeError`] if the work does not fit the run, or its data or state are missing.
    pub fn answer(&self, work: &Work) -> Result<Answer, ComputeError> {
        let header = &work.header;
        let sizes = self.check(header)?;
        let expected = sizes.work_values(header.shards.len());
        let found = work.payload.len();
        if found != expected {
            let fault = format!("{found} values where {expected} belong");
            return Err(ComputeError::misfit(fault));
        }
        self.store.hold(&header.shards)?;
        let (shared, rows) = work.payload.split_at(sizes.shared);
        let (weights, shared) = shared.split_at(self.network.weights());
        let weights = Weights::from_flat(&self.network, weights.to_vec())
            .ok_or_else(|| ComputeError::misfit("weights of another network"))?;
        let context = Context {
            job: header.job,
            sizes,
            weights: Arc::new(weights),
            shared,
        };
        let parts = header
            .shards
            .par_iter()
            .enumerate()
            .map(|(number, &shard)| {
                let rows = &rows[number * sizes.rows_in..][..sizes.rows_in];
                self.part(&context, shard, rows)
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(self.assemble(work, parts))
    }

    /// Checks that the run has the job and shards of `header`, and returns the sizes of its messages. Call it
    /// before a payload is allocated.
    ///
    /// # Errors
    /// [`ComputeError`] if the work does not fit the run, or its data or state are missing.
    pub fn check(&self, header: &WorkHeader) -> Result<Sizes, ComputeError> {
        let sizes = self.sizes(header.job)?;
        if !header.shards.is_sorted_by(|a, b| a < b) {
            return Err(ComputeError::misfit("its shards are not in order"));
        }
        let all = self.spec.shards();
        match header.shards.last() {
            Some(&last) if last as usize >= all => {
                Err(ComputeError::misfit(format!("shard {last} of {all}")))
            }
            _ => Ok(sizes),
        }
    }

    fn assemble(&self, work: &Work, parts: Vec<Part>) -> Answer {
        let shards = &work.header.shards;
        let all = self.spec.shards() as u32;
        let mut sums = PartialSums::new(all);
        let (mut rows, mut records) = (Vec::new(), Vec::with_capacity(shards.len()));
        for (&shard, part) in shards.iter().zip(parts) {
            rows.extend(part.rows);
            records.push(part.record);
            let value = (part.sums, part.scalars);
            sums.add(Node::leaf(shard), value, |mut left, right| {
                add_into(&mut left.0, &right.0);
                add_into(&mut left.1, &right.1);
                self.buffers.give_back(right.0);
                left
            });
        }
        let mut sums: Vec<_> = sums.into_nodes().collect();
        sums.sort_by_key(|(node, _)| node.shards(all).start);
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
                records,
            },
            payload,
        }
    }
}
