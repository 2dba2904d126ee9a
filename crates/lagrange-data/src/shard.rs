//! Logical shards: a fixed cut of the data, whatever the number of workers.
//!
//! Samples are dealt like cards, sample i to shard i mod S, so that shards differ by one sample at most and a
//! file sorted by label is spread evenly.

use crate::{Dataset, LabelledSet, Split, SplitCounts};

/// Error of cutting a dataset into splits, shards and batches.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PartitionError {
    /// No training images left after holding out.
    #[error(
        "validation = {validation} holds out all of the {train} training images; hold out fewer"
    )]
    NothingLeft {
        /// Images held out.
        validation: usize,
        /// Images in the training set.
        train: usize,
    },
    /// Shards without samples.
    #[error(
        "{shards} shards of {train} training images: every shard takes at least one; lower data.shards, or raise train-limit"
    )]
    TooManyShards {
        /// Number of shards.
        shards: usize,
        /// Images to deal.
        train: usize,
    },
    /// A batch larger than the data.
    #[error(
        "a batch of {} takes {per_batch} images of each of the {shards} shards, but the smallest has {smallest}; \
         set schedule.batch to {} or less",
        per_batch * shards,
        smallest * shards
    )]
    BatchTooLarge {
        /// Number of shards.
        shards: usize,
        /// Images of each shard in a batch.
        per_batch: usize,
        /// Images of the smallest shard.
        smallest: usize,
    },
    /// No shards, or empty batches.
    #[error("{0} is 0: it must be at least 1")]
    Zero(&'static str),
}

/// Partition of a dataset: samples of each split, and how they are dealt to shards.
///
/// ```
/// use lagrange_data::{Partition, Split, SplitCounts};
///
/// // 10 training and 4 test images; 2 training images are held out, the others dealt to 3 shards.
/// let counts = SplitCounts { train: 10, validation: 0, test: 4 };
/// let partition = Partition::of_counts(counts, 3, 2, None)?;
/// assert_eq!([0, 1, 2].map(|shard| partition.shard_len(Split::Train, shard)), [3, 3, 2]);
/// assert_eq!(partition.sample_index(Split::Train, 1, 2), 7);
/// assert_eq!(partition.steps_per_epoch(2)?, 1);
/// # Ok::<(), lagrange_data::PartitionError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    shards: usize,
    train: usize,
    /// Training samples held out, the last ones; none where the validation split is the dataset's own.
    held_out: usize,
    /// Index, in its set, of the first validation sample.
    validation_from: usize,
    validation: usize,
    test: usize,
}

impl Partition {
    /// Cuts `dataset`: the last `validation` training images are held out, then the first `train_limit` of
    /// the rest are dealt. With none held out, a validation split of the dataset's own is used.
    ///
    /// # Errors
    /// [`PartitionError`] if a shard would have no training image.
    pub fn new(
        dataset: &Dataset,
        shards: usize,
        validation: usize,
        train_limit: Option<usize>,
    ) -> Result<Self, PartitionError> {
        Self::of_counts(dataset.counts(), shards, validation, train_limit)
    }

    /// [`Partition::new`] for these numbers of images.
    ///
    /// # Errors
    /// As [`Partition::new`].
    pub fn of_counts(
        counts: SplitCounts,
        shards: usize,
        validation: usize,
        train_limit: Option<usize>,
    ) -> Result<Self, PartitionError> {
        if shards == 0 {
            return Err(PartitionError::Zero("shards"));
        }
        let kept = counts.train.checked_sub(validation);
        let kept = kept
            .filter(|&kept| kept > 0)
            .ok_or(PartitionError::NothingLeft {
                validation,
                train: counts.train,
            })?;
        let train = train_limit.map_or(kept, |limit| limit.min(kept));
        if shards > train {
            return Err(PartitionError::TooManyShards { shards, train });
        }
        let (validation_from, samples) = match validation {
            0 => (0, counts.validation),
            held_out => (kept, held_out),
        };
        Ok(Self {
            shards,
            train,
            held_out: validation,
            validation_from,
            validation: samples,
            test: counts.test,
        })
    }

    /// Number of shards S.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.shards
    }

    /// Samples of a split.
    #[must_use]
    pub fn len(&self, split: Split) -> usize {
        match split {
            Split::Train => self.train,
            Split::Validation => self.validation,
            Split::Test => self.test,
        }
    }

    /// Samples of a split in one shard; shards of the validation and test splits may be empty, and those
    /// beyond S are.
    #[must_use]
    pub fn shard_len(&self, split: Split, shard: usize) -> usize {
        if shard >= self.shards {
            return 0;
        }
        self.len(split).saturating_sub(shard).div_ceil(self.shards)
    }

    /// Index, in its set, of the sample at `position < shard_len(split, shard)` of `shard`.
    #[must_use]
    pub fn sample_index(&self, split: Split, shard: usize, position: usize) -> usize {
        let offset = match split {
            Split::Train | Split::Test => 0,
            Split::Validation => self.validation_from,
        };
        offset + position * self.shards + shard
    }

    /// Shard, and position in it, of the sample at `index` of the set that `split` is cut from; `None` if the
    /// split does not have it. The inverse of [`Partition::sample_index`].
    #[must_use]
    pub fn place(&self, split: Split, index: usize) -> Option<(usize, usize)> {
        let from = match split {
            Split::Train | Split::Test => 0,
            Split::Validation => self.validation_from,
        };
        let number = index.checked_sub(from).filter(|&n| n < self.len(split))?;
        Some((number % self.shards, number / self.shards))
    }

    /// Whether the validation split is cut from the training set.
    #[must_use]
    pub fn holds_out(&self) -> bool {
        self.held_out > 0
    }

    /// Steps of one epoch when each step takes `per_batch` samples of every shard; leftover samples are
    /// skipped in that epoch.
    ///
    /// # Errors
    /// [`PartitionError`] if there is not one whole batch.
    pub fn steps_per_epoch(&self, per_batch: usize) -> Result<u64, PartitionError> {
        if per_batch == 0 {
            return Err(PartitionError::Zero("batch"));
        }
        let smallest = self.shard_len(Split::Train, self.shards - 1);
        if smallest < per_batch {
            return Err(PartitionError::BatchTooLarge {
                shards: self.shards,
                per_batch,
                smallest,
            });
        }
        Ok((smallest / per_batch) as u64)
    }
}

/// The samples of one shard of one split.
///
/// ```
/// # use lagrange_data::{Dataset, Images, LabelledSet};
/// # let set = |n: u8| LabelledSet {
/// #     images: Images { height: 1, width: 1, channels: 1, pixels: (0..n).map(|i| 20 * i).collect() },
/// #     labels: (0..n).map(u16::from).collect(),
/// # };
/// use lagrange_data::{Partition, ShardData, Split};
///
/// let dataset = Dataset::new(set(10), set(4));
/// let partition = Partition::new(&dataset, 3, 2, None)?;
/// let shard = ShardData::gather(&dataset, &partition, Split::Train, 1);
/// assert_eq!((shard.len(), shard.label(2), shard.image(2)), (3, 7, [140].as_slice()));
/// # Ok::<(), lagrange_data::PartitionError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardData {
    image_len: usize,
    pixels: Vec<u8>,
    labels: Vec<u16>,
}

impl ShardData {
    /// No samples yet, and room for `count` of `image_len` bytes.
    #[must_use]
    pub fn with_capacity(image_len: usize, count: usize) -> Self {
        Self {
            image_len,
            pixels: Vec::with_capacity(count * image_len),
            labels: Vec::with_capacity(count),
        }
    }

    /// Adds a sample.
    ///
    /// # Panics
    /// If its image has another length than the others.
    pub fn push(&mut self, image: &[u8], label: u16) {
        assert_eq!(image.len(), self.image_len, "one image");
        self.pixels.extend_from_slice(image);
        self.labels.push(label);
    }

    /// Copies a shard out of the whole set, which can then be dropped.
    ///
    /// # Panics
    /// If `partition` was made for a larger set.
    #[must_use]
    pub fn gather(dataset: &Dataset, partition: &Partition, split: Split, shard: usize) -> Self {
        let (LabelledSet { images, labels }, _) = dataset.part(split, partition.held_out);
        let image_len = images.shape().len();
        let count = partition.shard_len(split, shard);
        let mut data = Self::with_capacity(image_len, count);
        for position in 0..count {
            let index = partition.sample_index(split, shard, position);
            data.push(images.image(index), labels[index]);
        }
        data
    }

    /// Number of samples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no sample.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Pixels of the sample at `position`, `[height, width, channels]`.
    ///
    /// # Panics
    /// If there is no such position.
    #[must_use]
    pub fn image(&self, position: usize) -> &[u8] {
        &self.pixels[position * self.image_len..][..self.image_len]
    }

    /// Label of the sample at `position`.
    ///
    /// # Panics
    /// If there is no such position.
    #[must_use]
    pub fn label(&self, position: usize) -> u16 {
        self.labels[position]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Images;
    use proptest::prelude::*;

    fn counts(train: usize, validation: usize, test: usize) -> SplitCounts {
        SplitCounts {
            train,
            validation,
            test,
        }
    }

    proptest! {
        #[test]
        fn every_sample_is_dealt_once(
            train in 1usize..300, own in 0usize..50, test in 0usize..100,
            shards in 1usize..20, validation in 0usize..100, limit in prop::option::of(1usize..300),
        ) {
            let counts = counts(train, own, test);
            let Ok(partition) = Partition::of_counts(counts, shards, validation, limit) else {
                let left = train.saturating_sub(validation).min(limit.unwrap_or(train));
                prop_assert!(left < shards);
                return Ok(());
            };
            let used = |split| -> Vec<usize> {
                let mut all: Vec<usize> = (0..shards)
                    .flat_map(|shard| (0..partition.shard_len(split, shard)).map(move |p| partition.sample_index(split, shard, p)))
                    .collect();
                all.sort_unstable();
                all
            };
            let left = (train - validation).min(limit.unwrap_or(train));
            for split in [Split::Train, Split::Validation, Split::Test] {
                for (shard, position) in (0..shards).flat_map(|s| (0..partition.shard_len(split, s)).map(move |p| (s, p))) {
                    let index = partition.sample_index(split, shard, position);
                    prop_assert_eq!(partition.place(split, index), Some((shard, position)));
                }
                prop_assert_eq!(partition.place(split, usize::MAX), None);
            }
            prop_assert_eq!(used(Split::Train), (0..left).collect::<Vec<_>>());
            let held_out = match validation {
                0 => 0..own,
                validation => train - validation..train,
            };
            prop_assert_eq!(used(Split::Validation), held_out.collect::<Vec<_>>());
            prop_assert_eq!(used(Split::Test), (0..test).collect::<Vec<_>>());
            let lengths: Vec<_> = (0..shards).map(|shard| partition.shard_len(Split::Train, shard)).collect();
            prop_assert!(lengths[0] - lengths[shards - 1] <= 1);
            prop_assert_eq!(partition.steps_per_epoch(1), Ok(lengths[shards - 1] as u64));
        }
    }

    #[test]
    fn a_shard_holds_its_own_samples() {
        let set = |n: u8| LabelledSet {
            images: Images {
                height: 1,
                width: 1,
                channels: 1,
                pixels: (0..n).map(|i| i * 2).collect(),
            },
            labels: (0..n).map(u16::from).collect(),
        };
        let dataset = Dataset::new(set(10), set(3));
        let partition = Partition::new(&dataset, 3, 2, None).expect("fits");
        let shard = ShardData::gather(&dataset, &partition, Split::Train, 1);
        assert_eq!(
            (shard.len(), shard.label(2), shard.image(2)),
            (3, 7, [14u8].as_slice())
        );
        let held_out = ShardData::gather(&dataset, &partition, Split::Validation, 0);
        assert_eq!((held_out.len(), held_out.label(0)), (1, 8));
        assert!(ShardData::gather(&dataset, &partition, Split::Validation, 2).is_empty());
        let own = Dataset {
            validation: Some(set(4)),
            ..dataset
        };
        let partition = Partition::new(&own, 3, 0, None).expect("fits");
        let shard = ShardData::gather(&own, &partition, Split::Validation, 0);
        assert_eq!((shard.len(), shard.label(1)), (2, 3));
    }

    #[test]
    fn cuts_that_leave_nothing_are_named() {
        let cut = |shards, validation, limit| {
            Partition::of_counts(counts(100, 0, 10), shards, validation, limit)
        };
        assert_eq!(cut(0, 0, None), Err(PartitionError::Zero("shards")));
        assert!(matches!(
            cut(1, 100, None),
            Err(PartitionError::NothingLeft { .. })
        ));
        assert!(matches!(
            cut(8, 0, Some(7)),
            Err(PartitionError::TooManyShards { .. })
        ));
        let partition = cut(8, 0, None).expect("fits");
        assert_eq!(
            partition.steps_per_epoch(0),
            Err(PartitionError::Zero("batch"))
        );
        assert_eq!(
            partition.steps_per_epoch(13),
            Err(PartitionError::BatchTooLarge {
                shards: 8,
                per_batch: 13,
                smallest: 12
            })
        );
    }

    #[test]
    fn shards_beyond_the_last_are_empty() {
        let partition = Partition::of_counts(counts(100, 0, 0), 8, 3, None).expect("fits");
        for split in [Split::Train, Split::Validation, Split::Test] {
            for shard in [8, 9, usize::MAX] {
                assert_eq!(partition.shard_len(split, shard), 0);
            }
        }
    }
}
