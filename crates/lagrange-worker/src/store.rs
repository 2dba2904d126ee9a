//! Shards held by a worker. Of a packed set and of the embedded MNIST one block is in memory while shards are
//! cut from it; of any other set the whole.

use lagrange_core::network::Shape;
use lagrange_data::{
    BatchOrder, Dataset, Partition, PartitionError, ShardData, Split, SplitCounts,
};
use lagrange_import::{LoadError, Opened, ShardSplits, Source, open};
use lagrange_protocol::RunSpec;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Source of a worker's data.
///
/// ```
/// use lagrange_data::{Dataset, Images, LabelledSet};
/// use lagrange_worker::DataSource;
/// use std::sync::Arc;
///
/// let images = Images { height: 1, width: 1, channels: 1, pixels: vec![0, 255] };
/// let set = LabelledSet { images, labels: vec![0, 1] };
/// let dataset = Arc::new(Dataset::new(set.clone(), set));
/// let (loaded, hash) = DataSource::from(dataset.clone()).load()?;
/// assert!(loaded.shape().len() == 1 && hash == dataset.sha256());
/// # Ok::<(), lagrange_import::LoadError>(())
/// ```
#[derive(Debug, Clone)]
pub enum DataSource {
    /// The embedded MNIST, or whatever set a source holds; loaded again when new shards are needed.
    Files(Option<Source>),
    /// A set in this process, shared with others.
    Shared(Arc<Dataset>),
}

impl From<Arc<Dataset>> for DataSource {
    fn from(dataset: Arc<Dataset>) -> Self {
        Self::Shared(dataset)
    }
}

impl DataSource {
    /// Opens the set, with its hash.
    ///
    /// # Errors
    /// [`LoadError`] if files cannot be read or are malformed.
    pub fn load(&self) -> Result<(Opened, [u8; 32]), LoadError> {
        match self {
            Self::Files(source) => open(source.as_ref()),
            Self::Shared(dataset) => Ok((Arc::clone(dataset).into(), dataset.sha256())),
        }
    }
}

/// Error of loading shards.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The set cannot be loaded.
    #[error(transparent)]
    Data(#[from] LoadError),
    /// The files are no longer those of the handshake.
    #[error("the dataset's files changed during the run; restore them and repeat the run")]
    Changed,
    /// The set cannot be partitioned as the run requires.
    #[error(transparent)]
    Partition(#[from] PartitionError),
    /// Another number or shape of images than the run's.
    #[error("the run is of {run}, but these are {data}")]
    Images {
        /// Images of the run.
        run: Counts,
        /// Images found.
        data: Counts,
    },
    /// Other classes than the run's, or in another order.
    #[error("the classes of the run are {}, but those of the data {}", run.join(", "), data.join(", "))]
    Classes {
        /// Classes of the run.
        run: Vec<String>,
        /// Classes found.
        data: Vec<String>,
    },
}

/// Number and shape of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    shape: Shape,
    counts: SplitCounts,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SplitCounts {
            train,
            validation,
            test,
        } = self.counts;
        let Shape {
            height,
            width,
            channels,
        } = self.shape;
        write!(f, "{train} + ")?;
        if validation > 0 {
            write!(f, "{validation} + ")?;
        }
        write!(f, "{test} images of {height} x {width} pixels")?;
        match channels {
            1 => Ok(()),
            _ => write!(f, " in {channels} channels"),
        }
    }
}

/// One shard of every split, and the order of its training samples.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) train: ShardData,
    pub(crate) validation: ShardData,
    pub(crate) test: ShardData,
    order: Mutex<BatchOrder>,
}

impl Shard {
    pub(crate) fn split(&self, split: Split) -> &ShardData {
        match split {
            Split::Train => &self.train,
            Split::Validation => &self.validation,
            Split::Test => &self.test,
        }
    }

    /// Positions of the training samples of `step`.
    pub(crate) fn positions(&self, step: u64) -> Vec<u32> {
        let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        order.positions(step).to_vec()
    }
}

/// Store of the shards held so far.
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
/// use lagrange_worker::{DataSource, ShardStore, StoreError};
///
/// let (source, hash) = (DataSource::Shared(dataset.clone()), dataset.sha256());
/// assert!(ShardStore::new(source.clone(), dataset, hash, &spec).is_ok());
/// let other = Arc::new(Dataset::new(set(9), set(4)));
/// let error = ShardStore::new(source, other, hash, &spec).expect_err("other data");
/// assert!(matches!(error, StoreError::Images { .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ShardStore {
    source: DataSource,
    seed: u64,
    per_batch: usize,
    steps_per_epoch: u64,
    partition: Partition,
    sha256: [u8; 32],
    /// The set as loaded for the handshake, until the first shards are copied out.
    loaded: Mutex<Option<Opened>>,
    held: RwLock<HashMap<u32, Arc<Shard>>>,
}

impl ShardStore {
    /// An empty store for the run of `spec`, with the set already loaded from `source`, whose hash is
    /// `sha256`.
    ///
    /// # Errors
    /// [`StoreError`] if the set is not the run's, or cannot be partitioned as the run requires.
    pub fn new(
        source: DataSource,
        dataset: impl Into<Opened>,
        sha256: [u8; 32],
        spec: &RunSpec,
    ) -> Result<Self, StoreError> {
        let dataset = dataset.into();
        if let Opened::Memory(dataset) = &dataset {
            dataset.check().map_err(LoadError::from)?;
        }
        let facts = spec.dataset();
        let run = Counts {
            shape: facts.shape(),
            counts: facts.counts(),
        };
        let data = Counts {
            shape: dataset.shape(),
            counts: dataset.counts(),
        };
        if run != data {
            return Err(StoreError::Images { run, data });
        }
        if facts.classes != dataset.classes() {
            let (run, data) = (facts.classes.clone(), dataset.classes().to_vec());
            return Err(StoreError::Classes { run, data });
        }
        let (partition, per_batch) = (spec.partition(), spec.cut().samples);
        Ok(Self {
            source,
            seed: spec.config().seed,
            per_batch,
            steps_per_epoch: partition.steps_per_epoch(per_batch)?,
            partition,
            sha256,
            loaded: Mutex::new(Some(dataset)),
            held: RwLock::default(),
        })
    }

    /// Makes sure that `shards` are held.
    ///
    /// # Errors
    /// [`StoreError`] if the set cannot be loaded again, or has changed.
    pub(crate) fn hold(&self, shards: &[u32]) -> Result<(), StoreError> {
        let missing: Vec<u32> = {
            let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
            shards
                .iter()
                .copied()
                .filter(|shard| !held.contains_key(shard))
                .collect()
        };
        if missing.is_empty() {
            return Ok(());
        }
        let loaded = self
            .loaded
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let dataset = match loaded {
            Some(dataset) => dataset,
            None => self.reload()?,
        };
        let cut = dataset.shards(&self.partition, &missing)?;
        for (shard, splits) in missing.into_iter().zip(cut) {
            let gathered = Arc::new(self.shard_of(shard, splits));
            let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
            held.insert(shard, gathered);
        }
        Ok(())
    }

    fn reload(&self) -> Result<Opened, StoreError> {
        let (dataset, hash) = self.source.load()?;
        if hash == self.sha256 {
            Ok(dataset)
        } else {
            Err(StoreError::Changed)
        }
    }

    fn shard_of(&self, shard: u32, [train, validation, test]: ShardSplits) -> Shard {
        let order = BatchOrder::new(
            self.seed,
            shard as usize,
            train.len(),
            self.per_batch,
            self.steps_per_epoch,
        );
        Shard {
            train,
            validation,
            test,
            order: Mutex::new(order),
        }
    }

    /// A shard that [`ShardStore::hold`] was asked for.
    pub(crate) fn shard(&self, shard: u32) -> Option<Arc<Shard>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.get(&shard).cloned()
    }
}
