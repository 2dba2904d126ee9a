//! Names of the samples' files: a line each, beside the set, and no part of its identity.

use super::files::write_whole;
use super::manifest::Manifest;
use crate::names::{shown, tidy};
use crate::{ImportError, Imported, Split};
use std::fs;
use std::io;
use std::path::Path;

/// Name of the file.
pub(super) const FILE: &str = "names.txt";

/// Writes the names in the order of the samples: train, validation, test. Without any, no file is written.
pub(super) fn write(folder: &Path, set: &Imported) -> Result<(), ImportError> {
    let parts = || Split::ALL.into_iter().filter_map(|split| set.part(split));
    let path = folder.join(FILE);
    if parts().all(|part| part.names.is_empty()) {
        // One may be left from packing that was cut off.
        return match fs::remove_file(&path) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                Err(ImportError::unwritable(&path, cause))
            }
            _ => Ok(()),
        };
    }
    let mut text = String::new();
    for part in parts() {
        for sample in 0..part.len() {
            text.push_str(
                &part
                    .names
                    .get(sample)
                    .map_or(String::new(), |name| tidy(name)),
            );
            text.push('\n');
        }
    }
    write_whole(&path, &[text.as_bytes()])
}

/// The names of a split's samples; none if the set has no names.
pub(super) fn read(
    folder: &Path,
    manifest: &Manifest,
    split: Split,
) -> Result<Option<Vec<String>>, ImportError> {
    let path = folder.join(FILE);
    let text = match fs::read_to_string(&path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|cause| ImportError::unreadable(&path, cause))?,
    };
    let earlier = Split::ALL.into_iter().filter(|&other| other < split);
    let first = earlier.map(|split| manifest.count(split)).sum();
    let lines = text.lines().skip(first).take(manifest.count(split));
    let names: Vec<String> = lines.map(str::to_owned).collect();
    match names.len() == manifest.count(split) {
        true => Ok(Some(names)),
        false => Err(ImportError::malformed(
            shown(&path),
            format!("the names of some {split} samples are missing; remove the file to do without"),
        )),
    }
}
