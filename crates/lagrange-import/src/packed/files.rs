//! Files that are there whole or not at all.

use crate::ImportError;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

/// Writes a file under a temporary name and renames it once it is on the disk.
pub(super) fn write_whole(path: &Path, parts: &[&[u8]]) -> Result<(), ImportError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".part");
    let written = File::create(&temporary).and_then(|mut file| {
        parts.iter().try_for_each(|part| file.write_all(part))?;
        file.sync_all()
    });
    let renamed = written.and_then(|()| fs::rename(&temporary, path));
    renamed.map_err(|cause| ImportError::unwritable(path, cause))
}

/// Puts the names of a folder's files on the disk.
pub(super) fn sync_folder(path: &Path) -> Result<(), ImportError> {
    // Elsewhere folders cannot be opened, and need not be.
    if cfg!(unix) {
        let synced = File::open(path).and_then(|folder| folder.sync_all());
        synced.map_err(|cause| ImportError::unwritable(path, cause))?;
    }
    Ok(())
}
