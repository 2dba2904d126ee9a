//! Reading packed sets.

use super::manifest::{self, BlockEntry, Manifest, hex};
use super::names;
use crate::names::shown;
use crate::{ImportError, Split};
use sha2::{Digest as _, Sha256};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A packed set, of which only the manifest is in memory.
#[derive(Debug, Clone)]
pub struct PackedSet {
    folder: PathBuf,
    manifest: Manifest,
    identity: String,
}

/// Consecutive samples of one split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Split of the samples.
    pub split: Split,
    /// Position of the first in the split.
    pub first: usize,
    /// `height * width * channels` bytes for each, channels last.
    pub pixels: Vec<u8>,
    /// Class of each.
    pub labels: Vec<u16>,
}

impl PackedSet {
    /// Whether `folder` holds a packed set, or one that is damaged.
    #[must_use]
    pub fn is_in(folder: &Path) -> bool {
        folder.join(manifest::FILE).is_file()
    }

    /// Whether a set can be packed into `folder`.
    ///
    /// # Errors
    /// [`ImportError::Occupied`] if there is one already.
    pub fn check_absent(folder: &Path) -> Result<(), ImportError> {
        let path = folder.join(manifest::FILE);
        match path.exists() {
            true => Err(ImportError::Occupied { path }),
            false => Ok(()),
        }
    }

    /// Reads and checks the manifest in `folder`; blocks are read when they are asked for.
    ///
    /// # Errors
    /// [`ImportError::Absent`] or [`ImportError::Unreadable`] for the manifest, and
    /// [`ImportError::Malformed`] if it does not fit together.
    pub fn open(folder: &Path) -> Result<Self, ImportError> {
        let path = folder.join(manifest::FILE);
        let text = fs::read_to_string(&path).map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound => ImportError::Absent { path: path.clone() },
            _ => ImportError::unreadable(&path, cause),
        })?;
        let manifest = Manifest::parse(&text, &shown(&path))?;
        Ok(Self {
            folder: folder.to_owned(),
            identity: manifest.identity(),
            manifest,
        })
    }

    /// What is in the set.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// SHA-256 of the manifest in its canonical form, in hexadecimal. It stands for all pixels, labels and
    /// classes, because the manifest has the hashes of all blocks.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// SHA-256 of the content, which does not depend on how the set is cut into blocks.
    #[must_use]
    pub fn content(&self) -> [u8; 32] {
        manifest::unhex(&self.manifest.content).unwrap_or_else(|| unreachable!("checked"))
    }

    /// Reads block `number`, a position in [`Manifest::blocks`], and checks its hash.
    ///
    /// # Errors
    /// [`ImportError::OutOfRange`], [`ImportError::Unreadable`], [`ImportError::Damaged`], and
    /// [`ImportError::Malformed`] if its length or a label is wrong.
    pub fn read_block(&self, number: usize) -> Result<Block, ImportError> {
        let entry = self.manifest.blocks.get(number);
        let entry = entry.ok_or(ImportError::OutOfRange {
            what: "block",
            index: number,
            count: self.manifest.blocks.len(),
        })?;
        let path = self.folder.join(&entry.file);
        let mut pixels = self.checked(entry, &path)?;
        let labels = pixels.split_off(entry.count * self.manifest.sample_bytes());
        let labels = labels
            .chunks_exact(2)
            .map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
        let labels: Vec<u16> = labels.collect();
        let classes = self.manifest.classes.len();
        if let Some(label) = labels.iter().find(|&&label| usize::from(label) >= classes) {
            return Err(ImportError::malformed(
                shown(&path),
                format!("a label is {label}, but there are {classes} classes"),
            ));
        }
        Ok(Block {
            split: entry.split,
            first: entry.first,
            pixels,
            labels,
        })
    }

    /// The bytes of a block, of the right number and with the right hash.
    fn checked(&self, entry: &BlockEntry, path: &Path) -> Result<Vec<u8>, ImportError> {
        let sample = self.manifest.sample_bytes() + 2;
        let expected = entry.count.checked_mul(sample);
        let unreadable = |cause| ImportError::unreadable(path, cause);
        let length = fs::metadata(path).map_err(unreadable)?.len();
        if expected.is_none_or(|expected| expected as u64 != length) {
            let count = entry.count;
            return Err(ImportError::malformed(
                shown(path),
                format!("{length} bytes, but {count} samples take {sample} bytes each"),
            ));
        }
        let bytes = fs::read(path).map_err(unreadable)?;
        let found = hex(&Sha256::digest(&bytes));
        // The file may have changed since its length was asked for.
        match found == entry.sha256 && Some(bytes.len()) == expected {
            true => Ok(bytes),
            false => Err(ImportError::Damaged {
                path: path.to_owned(),
                expected: entry.sha256.clone(),
                found,
            }),
        }
    }

    /// Names of the files of a split's samples; none if the set was packed without names.
    ///
    /// # Errors
    /// [`ImportError::Unreadable`], and [`ImportError::Malformed`] if some are missing.
    pub fn names(&self, split: Split) -> Result<Option<Vec<String>>, ImportError> {
        names::read(&self.folder, &self.manifest, split)
    }
}
