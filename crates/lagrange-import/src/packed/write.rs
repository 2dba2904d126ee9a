//! Packing.

use super::files::{block_name, remove_leftovers, sync_folder, write_whole};
use super::manifest::{self, BlockEntry, Manifest, hex};
use super::names;
use super::read::PackedSet;
use crate::{ImportError, Imported, Part, Split};
use lagrange_data::channel_sums;
use sha2::{Digest as _, Sha256};
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;

/// Bytes of a block, about, where the number of its samples is not given.
const BLOCK_BYTES: usize = 4 << 20;

/// Writes a packed set to the folder `folder`, which is made if it is not there.
///
/// A block holds `samples_per_block` samples (about 4 MB by default), the last of a split perhaps fewer: all
/// their pixels, then all their labels as 16 bits, the low byte first. The manifest is written last, and
/// every file is there whole or not at all; packing that was cut off can be repeated, which removes what was
/// left of it.
///
/// Equal pictures, labels and classes in the same order give the same [`PackedSet::identity`], whatever they
/// were read from, as long as blocks have the same number of samples. Names of files are kept beside
/// it, in `names.txt`.
///
/// ```
/// use lagrange_import::{Imported, PackedSet, Part, Split, pack};
///
/// let part = |pixels: &[u8]| Part {
///     pixels: pixels.to_vec(),
///     labels: vec![0, 1],
///     names: vec![],
/// };
/// let set = Imported {
///     height: 1,
///     width: 1,
///     channels: 1,
///     classes: vec!["dark".into(), "light".into()],
///     train: part(&[3, 250]),
///     validation: None,
///     test: part(&[7, 240]),
/// };
/// let folder = tempfile::tempdir()?;
/// let packed = pack(&set, folder.path(), None)?;
/// let test = packed.read_block(1)?;
/// assert_eq!((test.split, test.pixels), (Split::Test, vec![7, 240]));
/// assert_eq!(PackedSet::open(folder.path())?.identity(), packed.identity());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ImportError::Occupied`] if there is a packed set already, [`ImportError::Unwritable`], and
/// [`ImportError::Malformed`] if the numbers of pixels, labels and classes do not belong together.
pub fn pack(
    set: &Imported,
    folder: &Path,
    samples_per_block: Option<NonZeroUsize>,
) -> Result<PackedSet, ImportError> {
    check(set)?;
    PackedSet::check_absent(folder)?;
    fs::create_dir_all(folder).map_err(|cause| ImportError::unwritable(folder, cause))?;
    remove_leftovers(folder)?;
    let default = (BLOCK_BYTES / (set.sample_bytes() + 2)).max(1);
    let per_block = samples_per_block.map_or(default, NonZeroUsize::get);
    let mut manifest = Manifest::new(set.height, set.width, set.channels, set.classes.clone());
    let sums = channel_sums(&set.train.pixels, set.channels);
    (manifest.sums, manifest.squares) = sums.into_iter().unzip();
    manifest.content = hex(&set.sha256());
    manifest.train = set.train.len();
    manifest.validation = set.validation.as_ref().map_or(0, Part::len);
    manifest.test = set.test.len();
    for split in Split::ALL {
        if let Some(part) = set.part(split) {
            let blocks = write_blocks(folder, split, part, set.sample_bytes(), per_block)?;
            manifest.blocks.extend(blocks);
        }
    }
    names::write(folder, set)?;
    sync_folder(folder)?;
    write_whole(&folder.join(manifest::FILE), &[manifest.text().as_bytes()])?;
    sync_folder(folder)?;
    PackedSet::open(folder)
}

fn write_blocks(
    folder: &Path,
    split: Split,
    part: &Part,
    sample_bytes: usize,
    per_block: usize,
) -> Result<Vec<BlockEntry>, ImportError> {
    let pixels = part.pixels.chunks(per_block.saturating_mul(sample_bytes));
    let labels = part.labels.chunks(per_block);
    let blocks = pixels
        .zip(labels)
        .enumerate()
        .map(|(number, (pixels, labels))| {
            let file = block_name(split, number);
            let labels: Vec<u8> = labels
                .iter()
                .flat_map(|label| label.to_le_bytes())
                .collect();
            let mut hash = Sha256::new();
            hash.update(pixels);
            hash.update(&labels);
            write_whole(&folder.join(&file), &[pixels, &labels])?;
            Ok(BlockEntry {
                file,
                split,
                first: number * per_block,
                count: labels.len() / 2,
                sha256: hex(&hash.finalize()),
            })
        });
    blocks.collect()
}

fn check(set: &Imported) -> Result<(), ImportError> {
    let fault = |fault: &str| Err(ImportError::malformed("the set to be packed", fault));
    if ![1, 3].contains(&set.channels) || set.sample_bytes() == 0 {
        return fault("height, width and channels make no picture");
    }
    for part in Split::ALL.into_iter().filter_map(|split| set.part(split)) {
        if part.pixels.len() != part.len() * set.sample_bytes() {
            return fault("the numbers of pixels and of labels do not belong together");
        }
        if part
            .labels
            .iter()
            .any(|&label| usize::from(label) >= set.classes.len())
        {
            return fault("a label is no position in the list of classes");
        }
        if !part.names.is_empty() && part.names.len() != part.len() {
            return fault("the numbers of names and of labels do not belong together");
        }
    }
    Ok(())
}
