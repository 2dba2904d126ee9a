//! The IDX format of MNIST: a magic number, big-endian dimensions, unsigned bytes. Plain or gzip-compressed.

mod error;

pub use error::IdxError;

use flate2::read::MultiGzDecoder;
use std::io::Read;

const IMAGES_MAGIC: u32 = 0x0000_0803;
const LABELS_MAGIC: u32 = 0x0000_0801;
/// IDX type code of unsigned bytes.
const BYTE: u8 = 0x08;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// No IDX set in use comes near this; a header that announces more is damaged or hostile.
/// Every index of a sample fits in 32 bits.
const MAX_BYTES: u64 = u32::MAX as u64;
/// Room made at once, enough for MNIST: growing by doubling copies everything several times.
const USUAL_BYTES: u64 = 48 << 20;

/// Grey images, one byte per pixel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
    /// `[n, height, width]`, row-major.
    pub pixels: Vec<u8>,
}

impl Images {
    /// Number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pixels.len() / (self.height * self.width)
    }

    /// Whether there is no image.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pixels.is_empty()
    }
}

/// Reads an IDX file of images, plain or gzip-compressed.
///
/// # Errors
/// [`IdxError`]; nothing is allocated beyond what is really there.
pub fn read_images(bytes: &[u8]) -> Result<Images, IdxError> {
    let (dimensions, pixels) = read(bytes, "images", IMAGES_MAGIC, 3)?;
    Ok(Images {
        height: dimensions[1] as usize,
        width: dimensions[2] as usize,
        pixels,
    })
}

/// Reads an IDX file of labels, plain or gzip-compressed.
///
/// # Errors
/// [`IdxError`]; nothing is allocated beyond what is really there.
pub fn read_labels(bytes: &[u8]) -> Result<Vec<u8>, IdxError> {
    read(bytes, "labels", LABELS_MAGIC, 1).map(|(_, labels)| labels)
}

fn read(
    bytes: &[u8],
    kind: &'static str,
    magic: u32,
    rank: usize,
) -> Result<(Vec<u32>, Vec<u8>), IdxError> {
    if bytes.starts_with(&GZIP_MAGIC) {
        // A file may be several gzip streams in a row; anything else after the first is damage.
        parse(MultiGzDecoder::new(bytes), kind, magic, rank)
    } else {
        parse(bytes, kind, magic, rank)
    }
}

fn parse(
    mut source: impl Read,
    kind: &'static str,
    magic: u32,
    rank: usize,
) -> Result<(Vec<u32>, Vec<u8>), IdxError> {
    let length = 4 * (rank + 1);
    let header = take(&mut source, length as u64)?;
    let words: Vec<u32> = header
        .chunks_exact(4)
        .map(|word| u32::from_be_bytes([word[0], word[1], word[2], word[3]]))
        .collect();
    if let Some(&found) = words.first() {
        check_magic(found, kind, magic)?;
    }
    if header.len() < length {
        return Err(IdxError::TruncatedHeader {
            expected: length,
            found: header.len(),
        });
    }
    let dimensions = words[1..].to_vec();
    let expected = announced(&dimensions)?;
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
    Ok((dimensions, data))
}

/// Up to `limit` bytes. Reading to the end also lets the gzip decoder verify its checksum.
fn take(source: &mut impl Read, limit: u64) -> Result<Vec<u8>, IdxError> {
    // Memory that is asked for but never written is never had.
    let mut bytes = Vec::with_capacity(limit.min(USUAL_BYTES) as usize);
    source
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(|error| IdxError::Gzip {
            reason: error.to_string(),
        })?;
    Ok(bytes)
}

fn check_magic(found: u32, kind: &'static str, expected: u32) -> Result<(), IdxError> {
    let wrong_kind = |found| IdxError::WrongKind {
        expected: kind,
        found,
    };
    match found {
        _ if found == expected => Ok(()),
        IMAGES_MAGIC => Err(wrong_kind("images")),
        LABELS_MAGIC => Err(wrong_kind("labels")),
        _ => Err(foreign(found, kind, expected)),
    }
}

/// A magic number is two zeros, a type code and a rank, so that a sound IDX file of another sort can be told from a file
/// that is not IDX.
fn foreign(found: u32, kind: &'static str, expected: u32) -> IdxError {
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
        },
        |found| IdxError::UnsupportedType { kind, found },
    )
}

fn announced(dimensions: &[u32]) -> Result<u64, IdxError> {
    if dimensions.contains(&0) {
        return Err(IdxError::Empty {
            dimensions: dimensions.to_vec(),
        });
    }
    dimensions
        .iter()
        .try_fold(1u64, |product, &d| product.checked_mul(d.into()))
        .filter(|&bytes| bytes <= MAX_BYTES)
        .ok_or_else(|| IdxError::TooLarge {
            dimensions: dimensions.to_vec(),
        })
}

#[cfg(test)]
mod tests;
