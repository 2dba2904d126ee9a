//! Files that are there whole or not at all, whoever is killed and however full the disk is.

use std::fs::File;
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;
use tempfile::NamedTempFile;

/// Beginning of the names of files that [`write_whole`] has not finished: a killed process leaves them behind.
pub const UNFINISHED: &str = ".unfinished-";

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Whoever the process's umask lets.
    Usual,
    /// Its owner alone: keys and tokens.
    Owner,
}

/// A file that has room on the disk and no name yet.
#[derive(Debug)]
pub struct Place(NamedTempFile);

impl Place {
    /// A file beside where `path` will be. Its own name begins with `prefix`: a killed process leaves it
    /// behind.
    ///
    /// # Errors
    /// What the system says.
    pub fn beside(path: &Path, prefix: &str, access: Access) -> io::Result<Self> {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let mut builder = tempfile::Builder::new();
        builder.prefix(prefix);
        if access == Access::Usual {
            permit_everybody(&mut builder);
        }
        Ok(Self(builder.tempfile_in(folder.unwrap_or(Path::new(".")))?))
    }

    /// Makes sure of room for `bytes`, where the file system can.
    ///
    /// # Errors
    /// If it has no more.
    pub fn reserve(&self, bytes: u64) -> io::Result<()> {
        match allocate(self.0.as_file(), bytes) {
            Err(error) if !means_full(&error) => Ok(()),
            done => done,
        }
    }

    /// Writes `bytes` to the disk and gives them the name `path`, in place of what had it.
    ///
    /// # Errors
    /// What the system says; the place is then lost, and what had the name still has it.
    pub fn fill(mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)?;
        self.0.as_file().set_len(bytes.len() as u64)?;
        synced(self.0.as_file())?;
        self.0.persist(path).map_err(|error| error.error)?;
        // A rename is on the disk when its folder is.
        match path.parent().map(File::open) {
            Some(Ok(folder)) => synced(&folder),
            _ => Ok(()),
        }
    }
}

/// Writes a file in one piece: a reader sees the old one or the new one, never a part.
///
/// # Errors
/// What the system says; the old file is then as it was.
pub fn write_whole(path: &Path, bytes: &[u8], access: Access) -> io::Result<()> {
    Place::beside(path, UNFINISHED, access)?.fill(path, bytes)
}

/// Whether an error says that there is no room, which may be made.
#[must_use]
pub fn means_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
    )
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

#[cfg(unix)]
fn permit_everybody(builder: &mut tempfile::Builder<'_, '_>) {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;
    // The umask takes its share, as from any file.
    builder.permissions(Permissions::from_mode(0o666));
}

#[cfg(not(unix))]
fn permit_everybody(_: &mut tempfile::Builder<'_, '_>) {}

#[cfg(unix)]
fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    Ok(fallocate(file, FallocateFlags::empty(), 0, bytes)?)
}

#[cfg(not(unix))]
fn allocate(_: &File, _: u64) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn files_have_the_usual_mode_and_secrets_their_own() {
        use std::os::unix::fs::MetadataExt as _;
        let folder = tempfile::tempdir().expect("folder");
        let usual = folder.path().join("usual");
        File::create(&usual).expect("made");
        let expected = usual.metadata().expect("there").mode();
        for (access, mode) in [(Access::Usual, expected & 0o777), (Access::Owner, 0o600)] {
            let path = folder.path().join("file");
            write_whole(&path, b"text", access).expect("written");
            assert_eq!(path.metadata().expect("there").mode() & 0o777, mode);
            assert_eq!(std::fs::read(&path).expect("read"), b"text");
        }
    }

    #[test]
    fn a_place_is_cut_to_what_fills_it_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("file");
        let place = Place::beside(&path, ".place-", Access::Usual).expect("made");
        place.reserve(1 << 16).expect("room");
        place.fill(&path, b"short").expect("written");
        assert_eq!(std::fs::read(&path).expect("read"), b"short");
        assert_eq!(folder.path().read_dir().expect("read").count(), 1);
    }
}
