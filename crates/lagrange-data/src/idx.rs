//! The IDX format of MNIST: a magic number, big-endian dimensions, unsigned bytes. Plain or gzip-compressed.
//!
//! Labels may also be QMNIST's: rows of eight 32-bit integers, of which the first is the label.

mod error;

pub use error::IdxError;

use crate::Images;
use crate::file_kind::{FileKind, HEAD_BYTES};
use flate2::read::MultiGzDecoder;
use std::io::Read;

pub(crate) const IMAGES_MAGIC: u32 = 0x0000_0803;
pub(crate) const LABELS_MAGIC: u32 = 0x0000_0801;
/// QMNIST's labels.
pub(crate) const EXTENDED_LABELS_MAGIC: u32 = 0x0000_0c02;
/// Integers of one of QMNIST's labels: the digit, and where in NIST's collection it comes from.
const EXTENDED_COLUMNS: u32 = 8;
/// IDX type code of unsigned bytes.
const BYTE: u8 = 0x08;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Largest data of an IDX file; a header that announces more is damaged or hostile. Every index of a sample
/// fits in 32 bits.
const MAX_BYTES: u64 = u32::MAX as u64;
/// Initial capacity, enough for MNIST: growing by doubling would copy the data several times.
const USUAL_BYTES: u64 = 48 << 20;

/// Reads an IDX file of images, plain or gzip-compressed.
///
/// ```
/// // Two images of 1x3 pixels.
/// let file = [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 10, 20, 30, 40, 50, 60];
/// let images = lagrange_data::read_images(&file)?;
/// assert_eq!((images.len(), images.height, images.width), (2, 1, 3));
/// assert_eq!(images.pixels[3..], [40, 50, 60]);
/// # Ok::<(), lagrange_data::IdxError>(())
/// ```
///
/// # Errors
/// [`IdxError`]; memory is allocated for data that exists, not for data announced.
pub fn read_images(bytes: &[u8]) -> Result<Images, IdxError> {
    let Contents {
        dimensions, data, ..
    } = read(bytes, &IMAGES)?;
    Ok(Images {
        height: dimensions[1] as usize,
        width: dimensions[2] as usize,
        channels: 1,
        pixels: data,
    })
}

/// Reads an IDX file of labels, plain or gzip-compressed.
///
/// ```
/// let labels = lagrange_data::read_labels(&[0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1])?;
/// assert_eq!(labels, [7, 2, 1]);
/// # Ok::<(), lagrange_data::IdxError>(())
/// ```
///
/// # Errors
/// [`IdxError`]; memory is allocated for data that exists, not for data announced.
pub fn read_labels(bytes: &[u8]) -> Result<Vec<u8>, IdxError> {
    let Contents {
        magic,
        dimensions,
        data,
    } = read(bytes, &LABELS)?;
    match magic {
        EXTENDED_LABELS_MAGIC => first_column(&dimensions, &data),
        _ => Ok(data),
    }
}

/// The labels of QMNIST's rows.
fn first_column(dimensions: &[u32], data: &[u8]) -> Result<Vec<u8>, IdxError> {
    let columns = dimensions[1];
    // Integers in another number of columns may be anything, one-hot labels for example.
    if columns != EXTENDED_COLUMNS {
        return Err(IdxError::Columns { found: columns });
    }
    let rows = data.chunks_exact(4 * columns as usize).enumerate();
    rows.map(|(index, row)| {
        let label = i32::from_be_bytes([row[0], row[1], row[2], row[3]]);
        u8::try_from(label).map_err(|_| IdxError::Label { index, label })
    })
    .collect()
}

/// Expected content of a file.
struct Wanted {
    kind: &'static str,
    magic: u32,
    layouts: &'static [Layout],
}

/// Layout of a file with a magic number.
#[derive(Clone, Copy)]
struct Layout {
    magic: u32,
    rank: usize,
    /// Bytes of one item.
    item: u64,
}

const IMAGES: Wanted = Wanted {
    kind: "images",
    magic: IMAGES_MAGIC,
    layouts: &[Layout {
        magic: IMAGES_MAGIC,
        rank: 3,
        item: 1,
    }],
};

const LABELS: Wanted = Wanted {
    kind: "labels",
    magic: LABELS_MAGIC,
    layouts: &[
        Layout {
            magic: LABELS_MAGIC,
            rank: 1,
            item: 1,
        },
        Layout {
            magic: EXTENDED_LABELS_MAGIC,
            rank: 2,
            item: 4,
        },
    ],
};

/// What comes before the data of a file.
struct Header {
    magic: u32,
    dimensions: Vec<u32>,
    /// Bytes of the data.
    expected: u64,
}

/// Content of a file.
struct Contents {
    magic: u32,
    dimensions: Vec<u32>,
    data: Vec<u8>,
}

/// Reads the images of an IDX file, plain or gzip-compressed, `count` at a time: `each` is given the index of
/// the first of them, and their pixels.
///
/// # Errors
/// As [`read_images`]; of a damaged file `each` may have been given images before the damage is found.
#[cfg(feature = "embedded-mnist")]
pub(crate) fn each_images(
    bytes: &[u8],
    count: usize,
    each: &mut dyn FnMut(usize, Vec<u8>),
) -> Result<(), IdxError> {
    let mut source = opened(bytes);
    let Header {
        dimensions,
        expected,
        ..
    } = header(&mut source, &IMAGES)?;
    let image = u64::from(dimensions[1]) * u64::from(dimensions[2]);
    let mut read = 0;
    while read < expected {
        let wanted = (expected - read).min(count.max(1) as u64 * image);
        let pixels = take(&mut source, wanted)?;
        if (pixels.len() as u64) < wanted {
            let found = read + pixels.len() as u64;
            return Err(IdxError::Truncated { expected, found });
        }
        each((read / image) as usize, pixels);
        read += wanted;
    }
    match take(&mut source, 1)?.is_empty() {
        true => Ok(()),
        false => Err(IdxError::TrailingBytes { expected }),
    }
}

fn opened<'a>(bytes: &'a [u8]) -> Box<dyn Read + 'a> {
    match bytes.starts_with(&GZIP_MAGIC) {
        // A file may be several gzip streams in a row; anything else after the first is damage.
        true => Box::new(MultiGzDecoder::new(bytes)),
        false => Box::new(bytes),
    }
}

fn header(source: &mut impl Read, wanted: &Wanted) -> Result<Header, IdxError> {
    let mut header = take(source, 4)?;
    let layout = match word(&header) {
        Some(magic) => wanted.layouts.iter().find(|layout| layout.magic == magic),
        None => wanted.layouts.first(),
    };
    let Some(&Layout { magic, rank, item }) = layout else {
        return Err(refused(header, source, wanted));
    };
    header.append(&mut take(source, 4 * rank as u64)?);
    let length = 4 * (rank + 1);
    if header.len() < length {
        return Err(IdxError::TruncatedHeader {
            expected: length,
            found: header.len(),
        });
    }
    let dimensions: Vec<u32> = header[4..].chunks_exact(4).filter_map(word).collect();
    let expected = announced(&dimensions, item)?;
    Ok(Header {
        magic,
        dimensions,
        expected,
    })
}

fn read(bytes: &[u8], wanted: &Wanted) -> Result<Contents, IdxError> {
    let mut source = opened(bytes);
    let Header {
        magic,
        dimensions,
        expected,
    } = header(&mut source, wanted)?;
    // One byte more than announced tells a longer file, and bounds what a gzip bomb can inflate to.
    let mut data = take(&mut source, expected + 1)?;
    let found = data.len() as u64;
    if found < expected {
        return Err(IdxError::Truncated { expected, found });
    }
    if found > expected {
        return Err(IdxError::TrailingBytes { expected });
    }
    data.shrink_to_fit();
    Ok(Contents {
        magic,
        dimensions,
        data,
    })
}

/// The big-endian number of four bytes.
fn word(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_be_bytes)
}

/// Up to `limit` bytes. Reading to the end also lets the gzip decoder verify its checksum.
fn take(source: &mut impl Read, limit: u64) -> Result<Vec<u8>, IdxError> {
    // Capacity that is never written takes no memory.
    let mut bytes = Vec::with_capacity(limit.min(USUAL_BYTES) as usize);
    source
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(|error| IdxError::Gzip {
            reason: error.to_string(),
        })?;
    Ok(bytes)
}

/// Error of a file with an unexpected magic number in `head`.
fn refused(mut head: Vec<u8>, source: impl Read, wanted: &Wanted) -> IdxError {
    let &Wanted { kind, magic, .. } = wanted;
    let found = word(&head).unwrap_or_default();
    let wrong_kind = |found| IdxError::WrongKind {
        expected: kind,
        found,
    };
    // An error in reading the rest would add nothing.
    let _ = source.take(HEAD_BYTES as u64).read_to_end(&mut head);
    match FileKind::of(&head) {
        FileKind::Images => wrong_kind("images"),
        FileKind::Labels => wrong_kind("labels"),
        looks_like => foreign(found, kind, magic, looks_like),
    }
}

/// A magic number is two zeros, a type code and a rank, which distinguishes valid IDX files of other types
/// from files that are not IDX.
fn foreign(found: u32, kind: &'static str, expected: u32, looks_like: FileKind) -> IdxError {
    let [zero, zero_too, code, rank] = found.to_be_bytes();
    let type_name = match (zero, zero_too, code) {
        (0, 0, BYTE) if rank > 0 => {
            return IdxError::UnsupportedRank {
                kind,
                expected: expected.to_be_bytes()[3],
                found: rank,
            };
        }
        (0, 0, 0x09) => Some("signed byte"),
        (0, 0, 0x0b) => Some("16-bit integer"),
        (0, 0, 0x0c) => Some("32-bit integer"),
        (0, 0, 0x0d) => Some("32-bit float"),
        (0, 0, 0x0e) => Some("64-bit float"),
        _ => None,
    };
    type_name.map_or(
        IdxError::WrongMagic {
            kind,
            expected,
            found,
            looks_like,
        },
        |found| IdxError::UnsupportedType { kind, found },
    )
}

fn announced(dimensions: &[u32], item: u64) -> Result<u64, IdxError> {
    if dimensions.contains(&0) {
        return Err(IdxError::Empty {
            dimensions: dimensions.to_vec(),
        });
    }
    dimensions
        .iter()
        .try_fold(item, |product, &d| product.checked_mul(d.into()))
        .filter(|&bytes| bytes <= MAX_BYTES)
        .ok_or_else(|| IdxError::TooLarge {
            dimensions: dimensions.to_vec(),
        })
}

#[cfg(test)]
mod tests;
