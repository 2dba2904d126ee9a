//! The shard record, `shards.crc`: a checksum of what each shard answered in every step.
//!
//! A head says which run it is of. A record of fixed size follows for every completed step: the step, the
//! steps of the whole run, a CRC-32 of each shard, and a CRC-32 of the record itself. All numbers are
//! little-endian. Steps that were taken back after a divergence have no record.

use crate::folder::{FolderError, unwritten, write_file};
use crate::{Observed, RunEvent};
use lagrange_coordinator::Journal;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Beginning of the file: its format.
const MAGIC: &[u8; 16] = b"lagrange shards\n";
/// Bytes for the names of kernels.
const KERNELS: usize = 44;
/// Bytes of the head: magic, hash of the data, number of shards, kernels, checksum.
const HEAD: usize = 16 + 32 + 4 + KERNELS + 4;

/// What the record of a run is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShardsHead {
    pub(crate) dataset_sha256: [u8; 32],
    pub(crate) shards: u32,
    /// OpenBLAS kernels of the coordinator; several names where a run went on with others.
    pub(crate) kernels: String,
}

/// Record of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShardsStep {
    /// Steps completed.
    pub(crate) step: u64,
    /// Steps that the whole run was to have then.
    pub(crate) total: u64,
    /// Checksum of each shard.
    pub(crate) checksums: Vec<u32>,
}

/// A shard record as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShardRecords {
    pub(crate) head: ShardsHead,
    /// In the order of the file.
    pub(crate) steps: Vec<ShardsStep>,
    /// Number of the first record that is cut off or damaged, from 0. Those behind it are in `steps` where
    /// they are sound.
    pub(crate) damaged: Option<usize>,
}

/// Why a file is no shard record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotShards {
    /// It begins with something else.
    #[error("it is not a shard record")]
    Format,
    /// Its head is damaged.
    #[error("its head is damaged")]
    Head,
}

/// Bytes with their own checksum behind them.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let checksum = crc32fast::hash(&bytes);
    bytes.extend(checksum.to_le_bytes());
    bytes
}

/// The bytes that [`sealed`] made whole; `None` if they are damaged.
fn opened(bytes: &[u8]) -> Option<&[u8]> {
    let (content, checksum) = bytes.split_last_chunk()?;
    (crc32fast::hash(content) == u32::from_le_bytes(*checksum)).then_some(content)
}

impl ShardsHead {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.dataset_sha256);
        bytes.extend(self.shards.to_le_bytes());
        let kernels = self.kernels.bytes().take(KERNELS);
        bytes.extend(kernels.chain(std::iter::repeat(0)).take(KERNELS));
        sealed(bytes)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, NotShards> {
        if !bytes.starts_with(MAGIC) {
            return Err(NotShards::Format);
        }
        let head = bytes.get(..HEAD).and_then(opened).ok_or(NotShards::Head)?;
        let (dataset, rest) = head[MAGIC.len()..]
            .split_first_chunk()
            .ok_or(NotShards::Head)?;
        let (shards, kernels) = rest.split_first_chunk().ok_or(NotShards::Head)?;
        let end = kernels.iter().position(|&byte| byte == 0);
        Ok(Self {
            dataset_sha256: *dataset,
            shards: u32::from_le_bytes(*shards),
            kernels: String::from_utf8_lossy(&kernels[..end.unwrap_or(KERNELS)]).into_owned(),
        })
    }

    /// Bytes of one record.
    fn record(&self) -> usize {
        8 + 8 + 4 * self.shards as usize + 4
    }
}

impl ShardsStep {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 + 8 + 4 * self.checksums.len() + 4);
        bytes.extend(self.step.to_le_bytes());
        bytes.extend(self.total.to_le_bytes());
        bytes.extend(
            self.checksums
                .iter()
                .flat_map(|checksum| checksum.to_le_bytes()),
        );
        sealed(bytes)
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (step, rest) = opened(bytes)?.split_first_chunk()?;
        let (total, rest) = rest.split_first_chunk()?;
        let (checksums, _) = rest.as_chunks();
        Some(Self {
            step: u64::from_le_bytes(*step),
            total: u64::from_le_bytes(*total),
            checksums: checksums
                .iter()
                .map(|bytes| u32::from_le_bytes(*bytes))
                .collect(),
        })
    }
}

impl ShardRecords {
    /// Reads what a run has recorded.
    ///
    /// # Errors
    /// [`NotShards`] if that is nothing.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, NotShards> {
        let head = ShardsHead::from_bytes(bytes)?;
        let records = bytes[HEAD..].chunks(head.record());
        let read: Vec<_> = records.map(ShardsStep::from_bytes).collect();
        Ok(Self {
            head,
            damaged: read.iter().position(Option::is_none),
            steps: read.into_iter().flatten().collect(),
        })
    }

    fn to_bytes(&self) -> Vec<u8> {
        let steps = self.steps.iter().flat_map(ShardsStep::to_bytes);
        self.head.to_bytes().into_iter().chain(steps).collect()
    }
}

/// The shard record's file of a run folder.
#[derive(Debug, Clone)]
pub(crate) struct ShardsFile(PathBuf);

impl ShardsFile {
    pub(crate) const NAME: &str = "shards.crc";

    pub(crate) fn of(folder: &Path) -> Self {
        Self(folder.join(Self::NAME))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Cuts the record back to the steps up to `step`. One that is none ends at the next
    /// [`ShardsFile::append`].
    ///
    /// # Errors
    /// If it cannot be rewritten.
    pub(super) fn keep(&self, step: u64) -> Result<(), FolderError> {
        let bytes = std::fs::read(&self.0).unwrap_or_default();
        let Ok(mut records) = ShardRecords::from_bytes(&bytes) else {
            return Ok(());
        };
        records.steps.retain(|record| record.step <= step);
        write_file(&self.0, &records.to_bytes())
    }

    /// What appends every step to the record, which is that of `head`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn append(&self, head: ShardsHead) -> Result<ShardsWriter, FolderError> {
        let bytes = std::fs::read(&self.0).unwrap_or_default();
        let earlier = ShardRecords::from_bytes(&bytes).ok();
        let earlier = earlier.filter(|earlier| {
            let theirs = &earlier.head;
            (theirs.dataset_sha256, theirs.shards) == (head.dataset_sha256, head.shards)
        });
        let mut records = earlier.unwrap_or_else(|| ShardRecords {
            head: head.clone(),
            steps: Vec::new(),
            damaged: None,
        });
        if !records
            .head
            .kernels
            .split('+')
            .any(|name| name == head.kernels)
        {
            records.head.kernels += &format!("+{}", head.kernels);
        }
        write_file(&self.0, &records.to_bytes())?;
        let file = OpenOptions::new().append(true).open(&self.0);
        Ok(ShardsWriter {
            file: Some(file.map_err(unwritten(&self.0))?),
        })
    }
}

/// Appends every step to the shard record.
#[derive(Debug)]
pub(crate) struct ShardsWriter {
    /// None once it could not be written.
    file: Option<File>,
}

impl ShardsWriter {
    fn write(&mut self, step: &ShardsStep) -> io::Result<()> {
        match &mut self.file {
            Some(file) => file.write_all(&step.to_bytes()),
            None => Ok(()),
        }
    }
}

impl Journal for ShardsWriter {
    /// A disk that is full must not cost the run its result: the record ends there, the run goes on.
    fn keep(&mut self, observed: &Observed) {
        let RunEvent::Step(step) = &observed.event else {
            return;
        };
        let record = ShardsStep {
            step: step.step,
            total: step.total,
            checksums: step.checksums.clone(),
        };
        if let Err(error) = self.write(&record) {
            tracing::warn!(%error, "{} cannot be written; the run goes on without", ShardsFile::NAME);
            self.file = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> ShardsHead {
        ShardsHead {
            dataset_sha256: [7; 32],
            shards: 3,
            kernels: "Haswell".to_owned(),
        }
    }

    fn step(step: u64) -> ShardsStep {
        ShardsStep {
            step,
            total: 9,
            checksums: vec![step as u32, 1, u32::MAX],
        }
    }

    fn written(folder: &Path, steps: &[u64]) -> ShardsFile {
        let file = ShardsFile::of(folder);
        let mut writer = file.append(head()).expect("written");
        for &number in steps {
            writer.write(&step(number)).expect("written");
        }
        file
    }

    fn read(file: &ShardsFile) -> ShardRecords {
        ShardRecords::from_bytes(&std::fs::read(file.path()).expect("read")).expect("a record")
    }

    #[test]
    fn what_was_written_is_read_and_cut_back() {
        let folder = tempfile::tempdir().expect("folder");
        let file = written(folder.path(), &[1, 2, 4]);
        let records = read(&file);
        assert_eq!((&records.head, records.damaged), (&head(), None));
        assert_eq!(records.steps, [step(1), step(2), step(4)]);
        file.keep(2).expect("rewritten");
        assert_eq!(read(&file).steps, [step(1), step(2)]);
        // It goes on, and says so where the kernels are others.
        let other = ShardsHead {
            kernels: "Zen".to_owned(),
            ..head()
        };
        let mut writer = file.append(other).expect("written");
        writer.write(&step(3)).expect("written");
        let records = read(&file);
        assert_eq!(records.head.kernels, "Haswell+Zen");
        assert_eq!(records.steps, [step(1), step(2), step(3)]);
    }

    #[test]
    fn a_damaged_byte_is_found_wherever_it_is() {
        let folder = tempfile::tempdir().expect("folder");
        let file = written(folder.path(), &[1, 2]);
        let bytes = std::fs::read(file.path()).expect("read");
        for place in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[place] ^= 4;
            let found = ShardRecords::from_bytes(&damaged);
            match place.checked_sub(HEAD).map(|place| place / head().record()) {
                None => assert!(found.is_err(), "{place}"),
                Some(number) => assert_eq!(found.expect("a head").damaged, Some(number), "{place}"),
            }
        }
        let cut = ShardRecords::from_bytes(&bytes[..bytes.len() - 1]).expect("a head");
        assert_eq!((cut.steps, cut.damaged), (vec![step(1)], Some(1)));
    }
}
