//! The shards a worker holds. The whole set is in memory only while shards are copied out of it.

use lagrange_data::{BatchOrder, DataError, Dataset, Partition, PartitionError, ShardData, Split};
use lagrange_protocol::RunSpec;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Where a worker's data comes from.
#[derive(Debug, Clone)]
pub enum DataSource {
    /// The embedded MNIST, or the IDX files of a directory; loaded again when new shards are needed.
    Files(Option<PathBuf>),
    /// A set in this process, shared with others.
    Shared(Arc<Dataset>),
}

impl DataSource {
    /// The whole set and its hash.
    ///
    /// # Errors
    /// [`DataError`]
    pub fn load(&self) -> Result<(Arc<Dataset>, [u8; 32]), DataError> {
        match self {
            Self::Files(directory) => {
                let (dataset, hash) = Dataset::load_hashed(directory.as_deref())?;
                Ok((Arc::new(dataset), hash))
            }
            Self::Shared(dataset) => Ok((Arc::clone(dataset), dataset.sha256())),
        }
    }
}

/// Why shards cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The set cannot be loaded.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The files are no longer those of the handshake.
    #[error("the dataset's files changed during the run; restore them and repeat the run")]
    Changed,
    /// It cannot be cut as the run wants it.
    #[error(transparent)]
    Partition(#[from] PartitionError),
    /// Images of another size.
    #[error("the run is of images {run} pixels wide, but these are {data}")]
    Side {
        /// Width that the run says.
        run: usize,
        /// Width of the images here.
        data: usize,
    },
}

/// One shard of every split, and the order of its training samples.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) train: ShardData,
    pub(crate) validation: ShardData,
    pub(crate) test: ShardData,
    pub(crate) order: Mutex<BatchOrder>,
}

impl Shard {
    pub(crate) fn split(&self, split: Split) -> &ShardData {
        match split {
            Split::Train => &self.train,
            Split::Validation => &self.validation,
            Split::Test => &self.test,
        }
    }
}

/// The shards held so far.
#[derive(Debug)]
pub struct ShardStore {
    source: DataSource,
    seed: u64,
    per_batch: usize,
    steps_per_epoch: u64,
    partition: Partition,
    sha256: [u8; 32],
    /// The set as loaded for the handshake, until the first shards are copied out.
    loaded: Mutex<Option<Arc<Dataset>>>,
    held: RwLock<HashMap<u32, Arc<Shard>>>,
}

impl ShardStore {
    /// An empty store for the run of `spec`, with the set already loaded from `source`, whose hash is `sha256`.
    ///
    /// # Errors
    /// [`StoreError`] if the set is of other images, or cannot be cut as the run wants it.
    pub fn new(
        source: DataSource,
        dataset: Arc<Dataset>,
        sha256: [u8; 32],
        spec: &RunSpec,
    ) -> Result<Self, StoreError> {
        let (run, data) = (spec.side, dataset.side());
        if run != data {
            return Err(StoreError::Side { run, data });
        }
        let partition = Partition::new(&dataset, spec.shards, spec.validation, spec.train_limit)?;
        Ok(Self {
            source,
            seed: spec.seed,
            per_batch: spec.batch_per_shard,
            steps_per_epoch: partition.steps_per_epoch(spec.batch_per_shard)?,
            partition,
            sha256,
            loaded: Mutex::new(Some(dataset)),
            held: RwLock::default(),
        })
    }

    /// Makes sure that `shards` are held.
    ///
    /// # Errors
    /// [`StoreError`] if the set cannot be loaded again, or is another by now.
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
        for shard in missing {
            let gathered = Arc::new(self.gather(&dataset, shard));
            let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
            held.insert(shard, gathered);
        }
        Ok(())
    }

    fn reload(&self) -> Result<Arc<Dataset>, StoreError> {
        let (dataset, hash) = self.source.load()?;
        if hash == self.sha256 {
            Ok(dataset)
        } else {
            Err(StoreError::Changed)
        }
    }

    fn gather(&self, dataset: &Dataset, shard: u32) -> Shard {
        let data = |split| ShardData::gather(dataset, &self.partition, split, shard as usize);
        let train = data(Split::Train);
        let order = BatchOrder::new(
            self.seed,
            shard as usize,
            train.len(),
            self.per_batch,
            self.steps_per_epoch,
        );
        Shard {
            train,
            validation: data(Split::Validation),
            test: data(Split::Test),
            order: Mutex::new(order),
        }
    }

    /// A shard that [`ShardStore::hold`] was asked for.
    pub(crate) fn shard(&self, shard: u32) -> Option<Arc<Shard>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.get(&shard).cloned()
    }
}
