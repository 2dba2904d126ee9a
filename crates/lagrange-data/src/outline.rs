//! What a coordinator must know of a dataset: everything but its pixels.

use crate::{DataError, Dataset, NoContrast, Normalisation};
use std::path::Path;

/// The labels of a dataset, the size of its images, how they are normalised, and the hash by which processes tell that
/// they have the same.
#[derive(Debug, Clone, PartialEq)]
pub struct Outline {
    /// Side of the square images, in pixels.
    pub side: usize,
    /// Labels of the training set.
    pub train: Vec<u8>,
    /// Labels of the test set.
    pub test: Vec<u8>,
    /// That of all images of the training set, whatever part of it is trained on.
    pub normalisation: Normalisation,
    /// [`Dataset::sha256`]
    pub sha256: [u8; 32],
}

impl Outline {
    /// The outline of the set in `directory`, or of the embedded MNIST, whose images need not be unpacked for it.
    ///
    /// # Errors
    /// [`DataError`], naming the file and what is wrong with it.
    pub fn load(directory: Option<&Path>) -> Result<Self, DataError> {
        match directory {
            Some(directory) => Ok(Self::of(&Dataset::from_dir(directory)?)?),
            None => Self::embedded(),
        }
    }

    /// The outline of `dataset`.
    ///
    /// # Errors
    /// [`NoContrast`]
    pub fn of(dataset: &Dataset) -> Result<Self, NoContrast> {
        Ok(Self {
            side: dataset.side(),
            train: dataset.train.labels.clone(),
            test: dataset.test.labels.clone(),
            normalisation: Normalisation::of(&dataset.train.images)?,
            sha256: dataset.sha256(),
        })
    }

    #[cfg(feature = "embedded-mnist")]
    fn embedded() -> Result<Self, DataError> {
        let [train, test] = crate::embedded::labels()?;
        Ok(Self {
            side: crate::embedded::SIDE,
            train,
            test,
            normalisation: crate::embedded::NORMALISATION,
            sha256: crate::embedded::SHA256,
        })
    }

    #[cfg(not(feature = "embedded-mnist"))]
    fn embedded() -> Result<Self, DataError> {
        Err(DataError::NothingEmbedded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(feature = "embedded-mnist")]
    fn the_outline_of_the_embedded_set_is_that_of_its_images() {
        let dataset = Dataset::load(None).expect("embedded");
        assert_eq!(
            Outline::load(None).expect("embedded"),
            Outline::of(&dataset).expect("contrast")
        );
    }

    #[test]
    #[cfg(not(feature = "embedded-mnist"))]
    fn a_build_without_data_has_no_outline() {
        assert!(matches!(
            Outline::load(None),
            Err(DataError::NothingEmbedded)
        ));
    }
}
