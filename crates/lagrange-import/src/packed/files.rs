//! Files that are there whole or not at all.

use super::{manifest, names};
use crate::{ImportError, Split};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;

/// End of the names of files that are not whole yet.
const UNFINISHED: &str = ".part";
/// End of the names of blocks.
const BLOCK: &str = ".block";

/// Name of a block's file.
pub(super) fn block_name(split: Split, number: usize) -> String {
    format!("{split}-{number:05}{BLOCK}")
}

/// Writes a file under a temporary name and renames it once it is on the disk.
pub(super) fn write_whole(path: &Path, parts: &[&[u8]]) -> Result<(), ImportError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(UNFINISHED);
    let written = File::create(&temporary).and_then(|mut file| {
        parts.iter().try_for_each(|part| file.write_all(part))?;
        synced(&file)
    });
    let renamed = written.and_then(|()| fs::rename(&temporary, path));
    renamed.map_err(|cause| {
        let _ = fs::remove_file(&temporary);
        ImportError::unwritable(path, cause)
    })
}

/// Puts the names of a folder's files on the disk.
pub(super) fn sync_folder(path: &Path) -> Result<(), ImportError> {
    // Elsewhere folders cannot be opened, and need not be.
    if cfg!(unix) {
        let synced = File::open(path).and_then(|folder| synced(&folder));
        synced.map_err(|cause| ImportError::unwritable(path, cause))?;
    }
    Ok(())
}

/// Waits until a file is on the disk. Some file systems cannot tell, which is no reason not to use them.
fn synced(file: &File) -> io::Result<()> {
    match file.sync_all() {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::Unsupported | ErrorKind::InvalidInput
            ) =>
        {
            Ok(())
        }
        done => done,
    }
}

/// Removes what packing that was cut off has left in a folder.
pub(super) fn remove_leftovers(folder: &Path) -> Result<(), ImportError> {
    let entries = fs::read_dir(folder).map_err(|cause| ImportError::unreadable(folder, cause))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let whole = name.strip_suffix(UNFINISHED);
        let is_ours = [manifest::FILE, names::FILE].contains(&whole.unwrap_or_default())
            || is_block(whole.unwrap_or(&name));
        if is_ours {
            fs::remove_file(&path).map_err(|cause| ImportError::unwritable(&path, cause))?;
        }
    }
    Ok(())
}

/// Whether [`block_name`] makes such names.
fn is_block(name: &str) -> bool {
    let parts = name
        .strip_suffix(BLOCK)
        .and_then(|stem| stem.split_once('-'));
    parts.is_some_and(|(split, number)| {
        Split::ALL.iter().any(|known| known.to_string() == split)
            && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}
