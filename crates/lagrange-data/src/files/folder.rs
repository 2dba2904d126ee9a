//! Listings of folders.

use super::names::spellings;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A folder and the names in it, listed once, because queries are slow on network file systems.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    names: BTreeSet<OsString>,
}

impl Folder {
    pub(super) fn list(path: &Path) -> io::Result<Self> {
        let names = std::fs::read_dir(path)?.map(|entry| Ok(entry?.file_name()));
        Ok(Self {
            path: path.to_owned(),
            names: names.collect::<io::Result<_>>()?,
        })
    }

    /// Whether the folder has an entry of that name, of any kind.
    fn has(&self, name: &str) -> bool {
        self.names.contains(std::ffi::OsStr::new(name))
    }

    /// The file by one of `names`, plain or packed, in whatever spelling, itself or in a folder of its name.
    pub(super) fn find(&self, names: &[String]) -> Option<PathBuf> {
        let packings = ["", ".gz"].into_iter();
        packings
            .flat_map(|packing| names.iter().map(move |name| (name, packing)))
            .find_map(|(name, packing)| self.find_packed(name, packing))
    }

    fn find_packed(&self, name: &str, packing: &str) -> Option<PathBuf> {
        let spellings = spellings(name);
        let files = spellings.clone().map(|name| format!("{name}{packing}"));
        let here = files.iter().filter(|file| self.has(file));
        let folders = spellings.iter().filter(|folder| self.has(folder));
        let within =
            folders.flat_map(|folder| files.iter().map(move |f| Path::new(folder).join(f)));
        here.map(PathBuf::from)
            .chain(within)
            .map(|place| self.path.join(place))
            .find(|path| is_file(path))
    }

    /// The first few names, for a message about missing files.
    pub(super) fn holdings(&self) -> Holdings {
        let mut names: Vec<&OsString> = self.names.iter().collect();
        // Files that may be misnamed files of a set come first.
        names.sort_by_key(|name| !name.to_string_lossy().contains("idx"));
        let shown = names.into_iter().take(SHOWN).map(|name| self.shown(name));
        Holdings {
            shown: shown.collect(),
            count: self.names.len(),
        }
    }

    /// A name for a message: on one line, with its kind.
    fn shown(&self, name: &OsString) -> String {
        let text = name.to_string_lossy();
        let text = text.replace(char::is_control, "\u{fffd}");
        match std::fs::metadata(self.path.join(name)) {
            Ok(metadata) if metadata.is_dir() => format!("{text}/"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                format!("{text} (a link to nothing)")
            }
            _ => text,
        }
    }
}

/// Whether `path` can be read as a file. If that is unknown, reading it will give the error.
fn is_file(path: &Path) -> bool {
    match std::fs::metadata(path) {
        Ok(metadata) => !metadata.is_dir(),
        Err(error) => !is_absent(&error),
    }
}

/// Whether an error means that nothing exists there.
pub(super) fn is_absent(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory)
}

/// Number of names in a message.
const SHOWN: usize = 5;

/// Short listing of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holdings {
    /// The first names; folders end in a slash.
    pub shown: Vec<String>,
    /// Number of names in the folder.
    pub count: usize,
}

impl fmt::Display for Holdings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.count == 0 {
            return f.write_str("is empty");
        }
        write!(f, "holds {}", self.shown.join(", "))?;
        match self.count - self.shown.len() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
