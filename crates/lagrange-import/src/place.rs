//! What is at a path: a file, or a folder listed once.

use crate::names::{at_most, natural, shown, tidy};
use crate::{ImportError, PackedSet};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// A file, or a folder and what is directly in it.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    /// Files in natural order of their names; for a file, itself.
    pub(crate) files: Vec<PathBuf>,
    /// Folders in natural order of their names.
    pub(crate) folders: Vec<PathBuf>,
    pub(crate) is_folder: bool,
}

impl Place {
    pub(crate) fn open(path: &Path) -> Result<Self, ImportError> {
        let metadata = fs::metadata(path).map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ImportError::Absent {
                path: path.to_owned(),
            },
            _ => ImportError::unreadable(path, cause),
        })?;
        if !metadata.is_dir() {
            return Ok(Self {
                path: path.to_owned(),
                files: vec![path.to_owned()],
                folders: Vec::new(),
                is_folder: false,
            });
        }
        let (files, folders) = list(path)?;
        Ok(Self {
            path: path.to_owned(),
            files,
            folders,
            is_folder: true,
        })
    }

    /// The file of that name in the folder, or the file itself if that is its name.
    pub(crate) fn file(&self, name: &str) -> Option<&Path> {
        let named = |path: &&PathBuf| path.file_name().is_some_and(|there| there == name);
        self.files.iter().find(named).map(PathBuf::as_path)
    }

    /// The files with that extension, in any case of letters.
    pub(crate) fn with_extension(&self, extension: &str) -> Vec<&Path> {
        let files = self.files.iter().map(PathBuf::as_path);
        files
            .filter(|path| has_extension(path, extension))
            .collect()
    }

    /// The folder of that name in this one, if it can be listed.
    pub(crate) fn folder(&self, name: &str) -> Option<Place> {
        let folder = self.folders.iter().find(|path| path.ends_with(name))?;
        Self::open(folder).ok()
    }

    /// What is there, for a message.
    pub(crate) fn holdings(&self) -> String {
        if !self.is_folder {
            return kind_of_file(&self.path);
        }
        if PackedSet::is_in(&self.path) {
            return "the folder holds a packed set, which is imported already".to_owned();
        }
        let folders = self
            .folders
            .iter()
            .map(|path| format!("{}/", name_of(path)));
        let names = folders.chain(self.files.iter().map(|path| name_of(path)));
        let first: Vec<_> = names.take(SHOWN).collect();
        match self.files.len() + self.folders.len() {
            0 => "the folder is empty".to_owned(),
            count => format!("the folder holds {}", at_most(count, &first)),
        }
    }
}

/// Number of names in a message about a folder.
const SHOWN: usize = 8;

/// Files and folders directly in `path`, each in natural order, hidden ones included.
pub(crate) fn list(path: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>), ImportError> {
    let unreadable = |cause| ImportError::unreadable(path, cause);
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let path = entry.path();
        // Only links need another query of the file system, which may be slow.
        let is_folder = match entry.file_type() {
            Ok(kind) if !kind.is_symlink() => kind.is_dir(),
            _ => path.is_dir(),
        };
        match is_folder {
            true => folders.push(path),
            false => files.push(path),
        }
    }
    sort(&mut files);
    sort(&mut folders);
    Ok((files, folders))
}

fn sort(paths: &mut [PathBuf]) {
    paths.sort_by_cached_key(|path| Key(path.to_string_lossy().into_owned(), path.clone()));
}

/// Natural order of text; by bytes where the text is equal, as that of names that are not UTF-8 may be.
#[derive(PartialEq, Eq)]
struct Key(String, PathBuf);

impl Ord for Key {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        natural(&self.0, &other.0).then_with(|| self.1.cmp(&other.1))
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// All files below a folder, at any depth, in natural order of their paths. A folder that several links lead
/// to is entered once, and one above the first not at all: what a loop of links leads to is not of one class.
/// Hidden folders are left out.
pub(crate) fn below(folder: &Path) -> Result<Vec<PathBuf>, ImportError> {
    let mut found = Vec::new();
    walk(folder, |files| {
        found.extend(files);
        true
    })?;
    sort(&mut found);
    Ok(found)
}

/// Whether one of the files below a folder, at any depth, is `wanted`.
pub(crate) fn any_below(folder: &Path, wanted: fn(&Path) -> bool) -> bool {
    let mut found = false;
    let walked = walk(folder, |files| {
        found = files.iter().any(|path| wanted(path));
        !found
    });
    walked.is_ok() && found
}

/// Gives the files of each folder to `visit`, as long as it returns true.
fn walk(folder: &Path, mut visit: impl FnMut(Vec<PathBuf>) -> bool) -> Result<(), ImportError> {
    let real_path =
        |path: &Path| fs::canonicalize(path).map_err(|cause| ImportError::unreadable(path, cause));
    let first = real_path(folder)?;
    let mut entered: HashSet<PathBuf> = first.ancestors().skip(1).map(Path::to_owned).collect();
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        if !entered.insert(real_path(&folder)?) {
            continue;
        }
        let (files, folders) = list(&folder)?;
        if !visit(files) {
            break;
        }
        waiting.extend(folders.into_iter().filter(|path| !is_hidden(path)));
    }
    Ok(())
}

/// Whether a file or folder is hidden, as `.DS_Store` is, or left behind by an archiver.
pub(crate) fn is_hidden(path: &Path) -> bool {
    let name = name_of(path);
    name.starts_with('.') || name == "__MACOSX"
}

/// The last part of a path, for a message or as the name of a class.
pub(crate) fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    tidy(&name.to_string_lossy())
}

/// The path as seen from `root`, with slashes.
pub(crate) fn relative(path: &Path, root: &Path) -> String {
    let below = path.strip_prefix(root).unwrap_or(path);
    shown(below).replace('\\', "/")
}

pub(crate) fn has_extension(path: &Path, extension: &str) -> bool {
    let own = path.extension();
    own.is_some_and(|own| own.eq_ignore_ascii_case(extension))
}

/// The whole of a file.
pub(crate) fn contents(path: &Path) -> Result<Vec<u8>, ImportError> {
    fs::read(path).map_err(|cause| ImportError::unreadable(path, cause))
}

/// The first `count` bytes of a file, or fewer; none if it cannot be read.
pub(crate) fn head(path: &Path, count: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = File::open(path).map(|file| file.take(count).read_to_end(&mut bytes));
    match read {
        Ok(Ok(_)) => bytes,
        _ => Vec::new(),
    }
}

/// Kind of a file that is no data set, with what helps.
fn kind_of_file(path: &Path) -> String {
    let head = head(path, 512);
    let kinds: [(&[u8], &str); 9] = [
        (b"\x1f\x8b", "gzip data: unpack it (tar xzf, or gunzip)"),
        (
            b"\xfd7zXZ\0",
            "data compressed by xz: unpack it (tar xJf, or unxz)",
        ),
        (
            b"BZh",
            "data compressed by bzip2: unpack it (tar xjf, or bunzip2)",
        ),
        (
            b"\x28\xb5\x2f\xfd",
            "data compressed by zstd: unpack it (unzstd)",
        ),
        (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive: unpack it"),
        (b"PK\x03\x04", "a zip archive: unpack it"),
        (
            b"version https://git-lfs",
            "a git-lfs pointer: fetch the file itself (git lfs pull)",
        ),
        (
            b"\x93NUMPY",
            "one array: give the folder of it and of its labels (x.npy and y.npy)",
        ),
        (
            b"<",
            "a web page or a server's reply: download the file itself",
        ),
    ];
    let kind = kinds.iter().find(|(sign, _)| head.starts_with(sign));
    match kind {
        Some((_, kind)) => format!("it is {kind}"),
        None if head.is_empty() => "it is an empty file".to_owned(),
        None => "it is a single file of an unknown kind".to_owned(),
    }
}
