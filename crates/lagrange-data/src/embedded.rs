//! The embedded MNIST.

use crate::files::Role;
use crate::idx::each_images;
use crate::{DataError, IdxError, Normalisation, Split, read_labels};
use lagrange_core::network::Shape;

/// Shape of its images.
pub(crate) const SHAPE: Shape = Shape {
    height: 28,
    width: 28,
    channels: 1,
};

/// [`crate::Dataset::sha256`] of the embedded MNIST, known without unpacking it.
pub(crate) const SHA256: [u8; 32] = [
    0x4a, 0x55, 0x89, 0x20, 0xf1, 0x58, 0x75, 0x6f, 0x99, 0x21, 0x65, 0xb0, 0x5b, 0xbb, 0x43, 0x7e,
    0x5d, 0x16, 0x52, 0x08, 0xc3, 0xc7, 0x0e, 0xee, 0x70, 0xa5, 0x6a, 0xa1, 0x14, 0x9f, 0x37, 0xcd,
];

/// [`Normalisation::of`] the embedded MNIST, likewise.
pub(crate) const NORMALISATION: Normalisation = Normalisation::MNIST;

/// The bytes of one of its four files, gzip-compressed IDX.
pub(crate) fn file(role: Role) -> &'static [u8] {
    match role {
        Role::TrainImages => include_bytes!("../data/train-images-idx3-ubyte.gz"),
        Role::TrainLabels => include_bytes!("../data/train-labels-idx1-ubyte.gz"),
        Role::TestImages => include_bytes!("../data/t10k-images-idx3-ubyte.gz"),
        Role::TestLabels => include_bytes!("../data/t10k-labels-idx1-ubyte.gz"),
    }
}

/// Labels of the training and of the test set.
pub(crate) fn labels() -> Result<[Vec<u16>; 2], DataError> {
    let read = |role: Role| -> Result<Vec<u16>, DataError> {
        let labels = read_labels(file(role)).map_err(|cause| malformed(role, cause))?;
        Ok(labels.into_iter().map(u16::from).collect())
    };
    Ok([read(Role::TrainLabels)?, read(Role::TestLabels)?])
}

/// Unpacks the images of a split, `count` at a time: `each` is given the index of the first of them, and
/// their pixels. There is no validation split.
pub(crate) fn each_block(
    split: Split,
    count: usize,
    each: &mut dyn FnMut(usize, Vec<u8>),
) -> Result<(), DataError> {
    let role = match split {
        Split::Train => Role::TrainImages,
        Split::Test => Role::TestImages,
        Split::Validation => return Ok(()),
    };
    each_images(file(role), count, each).map_err(|cause| malformed(role, cause))
}

fn malformed(role: Role, cause: IdxError) -> DataError {
    DataError::Malformed {
        name: format!("embedded {}", role.mnist_name()),
        cause,
    }
}
