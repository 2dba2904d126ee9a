//! From what a reader found to pictures of one size, numbers of classes and splits.

mod classes;
mod decode;
mod duplicates;
mod held_out;
mod spread;

pub(crate) use self::decode::Decoded;
use self::decode::decoded;
use self::spread::spread;
use crate::found::Found;
use crate::report::ClassCounts;
use crate::{Format, ImportError, Imported, Options, Part, Report, Split, threads};
use rayon::prelude::*;
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;

/// First half of the SHA-256 of a picture's bytes.
type Hash = [u8; 16];

/// A sample in its final form.
struct Ready<'a> {
    split: Split,
    class: usize,
    name: &'a str,
    bytes: Cow<'a, [u8]>,
    hash: Hash,
}

/// Decodes and sorts the samples of `found`.
pub(crate) fn gather(
    mut found: Found,
    format: Format,
    options: &Options,
) -> Result<(Imported, Report), ImportError> {
    if found.samples.is_empty() {
        let notes = found.warnings.iter().map(|note| format!("; {note}"));
        return Err(ImportError::NoPictures {
            notes: notes.collect(),
        });
    }
    // Messages name training pictures first, whatever order the source has its splits in.
    found.samples.sort_by_key(|sample| sample.split);
    let order = classes::order(&found.classes)?;
    threads::ensure()?;
    let mut decoded = decoded(&found.samples, options)?;
    let stored_grey = decoded
        .samples
        .iter()
        .all(|(_, pixels)| pixels.channels == 1);
    let channels = match options.channels {
        Some(channels) => channels.count(),
        None if stored_grey => 1,
        None => 3,
    };
    let mut report = Report::new(format, &mut decoded, channels);
    report.skipped = found.skipped;
    report.warnings.clone_from(&found.warnings);
    let (height, width) = decoded.size;
    let mut ready = ready(&found, decoded, &order.ranks, channels);
    let drawn = !found.splits.contains(&Split::Test)
        && ready.iter().all(|sample| sample.split != Split::Test);
    if drawn {
        held_out::draw(&mut ready, order.names.len(), options.test_share);
    }
    report.classes = classes::counts(&order.names, &ready);
    check_splits(&found, &report.classes)?;
    report.warnings.extend(classes::check(&report.classes)?);
    report.duplicates = duplicates::across(&ready);
    // Sources are often sorted by class.
    let mut ready = spread(ready);
    if drawn {
        report.note_drawn(options.test_share);
    }
    let imported = Imported {
        height,
        width,
        channels,
        classes: order.names,
        validation: ready
            .iter()
            .any(|sample| sample.split == Split::Validation)
            .then(|| part(&mut ready, Split::Validation)),
        train: part(&mut ready, Split::Train),
        test: part(&mut ready, Split::Test),
    };
    report.size = (height, width, channels);
    Ok((imported, report))
}

/// Gives the pictures their channels and hashes.
fn ready<'a>(
    found: &'a Found,
    decoded: Decoded<'a>,
    ranks: &[usize],
    channels: usize,
) -> Vec<Ready<'a>> {
    let samples = decoded.samples.into_par_iter();
    samples
        .map(|(index, pixels)| {
            let sample = &found.samples[index];
            let bytes = crate::picture::with_channels(pixels.bytes, pixels.channels, channels);
            let mut hash = Hash::default();
            hash.copy_from_slice(&Sha256::digest(&bytes)[..16]);
            Ready {
                split: sample.split,
                class: ranks[sample.class],
                name: &sample.name,
                bytes,
                hash,
            }
        })
        .collect()
}

/// Refuses splits without samples.
fn check_splits(found: &Found, classes: &[ClassCounts]) -> Result<(), ImportError> {
    for split in Split::ALL {
        let needed = split != Split::Validation || found.splits.contains(&split);
        let none = classes.iter().all(|class| class.of(split) == 0);
        if needed && none {
            let hint = match split {
                Split::Train => {
                    "; a split is a folder, a file or a value called train or training, validation, \
                     valid, val or dev, or test, testing, eval or evaluation"
                }
                Split::Test if !found.splits.contains(&split) => {
                    "; no class has two pictures, of which one could be held out"
                }
                _ => "",
            };
            return Err(ImportError::EmptySplit { split, hint });
        }
    }
    Ok(())
}

/// Takes the samples of a split, in their order.
fn part(ready: &mut [Ready<'_>], split: Split) -> Part {
    let own = ready.iter_mut().filter(|sample| sample.split == split);
    let mut part = Part::default();
    for sample in own {
        // Frees each picture once it is copied.
        part.pixels
            .extend_from_slice(&std::mem::take(&mut sample.bytes));
        // At most 65,535 classes were let through.
        part.labels.push(sample.class as u16);
        part.names.push(sample.name.to_owned());
    }
    if part.names.iter().all(String::is_empty) {
        part.names = Vec::new();
    }
    part
}
