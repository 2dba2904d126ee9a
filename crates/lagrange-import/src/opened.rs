//! A set whose samples are in memory, or in blocks that are read when shards are cut from them.

use crate::{Block, Imported, LoadError, PackedSet};
use lagrange_data::{
    Dataset, DatasetSummary, Images, LabelledSet, Normalisation, Partition, Shape, ShardData,
    Split, SplitCounts,
};
use std::sync::Arc;

/// A data set that is ready to be cut into shards.
#[derive(Debug, Clone)]
pub enum Opened {
    /// All of it in memory.
    Memory(Arc<Dataset>),
    /// A packed set: its manifest in memory, and of its blocks one at a time.
    Packed(Arc<PackedSet>),
    /// The MNIST embedded in this build: its labels in memory, and of its images a block at a time.
    Embedded(Arc<DatasetSummary>),
}

/// Images of the embedded MNIST unpacked at a time.
const EMBEDDED_BLOCK: usize = 1024;

impl From<Arc<Dataset>> for Opened {
    fn from(dataset: Arc<Dataset>) -> Self {
        Self::Memory(dataset)
    }
}

/// One shard of every split: training, validation and test samples.
pub type ShardSplits = [ShardData; 3];

impl Opened {
    /// Shape of every image.
    #[must_use]
    pub fn shape(&self) -> Shape {
        match self {
            Self::Memory(dataset) => dataset.shape(),
            Self::Packed(set) => Shape {
                height: set.manifest().height,
                width: set.manifest().width,
                channels: set.manifest().channels,
            },
            Self::Embedded(summary) => summary.shape,
        }
    }

    /// Number of images of each split.
    #[must_use]
    pub fn counts(&self) -> SplitCounts {
        match self {
            Self::Memory(dataset) => dataset.counts(),
            Self::Packed(set) => SplitCounts {
                train: set.manifest().train,
                validation: set.manifest().validation,
                test: set.manifest().test,
            },
            Self::Embedded(summary) => summary.counts(),
        }
    }

    /// Names of the classes.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        match self {
            Self::Memory(dataset) => &dataset.classes,
            Self::Packed(set) => &set.manifest().classes,
            Self::Embedded(summary) => &summary.classes,
        }
    }

    /// The whole set in memory.
    ///
    /// # Errors
    /// [`LoadError`] if a block cannot be read.
    pub fn into_dataset(self) -> Result<Arc<Dataset>, LoadError> {
        match self {
            Self::Memory(dataset) => Ok(dataset),
            Self::Packed(set) => {
                let dataset: Dataset = set.unpack()?.into();
                dataset.check()?;
                Ok(Arc::new(dataset))
            }
            Self::Embedded(_) => Ok(Arc::new(Dataset::embedded()?)),
        }
    }

    /// Names of the classes, and the test split; of what is not in memory, no other images are read.
    ///
    /// # Errors
    /// [`LoadError`] if a block cannot be read.
    pub fn into_test(self) -> Result<(Vec<String>, LabelledSet), LoadError> {
        if let Self::Memory(dataset) = self {
            let Dataset { classes, test, .. } = Arc::unwrap_or_clone(dataset);
            return Ok((classes, test));
        }
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        match &self {
            Self::Memory(_) => {}
            Self::Packed(set) => set.for_each_block(Some(Split::Test), &mut |block| {
                pixels.extend_from_slice(&block.pixels);
                labels.extend_from_slice(&block.labels);
            })?,
            Self::Embedded(summary) => {
                labels.extend_from_slice(&summary.test);
                Dataset::each_embedded(Split::Test, EMBEDDED_BLOCK, &mut |_, block| {
                    pixels.extend(block);
                })?;
            }
        }
        let Shape {
            height,
            width,
            channels,
        } = self.shape();
        let images = Images {
            height,
            width,
            channels,
            pixels,
        };
        Ok((self.classes().to_vec(), LabelledSet { images, labels }))
    }

    /// Everything but the pixels.
    ///
    /// # Errors
    /// [`LoadError`] if a block cannot be read, or all pixels are the same.
    pub fn summary(&self) -> Result<DatasetSummary, LoadError> {
        let set = match self {
            Self::Memory(dataset) => return Ok(DatasetSummary::of(dataset)?),
            Self::Embedded(summary) => return Ok(DatasetSummary::clone(summary)),
            Self::Packed(set) => set,
        };
        let mut labels: [Vec<u16>; 3] = Default::default();
        set.for_each_block(None, &mut |block| {
            labels[block.split as usize].extend(&block.labels);
        })?;
        let [train, validation, test] = labels;
        let manifest = set.manifest();
        let sums = manifest.sums.iter().zip(&manifest.squares);
        let sums: Vec<_> = sums.map(|(&sum, &squares)| (sum, squares)).collect();
        let values = manifest.train * manifest.height * manifest.width;
        let normalisation = Normalisation::of_sums(&sums, values);
        Ok(DatasetSummary {
            shape: self.shape(),
            classes: manifest.classes.clone(),
            train,
            validation,
            test,
            normalisation: normalisation.map_err(lagrange_data::DataError::from)?,
            sha256: set.content(),
        })
    }

    /// Cuts `shards` out of the set, in their order. Of a set that is not in memory every block is read, one
    /// at a time.
    ///
    /// # Errors
    /// [`LoadError`] if a block cannot be read.
    ///
    /// # Panics
    /// If `partition` was made for a larger set.
    pub fn shards(
        &self,
        partition: &Partition,
        shards: &[u32],
    ) -> Result<Vec<ShardSplits>, LoadError> {
        if let Self::Memory(dataset) = self {
            let gather = |&shard: &u32| {
                Split::ALL.map(|s| ShardData::gather(dataset, partition, s, shard as usize))
            };
            return Ok(shards.iter().map(gather).collect());
        }
        let image = self.shape().len();
        let empty = |&shard: &u32| {
            let count = |split| partition.shard_len(split, shard as usize);
            Split::ALL.map(|split| ShardData::with_capacity(image, count(split)))
        };
        let mut cut: Vec<ShardSplits> = shards.iter().map(empty).collect();
        let mut wanted = vec![None; partition.shards()];
        for (number, &shard) in shards.iter().enumerate() {
            wanted[shard as usize] = Some(number);
        }
        let mut deal = |block: &Block| {
            for split in cut_from(partition, block.split) {
                for (offset, &label) in block.labels.iter().enumerate() {
                    let place = partition.place(split, block.first + offset);
                    if let Some(number) = place.and_then(|(shard, _)| wanted[shard]) {
                        let pixels = &block.pixels[offset * image..][..image];
                        cut[number][split as usize].push(pixels, label);
                    }
                }
            }
        };
        match self {
            Self::Memory(_) => {}
            Self::Packed(set) => set.for_each_block(None, &mut deal)?,
            Self::Embedded(summary) => for_each_embedded(summary, &mut deal)?,
        }
        Ok(cut)
    }
}

/// The splits of a run that are cut from a split of the set.
fn cut_from(partition: &Partition, of: Split) -> Vec<Split> {
    match (of, partition.holds_out()) {
        (Split::Train, true) => vec![Split::Train, Split::Validation],
        (Split::Train, false) => vec![Split::Train],
        (Split::Validation, true) => Vec::new(),
        (Split::Validation, false) => vec![Split::Validation],
        (Split::Test, _) => vec![Split::Test],
    }
}

/// Gives every block of the embedded MNIST to `each`.
fn for_each_embedded(
    summary: &DatasetSummary,
    each: &mut dyn FnMut(&Block),
) -> Result<(), LoadError> {
    let image = summary.shape.len();
    for (split, labels) in [(Split::Train, &summary.train), (Split::Test, &summary.test)] {
        Dataset::each_embedded(split, EMBEDDED_BLOCK, &mut |first, pixels| {
            each(&Block {
                split,
                first,
                labels: labels[first..][..pixels.len() / image].to_vec(),
                pixels,
            });
        })?;
    }
    Ok(())
}

impl PackedSet {
    /// Gives every block, or every one of a split, to `each`.
    fn for_each_block(
        &self,
        only: Option<Split>,
        each: &mut dyn FnMut(&Block),
    ) -> Result<(), LoadError> {
        for (number, block) in self.manifest().blocks.iter().enumerate() {
            if only.is_none_or(|split| block.split == split) {
                each(&self.read_block(number)?);
            }
        }
        Ok(())
    }

    /// The whole set, every block checked.
    ///
    /// # Errors
    /// As [`PackedSet::read_block`].
    pub fn unpack(&self) -> Result<Imported, crate::ImportError> {
        let mut parts: [crate::Part; 3] = Default::default();
        for number in 0..self.manifest().blocks.len() {
            let block = self.read_block(number)?;
            let part = &mut parts[block.split as usize];
            part.pixels.extend(block.pixels);
            part.labels.extend(block.labels);
        }
        let [train, validation, test] = parts;
        let manifest = self.manifest();
        Ok(Imported {
            height: manifest.height,
            width: manifest.width,
            channels: manifest.channels,
            classes: manifest.classes.clone(),
            train,
            validation: (manifest.validation > 0).then_some(validation),
            test,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Part, pack};
    use std::num::NonZeroUsize;

    fn part(from: u8, count: u8) -> Part {
        Part {
            pixels: (0..count).flat_map(|i| [from + i, i, 3 * i]).collect(),
            labels: (0..count).map(|i| u16::from(i % 2)).collect(),
            names: Vec::new(),
        }
    }

    fn set(validation: bool) -> Imported {
        Imported {
            height: 1,
            width: 1,
            channels: 3,
            classes: vec!["cat".into(), "dog".into()],
            train: part(1, 37),
            validation: validation.then(|| part(50, 9)),
            test: part(80, 14),
        }
    }

    /// A packed set and the same in memory are alike in everything that a run sees, however blocks are cut.
    #[test]
    fn a_packed_set_is_cut_like_one_in_memory() {
        for (validation, held_out, per_block) in
            [(false, 0, 5), (true, 0, 4), (true, 6, 1), (false, 7, 100)]
        {
            let folder = tempfile::tempdir().expect("folder");
            let imported = set(validation);
            let packed =
                pack(&imported, folder.path(), NonZeroUsize::new(per_block)).expect("packed");
            let memory = Opened::from(Arc::new(Dataset::from(imported)));
            let packed = Opened::Packed(Arc::new(packed));
            let summary = memory.summary().expect("summary");
            assert_eq!(packed.summary().expect("summary"), summary);
            assert_eq!(packed.counts(), memory.counts());
            let partition =
                Partition::of_counts(memory.counts(), 5, held_out, Some(23)).expect("fits");
            for shards in [vec![3], vec![0, 1, 2, 3, 4], vec![4, 2]] {
                let cut = |opened: &Opened| opened.shards(&partition, &shards).expect("cut");
                assert_eq!(cut(&packed), cut(&memory));
            }
            let whole = packed.clone().into_dataset().expect("read");
            assert_eq!(whole.sha256(), summary.sha256);
            let test = (whole.classes.clone(), whole.test.clone());
            assert_eq!(packed.into_test().expect("read"), test);
            assert_eq!(memory.into_test().expect("in memory"), test);
        }
    }

    /// So is the embedded set.
    #[test]
    fn the_embedded_set_is_cut_like_one_in_memory() {
        let summary = DatasetSummary::load(None).expect("embedded");
        let embedded = Opened::Embedded(Arc::new(summary));
        let memory = Opened::from(Arc::new(Dataset::embedded().expect("embedded")));
        assert_eq!(embedded.counts(), memory.counts());
        let partition = Partition::of_counts(memory.counts(), 61, 1000, None).expect("fits");
        let cut = |opened: &Opened| opened.shards(&partition, &[60, 7]).expect("cut");
        assert_eq!(cut(&embedded), cut(&memory));
        let whole = embedded.clone().into_dataset().expect("read");
        let test = (whole.classes.clone(), whole.test.clone());
        assert_eq!(embedded.into_test().expect("read"), test);
        assert_eq!(
            Opened::from(whole).summary().expect("summary"),
            memory.summary().expect("summary")
        );
    }
}
