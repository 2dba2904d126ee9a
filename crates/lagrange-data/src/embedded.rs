//! The MNIST that this build carries.

use crate::dataset::{TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS};
use crate::{DataError, read_labels};

/// Side of its images.
pub(crate) const SIDE: usize = 28;

/// Its [`crate::Dataset::sha256`], known without unpacking it.
pub(crate) const SHA256: [u8; 32] = [
    0x4a, 0x55, 0x89, 0x20, 0xf1, 0x58, 0x75, 0x6f, 0x99, 0x21, 0x65, 0xb0, 0x5b, 0xbb, 0x43, 0x7e,
    0x5d, 0x16, 0x52, 0x08, 0xc3, 0xc7, 0x0e, 0xee, 0x70, 0xa5, 0x6a, 0xa1, 0x14, 0x9f, 0x37, 0xcd,
];

/// The bytes of one of its four files, gzip-compressed IDX.
pub(crate) fn file(name: &str) -> &'static [u8] {
    match name {
        TRAIN_IMAGES => include_bytes!("../data/train-images-idx3-ubyte.gz"),
        TRAIN_LABELS => include_bytes!("../data/train-labels-idx1-ubyte.gz"),
        TEST_IMAGES => include_bytes!("../data/t10k-images-idx3-ubyte.gz"),
        _ => include_bytes!("../data/t10k-labels-idx1-ubyte.gz"),
    }
}

/// Labels of the training and of the test set.
pub(crate) fn labels() -> Result<[Vec<u8>; 2], DataError> {
    let read = |name: &'static str| {
        read_labels(file(name)).map_err(|cause| DataError::Malformed {
            name: format!("embedded {name}"),
            cause,
        })
    };
    Ok([read(TRAIN_LABELS)?, read(TEST_LABELS)?])
}
