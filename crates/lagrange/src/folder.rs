//! Folders that results are written to, and the files in them.

use lagrange_coordinator::{Access, write_whole};
use std::fs::{File, Metadata, TryLockError};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Something else has the name.
    #[error("{whose} {}: there is something of that name that is no folder; choose another", path.display())]
    NotAFolder {
        /// What the folder is for: the flag that names it.
        whose: &'static str,
        /// The folder.
        path: PathBuf,
    },
    /// It cannot be made.
    #[error("{whose} {}: cannot be made: {cause}", path.display())]
    Make {
        /// What the folder is for: the flag that names it.
        whose: &'static str,
        /// The folder.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A file in it cannot be written.
    #[error("{}: cannot be written: {cause}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Another process works in it.
    #[error("{}: another lagrange process is at work in it", path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
    },
    /// A new run, where there is one already.
    #[error(
        "{shown} holds another run; choose a new --run-dir, or go on with that one: --resume {shown}",
        shown = path.display()
    )]
    HoldsRun {
        /// The folder.
        path: PathBuf,
    },
    /// A run to go on with, where there is none.
    #[error("--resume {}: there is no run in it: {cause}", path.display())]
    NoRun {
        /// The folder.
        path: PathBuf,
        /// What the system said of its `config.toml`.
        cause: io::Error,
    },
    /// Its configuration cannot be read.
    #[error("{}: not a configuration: {fault}", path.display())]
    Configuration {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: String,
    },
    /// A run to go on with that is at its end.
    #[error(
        "--resume {}: this run is complete, its result is in result.json; to go on with it, give more --epochs than {epochs}",
        path.display()
    )]
    Complete {
        /// The folder.
        path: PathBuf,
        /// Epochs of the whole run.
        epochs: f64,
    },
    /// The disk is full.
    #[error("{}: no room for the model and the result, {kilobytes} kB: {cause}", path.display())]
    NoRoom {
        /// The folder.
        path: PathBuf,
        /// What is needed.
        kilobytes: u64,
        /// What the system said.
        cause: io::Error,
    },
}

/// Makes the folder at `path`, and those above it; `whose` is the flag that names it.
///
/// # Errors
/// [`FolderError::NotAFolder`] or [`FolderError::Make`]
pub fn make_folder(whose: &'static str, path: &Path) -> Result<(), FolderError> {
    let Err(cause) = std::fs::create_dir_all(path) else {
        return Ok(());
    };
    let path = path.to_owned();
    match path.symlink_metadata().is_ok() && !path.is_dir() {
        true => Err(FolderError::NotAFolder { whose, path }),
        false => Err(FolderError::Make { whose, path, cause }),
    }
}

/// Makes `runs/NAME-TIME`, with a number behind it where that exists: runs that begin together each get their
/// own.
pub(crate) fn make_default(name: &str) -> Result<PathBuf, FolderError> {
    let base = Path::new("runs");
    make_folder("without --run-dir, runs lie in", base)?;
    let time = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S");
    for number in 1.. {
        let path = match number {
            1 => base.join(format!("{name}-{time}")),
            number => base.join(format!("{name}-{time}-{number}")),
        };
        match std::fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(cause) => {
                return Err(FolderError::Make {
                    whose: "runs lie in",
                    path,
                    cause,
                });
            }
        }
    }
    unreachable!("there are more numbers than folders")
}

/// Writes a file whole or not at all, for whoever the umask lets read it. What is no file, as a pipe or
/// `/dev/stdout`, is written to: a file in its place would be of no use to whoever reads there.
///
/// # Errors
/// [`FolderError::Write`]
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), FolderError> {
    let is_stream = |kind: Metadata| !kind.is_file() && !kind.is_dir();
    let written = match path.metadata().is_ok_and(is_stream) {
        true => File::options()
            .write(true)
            .open(path)
            .and_then(|mut stream| stream.write_all(bytes)),
        false => write_whole(path, bytes, Access::Usual),
    };
    written.map_err(unwritten(path))
}

/// What to make of an error of writing to `path`.
pub(crate) fn unwritten(path: &Path) -> impl FnOnce(io::Error) -> FolderError {
    let path = path.to_owned();
    |cause| FolderError::Write { path, cause }
}

/// Keeps other processes out of a folder, for as long as the lock lives; nothing where the file system has no
/// locks.
///
/// # Errors
/// [`FolderError::Busy`] if another process is at work in it, [`FolderError::Write`] if its file cannot be
/// made.
pub fn lock(folder: &Path) -> Result<Option<File>, FolderError> {
    let path = folder.join(".lock");
    let file = File::create(&path).map_err(unwritten(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(FolderError::Busy {
            path: folder.to_owned(),
        }),
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
