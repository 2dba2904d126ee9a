//! Summary of a dataset: what a coordinator needs of it, without the pixels.

use crate::{DataError, Dataset, Normalisation, SplitCounts};
use lagrange_core::network::Shape;
use std::path::Path;

/// Summary of a dataset: labels, classes, image shape, normalisation, and the hash of its content by which
/// processes compare their data.
///
/// ```
/// # use lagrange_data::{Dataset, Images, LabelledSet};
/// # let set = |n: u8| LabelledSet {
/// #     images: Images { height: 1, width: 1, channels: 1, pixels: (0..n).map(|i| 20 * i).collect() },
/// #     labels: (0..n).map(u16::from).collect(),
/// # };
/// use lagrange_data::DatasetSummary;
///
/// let dataset = Dataset::new(set(10), set(4));
/// let summary = DatasetSummary::of(&dataset)?;
/// assert_eq!((summary.shape.len(), summary.classes.len()), (1, 10));
/// assert_eq!((summary.train.len(), &summary.test), (10, &vec![0, 1, 2, 3]));
/// assert_eq!(summary.sha256, dataset.sha256());
/// # Ok::<(), lagrange_data::DataError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetSummary {
    /// Shape of an image.
    pub shape: Shape,
    /// Names of the classes; labels are indices into them.
    pub classes: Vec<String>,
    /// Labels of the training set.
    pub train: Vec<u16>,
    /// Labels of the validation split of its own; empty without one.
    pub validation: Vec<u16>,
    /// Labels of the test set.
    pub test: Vec<u16>,
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
            Some(directory) => Self::of(&Dataset::from_dir(directory)?),
            None => Self::embedded(),
        }
    }

    /// Summary of `dataset`.
    ///
    /// # Errors
    /// [`DataError`] if the parts of the set do not fit together, or all training pixels are the same.
    pub fn of(dataset: &Dataset) -> Result<Self, DataError> {
        dataset.check()?;
        let validation = dataset.validation.as_ref();
        Ok(Self {
            shape: dataset.shape(),
            classes: dataset.classes.clone(),
            train: dataset.train.labels.clone(),
            validation: validation.map_or_else(Vec::new, |set| set.labels.clone()),
            test: dataset.test.labels.clone(),
            normalisation: Normalisation::of(&dataset.train.images)?,
            sha256: dataset.sha256(),
        })
    }

    /// Training images of each class.
    #[must_use]
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        for &label in &self.train {
            if let Some(count) = counts.get_mut(usize::from(label)) {
                *count += 1;
            }
        }
        counts
    }

    /// Number of images of each split.
    #[must_use]
    pub fn counts(&self) -> SplitCounts {
        SplitCounts {
            train: self.train.len(),
            validation: self.validation.len(),
            test: self.test.len(),
        }
    }

    #[cfg(feature = "embedded-mnist")]
    fn embedded() -> Result<Self, DataError> {
        let [train, test] = crate::embedded::labels()?;
        Ok(Self {
            shape: crate::embedded::SHAPE,
            classes: crate::classes::digits(),
            train,
            validation: Vec::new(),
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
