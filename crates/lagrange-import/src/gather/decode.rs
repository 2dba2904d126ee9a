//! Decoding of all samples, to one size.

use crate::found::{Picture, Sample};
use crate::guard::guarded;
use crate::names::NAMED;
use crate::picture::{Pixels, decode, fit};
use crate::{ImportError, Options};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// The samples that could be decoded, in their order.
pub(crate) struct Decoded<'a> {
    /// Position among all samples, and picture.
    pub(crate) samples: Vec<(usize, Pixels<'a>)>,
    /// Height and width of all.
    pub(crate) size: (usize, usize),
    /// Number of pictures of each height and width, as they were stored.
    pub(crate) sizes: BTreeMap<(usize, usize), usize>,
    /// Names and faults of the others.
    pub(crate) unreadable: Vec<String>,
}

/// Outcome for one sample; the picture is kept only if it has the size of all.
struct Outcome<'a> {
    stored: (usize, usize),
    pixels: Option<Pixels<'a>>,
}

/// Decodes in parallel.
///
/// # Errors
/// [`ImportError::Pictures`], [`ImportError::Sizes`].
pub(super) fn decoded<'a>(
    samples: &'a [Sample],
    options: &Options,
) -> Result<Decoded<'a>, ImportError> {
    let size = match options.size {
        Some(size) => Some(size),
        // Known before the others are decoded, so that pictures of other sizes need not be kept.
        None => samples.iter().find_map(|sample| {
            let pixels = load(sample).ok()?;
            Some((pixels.height, pixels.width))
        }),
    };
    let outcomes: Vec<_> = samples
        .par_iter()
        .map(|sample| outcome(sample, size, options.size.is_some()))
        .collect();
    let mut decoded = Decoded {
        samples: Vec::with_capacity(samples.len()),
        size: size.unwrap_or_default(),
        sizes: BTreeMap::new(),
        unreadable: Vec::new(),
    };
    let mut differing = None;
    for (index, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Err(fault) => {
                let name = title(&samples[index], index);
                decoded.unreadable.push(format!("{name} ({fault})"));
            }
            Ok(Outcome { stored, pixels }) => {
                *decoded.sizes.entry(stored).or_default() += 1;
                match pixels {
                    Some(pixels) => decoded.samples.push((index, pixels)),
                    None => differing = differing.or(Some((index, stored))),
                }
            }
        }
    }
    let count = decoded.unreadable.len();
    if count > 0 && (!options.skip_unreadable || decoded.samples.is_empty()) {
        let mut files = decoded.unreadable;
        files.truncate(NAMED);
        return Err(ImportError::Pictures { files, count });
    }
    match (differing, decoded.samples.first()) {
        (Some((other, other_size)), Some(&(first, _))) => Err(ImportError::Sizes {
            first: title(&samples[first], first),
            first_size: decoded.size,
            other: title(&samples[other], other),
            other_size,
        }),
        _ => Ok(decoded),
    }
}

fn outcome<'a>(
    sample: &'a Sample,
    size: Option<(usize, usize)>,
    resizes: bool,
) -> Result<Outcome<'a>, String> {
    let pixels = load(sample)?;
    let stored = (pixels.height, pixels.width);
    let pixels = match size {
        Some((height, width)) if resizes => Some(fit(pixels, height, width)?),
        _ if Some(stored) == size => Some(pixels),
        _ => None,
    };
    Ok(Outcome { stored, pixels })
}

fn load(sample: &Sample) -> Result<Pixels<'_>, String> {
    match &sample.picture {
        Picture::File(path) => {
            let file = std::fs::read(path).map_err(|error| error.to_string())?;
            guarded(|| decode(&file), str::to_owned)
        }
        Picture::Encoded(file) => guarded(|| decode(file), str::to_owned),
        Picture::Raw { block, index } => Ok(block.picture(*index)),
    }
}

/// What a message calls a sample.
fn title(sample: &Sample, index: usize) -> String {
    match sample.name.is_empty() {
        true => format!("sample {index} ({})", sample.split),
        false => sample.name.clone(),
    }
}
