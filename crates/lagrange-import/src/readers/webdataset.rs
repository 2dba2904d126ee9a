//! Tar archives of samples: files of one base name belong together.

use super::by_split;
use crate::format::Reader;
use crate::found::{Found, Picture, Sample};
use crate::names::{shown, tidy};
use crate::picture::is_picture;
use crate::place::Place;
use crate::{Format, ImportError, Options, Split};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

pub(crate) struct WebDataset;

/// Most bytes of a picture's file, and of a label's.
const MOST_BYTES: u64 = 256 << 20;
const MOST_LABEL_BYTES: u64 = 4096;

impl Reader for WebDataset {
    fn format(&self) -> Format {
        Format::WebDataset
    }

    fn fits(&self, place: &Place) -> bool {
        !place.with_extension("tar").is_empty()
    }

    fn read(&self, place: &Place, _: &Options) -> Result<Found, ImportError> {
        let mut found = Found::default();
        for (split, path) in by_split(&place.with_extension("tar"))? {
            let file = File::open(path).map_err(|cause| ImportError::unreadable(path, cause))?;
            found.splits.insert(split);
            add(&mut found, BufReader::new(file), &shown(path), split)?;
        }
        Ok(found)
    }
}

/// The files of one base name, as far as they matter.
#[derive(Default)]
struct Members {
    name: String,
    picture: Option<Vec<u8>>,
    label: Option<String>,
}

/// Adds the samples of an archive.
pub(super) fn add(
    found: &mut Found,
    archive: impl Read,
    name: &str,
    split: Split,
) -> Result<(), ImportError> {
    let (samples, others) = members(archive, name)?;
    found.skipped += others;
    if !samples.is_empty() && samples.iter().all(|sample| sample.label.is_none()) {
        return Err(ImportError::malformed(
            name,
            "no member ends in .cls, so that no sample has a class; an archive of class folders must be \
             unpacked first",
        ));
    }
    for sample in samples {
        let label = sample.label.filter(|label| !label.is_empty());
        let (Some(picture), Some(label)) = (sample.picture, label) else {
            return Err(ImportError::malformed(
                format!("{name}, sample {}", sample.name),
                "needs a picture and a file with its class that ends in .cls",
            ));
        };
        found.samples.push(Sample {
            split,
            class: found.classes.number(&label),
            name: sample.name,
            picture: Picture::Encoded(picture),
        });
    }
    Ok(())
}

/// The samples of an archive in their order, and the number of files that belong to none.
fn members(archive: impl Read, name: &str) -> Result<(Vec<Members>, usize), ImportError> {
    let malformed = |cause: std::io::Error| ImportError::malformed(name, tidy(&cause.to_string()));
    let mut archive = tar::Archive::new(archive);
    let mut samples: Vec<Members> = Vec::new();
    let mut numbers: HashMap<String, usize> = HashMap::new();
    let mut others = 0;
    for entry in archive.entries().map_err(malformed)? {
        let mut entry = entry.map_err(malformed)?;
        let path = tidy(&String::from_utf8_lossy(&entry.path_bytes()));
        let (base, extension) = split_name(&path);
        let is_class = extension.eq_ignore_ascii_case("cls");
        let is_file = entry.header().entry_type().is_file();
        if !is_file || !(is_class || is_picture(Path::new(&format!("x.{extension}")))) {
            others += usize::from(is_file && !extension.eq_ignore_ascii_case("json"));
            continue;
        }
        let limit = if is_class {
            MOST_LABEL_BYTES
        } else {
            MOST_BYTES
        };
        if entry.size() > limit {
            return Err(ImportError::malformed(
                format!("{name}, member {path}"),
                format!("{} bytes are more than {limit}", entry.size()),
            ));
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(malformed)?;
        let number = *numbers.entry(base.to_owned()).or_insert_with(|| {
            samples.push(Members {
                name: base.to_owned(),
                ..Members::default()
            });
            samples.len() - 1
        });
        let sample = &mut samples[number];
        let twice = match is_class {
            true => sample.label.replace(class(&bytes)).is_some(),
            false => sample.picture.replace(bytes).is_some(),
        };
        if twice {
            return Err(ImportError::malformed(
                format!("{name}, member {path}"),
                "a second file of this sample",
            ));
        }
    }
    Ok((samples, others))
}

fn class(bytes: &[u8]) -> String {
    tidy(String::from_utf8_lossy(bytes).trim())
}

/// Base name with its folders, and extension: what follows the first dot of the name.
fn split_name(path: &str) -> (&str, &str) {
    let name = path.rfind('/').map_or(0, |slash| slash + 1);
    match path[name..].find('.') {
        Some(dot) => (&path[..name + dot], &path[name + dot + 1..]),
        None => (path, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_split_at_the_first_dot_of_the_last_part() {
        assert_eq!(split_name("a.b/c.d.png"), ("a.b/c", "d.png"));
        assert_eq!(split_name("c"), ("c", ""));
        assert_eq!(split_name("é.cls"), ("é", "cls"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_archive_or_an_error(
            bytes in prop::collection::vec(any::<u8>(), 0..1500),
            at in 0_usize..512,
            byte in any::<u8>(),
        ) {
            let read = |bytes: &[u8]| {
                let _ = add(&mut Found::default(), bytes, "x.tar", Split::Train);
            };
            read(&bytes);
            let mut archive = tar::Builder::new(Vec::new());
            let mut header = tar::Header::new_gnu();
            header.set_size(3);
            archive.append_data(&mut header, "1.cls", &b"cat"[..]).expect("memory");
            let mut whole = archive.into_inner().expect("memory");
            read(&whole[..at]);
            whole[at] = byte;
            read(&whole);
        }
    }
}
