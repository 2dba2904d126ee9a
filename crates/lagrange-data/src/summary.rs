//! Summary of a dataset: what a coordinator needs of it, without the pixels.

use crate::{DataError, Dataset, NoContrast, Normalisation};
use std::path::Path;

/// Summary of a dataset: labels, image size, normalisation, and the hash of its content by which processes
/// compare their data.
///
/// ```
/// # use lagrange_data::{Dataset, Images, LabelledSet};
/// # let set = |n: u8| LabelledSet {
/// #     images: Images { height: 1, width: 1, pixels: (0..n).map(|i| 20 * i).collect() },
/// #     labels: (0..n).collect(),
/// # };
/// use lagrange_data::DatasetSummary;
///
/// let dataset = Dataset { train: set(10), test: set(4) };
/// let summary = DatasetSummary::of(&dataset)?;
/// assert_eq!((summary.side, summary.train.len(), summary.test), (1, 10, vec![0, 1, 2, 3]));
/// assert_eq!(summary.sha256, dataset.sha256());
/// # Ok::<(), lagrange_data::NoContrast>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetSummary {
    /// Side of the square images, in pixels.
    pub side: usize,
    /// Labels of the training set.
    pub train: Vec<u8>,
    /// Labels of the test set.
    pub test: Vec<u8>,
    /// Normalisation of the whole training set, whatever part of it is trained on.
    pub normalisation: Normalisation,
    /// Hash of the content: [`Dataset::sha256`].
    pub sha256: [u8; 32],
}

impl DatasetSummary {
    /// Summary of the set in `directory`, or of the embedded MNIST, whose images stay packed.
    ///
    /// # Errors
    /// [`DataError`], naming the file and what is wrong with it.
    pub fn load(directory: Option<&Path>) -> Result<Self, DataError> {
        match directory {
            Some(directory) => Ok(Self::of(&Dataset::from_dir(directory)?)?),
            None => Self::embedded(),
        }
    }

    /// Summary of `dataset`.
    ///
    /// # Errors
    /// [`NoContrast`] if all training pixels are the same.
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
    fn the_summary_of_the_embedded_set_is_that_of_its_images() {
        let dataset = Dataset::load(None).expect("embedded");
        assert_eq!(
            DatasetSummary::load(None).expect("embedded"),
            DatasetSummary::of(&dataset).expect("contrast")
        );
    }

    #[test]
    #[cfg(not(feature = "embedded-mnist"))]
    fn a_build_without_data_has_no_summary() {
        assert!(matches!(
            DatasetSummary::load(None),
            Err(DataError::NothingEmbedded)
        ));
    }
}
