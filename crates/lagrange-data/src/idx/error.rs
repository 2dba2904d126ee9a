//! Errors of IDX files.

use crate::FileKind;

/// Error of an IDX file.
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
        /// Content expected: images or labels.
        expected: &'static str,
        /// Content found.
        found: &'static str,
    },
    /// An IDX file whose items are not unsigned bytes.
    #[error(
        "an IDX file of {found} items where unsigned bytes belong; convert the {kind} to bytes (type code 0x08)"
    )]
    UnsupportedType {
        /// Content expected: images or labels.
        kind: &'static str,
        /// Name of the type found.
        found: &'static str,
    },
    /// An IDX file of bytes with another number of dimensions.
    #[error(
        "an IDX file of {found} dimensions where {kind} have {expected}; colour images and one-hot labels are not supported"
    )]
    UnsupportedRank {
        /// Content expected: images or labels.
        kind: &'static str,
        /// Its number of dimensions.
        expected: u8,
        /// The number found.
        found: u8,
    },
    /// Not an IDX file at all.
    #[error(
        "wrong magic number 0x{found:08x} where 0x{expected:08x} belongs: not an IDX file of {kind}{}",
        instead(*looks_like)
    )]
    WrongMagic {
        /// Content expected: images or labels.
        kind: &'static str,
        /// Its magic number.
        expected: u32,
        /// The number found.
        found: u32,
        /// Kind of the file.
        looks_like: FileKind,
    },
    /// Rows of integers in another format than QMNIST's.
    #[error(
        "labels in {found} columns of 32-bit integers, where QMNIST's have 8; \
         convert the labels to bytes (type code 0x08), one per image"
    )]
    Columns {
        /// The number found.
        found: u32,
    },
    /// A label outside 0 to 255.
    #[error("label {label} of image {index}, from 0: labels are 0 to 255")]
    Label {
        /// Place of the image, from 0.
        index: usize,
        /// Its label.
        label: i32,
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
    /// More data than is allowed.
    #[error(
        "the header announces {dimensions:?} items, more than the {max} bytes allowed: the header is damaged",
        max = super::MAX_BYTES
    )]
    TooLarge {
        /// Dimensions in the header.
        dimensions: Vec<u32>,
    },
    /// The gzip stream is damaged.
    #[error("damaged gzip data: {reason}; copy the file again")]
    Gzip {
        /// The decoder's message.
        reason: String,
    },
}

/// Kind of a wrong file, with its remedy.
fn instead(looks_like: FileKind) -> String {
    let within = match looks_like {
        FileKind::Gzip => " within gzip",
        _ => "",
    };
    looks_like
        .remedy()
        .map(|remedy| format!(" but {looks_like}{within}; {remedy}"))
        .unwrap_or_default()
}
