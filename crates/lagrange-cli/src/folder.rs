//! Folders that results are written to, and the files in them.

use crate::config::Config;
use anyhow::{Context as _, Result, bail};
use lagrange_coordinator::{Access, write_whole};
use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Makes the folder that a flag names, and those above it.
///
/// # Errors
/// If it cannot be made.
pub(crate) fn make_folder(flag: &str, path: &Path) -> Result<()> {
    let Err(error) = std::fs::create_dir_all(path) else {
        return Ok(());
    };
    let shown = path.display();
    match path.symlink_metadata().is_ok() && !path.is_dir() {
        true => bail!(
            "{flag} {shown}: there is something of that name that is no folder; choose another"
        ),
        false => bail!("{flag} {shown}: cannot be made: {error}"),
    }
}

/// Makes `runs/TASK-seedN-TIME`, with a number behind it where that exists: runs that begin together each get their own.
pub(crate) fn make_default(config: &Config) -> Result<PathBuf> {
    let base = Path::new("runs");
    make_folder("without --run-dir, runs lie in", base)?;
    let time = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S");
    let name = format!("{}-seed{}-{time}", config.task, config.seed);
    for number in 1.. {
        let path = match number {
            1 => base.join(&name),
            number => base.join(format!("{name}-{number}")),
        };
        match std::fs::create_dir(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => {
                made.with_context(|| format!("{}: cannot be made", path.display()))?;
                return Ok(path);
            }
        }
    }
    unreachable!("there are more numbers than folders")
}

/// Writes a file whole or not at all, for whoever the umask lets read it.
///
/// # Errors
/// If it cannot be written, naming it.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    write_whole(path, bytes, Access::Usual)
        .with_context(|| format!("{}: cannot be written", path.display()))
}

/// Keeps other processes out of a folder, for as long as this one lives; nothing where the file system has no locks.
///
/// # Errors
/// If another process is at work in it, or its file cannot be made.
pub(crate) fn lock(folder: &Path) -> Result<Option<File>> {
    let path = folder.join(".lock");
    let file =
        File::create(&path).with_context(|| format!("{}: cannot be written", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => bail!(
            "{}: another lagrange process is at work in it",
            folder.display()
        ),
        // Lustre and NFS may be mounted without.
        Err(TryLockError::Error(error)) => {
            tracing::warn!(
                "{}: cannot be locked ({error}); going on: make sure that no other lagrange process works in it",
                folder.display()
            );
            Ok(None)
        }
    }
}
