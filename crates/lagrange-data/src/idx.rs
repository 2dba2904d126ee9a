//! The IDX format of MNIST: a magic number, big-endian dimensions, unsigned bytes. Plain or gzip-compressed.

use flate2::read::GzDecoder;
use std::io::Read;

const IMAGES_MAGIC: u32 = 0x0000_0803;
const LABELS_MAGIC: u32 = 0x0000_0801;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// No IDX set in use comes near this; a header that announces more is damaged or hostile.
const MAX_BYTES: u64 = 4 << 30;

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

/// What is wrong with an IDX file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdxError {
    /// The file ends inside its header.
    #[error(
        "truncated: {found} bytes where the IDX header alone takes {expected}; copy the file again"
    )]
    TruncatedHeader {
        /// Length of the header.
        expected: usize,
        /// Bytes present.
        found: usize,
    },
    /// Labels where images belong, or the reverse.
    #[error(
        "this is an IDX file of {found} where one of {expected} belongs; the files are swapped or misnamed"
    )]
    WrongKind {
        /// What belongs here.
        expected: &'static str,
        /// What is here.
        found: &'static str,
    },
    /// Not an IDX file of bytes at all.
    #[error(
        "wrong magic number 0x{found:08x} where 0x{expected:08x} belongs: not an IDX file of {kind}"
    )]
    WrongMagic {
        /// What belongs here.
        kind: &'static str,
        /// Its magic number.
        expected: u32,
        /// The number found.
        found: u32,
    },
    /// The file ends before the last announced item.
    #[error(
        "truncated: {found} bytes of data where the header announces {expected}; copy the file again"
    )]
    Truncated {
        /// Bytes announced.
        expected: u64,
        /// Bytes present.
        found: u64,
    },
    /// Something follows the last announced item.
    #[error(
        "more than the {expected} bytes of data that the header announces: the header or the file is damaged"
    )]
    TrailingBytes {
        /// Bytes announced.
        expected: u64,
    },
    /// A dimension of zero.
    #[error("the header announces {dimensions:?} items: every dimension must be at least 1")]
    Empty {
        /// Dimensions in the header.
        dimensions: Vec<u32>,
    },
    /// More than any real set holds.
    #[error(
        "the header announces {dimensions:?} items, more than the {MAX_BYTES} bytes allowed: the header is damaged"
    )]
    TooLarge {
        /// Dimensions in the header.
        dimensions: Vec<u32>,
    },
    /// The gzip stream is damaged.
    #[error("damaged gzip data: {reason}; copy the file again")]
    Gzip {
        /// What the decoder said.
        reason: String,
    },
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
        parse(GzDecoder::new(bytes), kind, magic, rank)
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
    let mut bytes = Vec::new();
    source
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(|error| IdxError::Gzip {
            reason: error.to_string(),
        })?;
    Ok(bytes)
}

fn check_magic(found: u32, kind: &'static str, expected: u32) -> Result<(), IdxError> {
    let found_kind = match found {
        IMAGES_MAGIC => "images",
        LABELS_MAGIC => "labels",
        _ => {
            return Err(IdxError::WrongMagic {
                kind,
                expected,
                found,
            });
        }
    };
    if found == expected {
        Ok(())
    } else {
        Err(IdxError::WrongKind {
            expected: kind,
            found: found_kind,
        })
    }
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
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;
    use std::io::Write as _;

    fn idx(magic: u32, dimensions: &[u32], data: &[u8]) -> Vec<u8> {
        let mut bytes = magic.to_be_bytes().to_vec();
        dimensions
            .iter()
            .for_each(|d| bytes.extend(d.to_be_bytes()));
        bytes.extend(data);
        bytes
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    #[test]
    fn plain_and_gzip_read_alike() {
        let bytes = idx(
            IMAGES_MAGIC,
            &[2, 2, 3],
            &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
        );
        let images = read_images(&bytes).expect("well formed");
        assert_eq!((images.len(), images.height, images.width), (2, 2, 3));
        assert_eq!(read_images(&gzip(&bytes)).expect("well formed"), images);
        let labels = idx(LABELS_MAGIC, &[3], &[7, 0, 9]);
        assert_eq!(read_labels(&gzip(&labels)).expect("well formed"), [7, 0, 9]);
    }

    #[test]
    fn every_malformation_has_its_name() {
        let images = |bytes: &[u8]| read_images(bytes).expect_err("malformed");
        let good = idx(IMAGES_MAGIC, &[1, 2, 2], &[1, 2, 3, 4]);
        assert_eq!(
            images(&[]),
            IdxError::TruncatedHeader {
                expected: 16,
                found: 0
            }
        );
        assert_eq!(
            images(&good[..9]),
            IdxError::TruncatedHeader {
                expected: 16,
                found: 9
            }
        );
        assert_eq!(
            images(&good[..18]),
            IdxError::Truncated {
                expected: 4,
                found: 2
            }
        );
        assert_eq!(
            images(&[good.as_slice(), &[0]].concat()),
            IdxError::TrailingBytes { expected: 4 }
        );
        assert_eq!(
            images(&idx(LABELS_MAGIC, &[4], &[1, 2, 3, 4])),
            IdxError::WrongKind {
                expected: "images",
                found: "labels"
            }
        );
        assert!(matches!(
            images(b"PK\x03\x04 not an IDX file"),
            IdxError::WrongMagic {
                found: 0x504b_0304,
                ..
            }
        ));
        assert!(matches!(
            images(&idx(0x0d03, &[1, 1, 1], &[0; 4])),
            IdxError::WrongMagic { .. }
        ));
        assert!(matches!(
            images(&idx(IMAGES_MAGIC, &[0, 2, 2], &[])),
            IdxError::Empty { .. }
        ));
        for huge in [[u32::MAX, u32::MAX, u32::MAX], [1 << 20, 1 << 10, 1 << 10]] {
            assert!(matches!(
                images(&idx(IMAGES_MAGIC, &huge, &[])),
                IdxError::TooLarge { .. }
            ));
        }
    }

    #[test]
    fn damaged_gzip_is_named() {
        let good = gzip(&idx(IMAGES_MAGIC, &[1, 40, 40], &[7; 1600]));
        let mut wrong_sum = good.clone();
        let at = wrong_sum.len() - 8;
        wrong_sum[at] ^= 1;
        for bad in [&good[..good.len() - 9], &good[..12], &wrong_sum] {
            assert!(matches!(read_images(bad), Err(IdxError::Gzip { .. })));
        }
    }

    #[test]
    fn a_gzip_bomb_is_not_inflated() {
        let bomb = gzip(&idx(IMAGES_MAGIC, &[1, 2, 2], &vec![0; 50 << 20]));
        assert_eq!(
            read_images(&bomb),
            Err(IdxError::TrailingBytes { expected: 4 })
        );
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..80), kind in 0u8..3,
        ) {
            let bytes = match kind {
                0 => bytes,
                1 => idx(IMAGES_MAGIC, &[], &bytes),
                _ => gzip(&idx(LABELS_MAGIC, &[], &bytes)),
            };
            let _ = read_images(&bytes);
            let _ = read_labels(&bytes);
        }
    }
}
