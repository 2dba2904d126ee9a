//! Datasets: the embedded MNIST, a set of IDX files in a folder, or any pictures of any classes.

use crate::content::{Content, Samples};
use crate::files::{Role, locate};
use crate::{DataError, Images, Split, SplitCounts, read_images, read_labels};
use lagrange_core::network::Shape;
use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;

/// Images with one label each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelledSet {
    /// The images.
    pub images: Images,
    /// One label per image: an index into the classes of the dataset.
    pub labels: Vec<u16>,
}

/// Training and test images of one shape, the names of their classes, and a validation split if the source
/// has one.
///
/// ```
/// use lagrange_data::{Dataset, Images, LabelledSet};
///
/// let set = |labels: &[u16]| LabelledSet {
///     images: Images { height: 1, width: 1, channels: 1, pixels: vec![7; labels.len()] },
///     labels: labels.to_vec(),
/// };
/// // Labels of letters, which begin at 1: the classes are those that there are.
/// let dataset = Dataset::new(set(&[1, 26, 2]), set(&[26]));
/// assert_eq!(dataset.classes, ["1", "2", "26"]);
/// assert_eq!((dataset.train.labels.as_slice(), dataset.test.labels.as_slice()), (&[0, 2, 1][..], &[2][..]));
/// assert!(dataset.check().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// Training set.
    pub train: LabelledSet,
    /// Validation split of its own, to choose settings on; if there is none, training images are held out.
    pub validation: Option<LabelledSet>,
    /// Test set.
    pub test: LabelledSet,
    /// Names of the classes, in [natural order](crate::natural_order); labels are indices into them.
    pub classes: Vec<String>,
}

impl Dataset {
    /// The set with these numeric labels, whose classes are called by their numbers: 0 to 9 if no label is
    /// above 9, else the labels that occur. The labels become indices into these classes.
    #[must_use]
    pub fn new(mut train: LabelledSet, mut test: LabelledSet) -> Self {
        let mut occurs = vec![false; usize::from(u16::MAX) + 1];
        for &label in train.labels.iter().chain(&test.labels) {
            occurs[usize::from(label)] = true;
        }
        if !occurs[10..].contains(&true) {
            occurs[..10].fill(true);
        }
        let mut classes = Vec::new();
        let mut index = vec![0; occurs.len()];
        for (label, _) in occurs.iter().enumerate().filter(|&(_, &occurs)| occurs) {
            index[label] = classes.len() as u16;
            classes.push(label.to_string());
        }
        for label in train.labels.iter_mut().chain(&mut test.labels) {
            *label = index[usize::from(*label)];
        }
        Self {
            train,
            validation: None,
            test,
            classes,
        }
    }

    /// The set in `directory`, or the embedded MNIST where none is given.
    ///
    /// # Errors
    /// [`DataError`], naming the file and what is wrong with it.
    pub fn load(directory: Option<&Path>) -> Result<Self, DataError> {
        match directory {
            Some(directory) => Self::from_dir(directory),
            None => Self::embedded(),
        }
    }

    /// The MNIST embedded in this build.
    ///
    /// # Errors
    /// [`DataError::NothingEmbedded`] without the feature `embedded-mnist`.
    #[cfg(feature = "embedded-mnist")]
    pub fn embedded() -> Result<Self, DataError> {
        Self::from_files(|role| {
            let name = format!("embedded {}", role.mnist_name());
            Ok((name, crate::embedded::file(role).into()))
        })
    }

    /// The MNIST embedded in this build.
    ///
    /// # Errors
    /// [`DataError::NothingEmbedded`] without the feature `embedded-mnist`.
    #[cfg(not(feature = "embedded-mnist"))]
    pub fn embedded() -> Result<Self, DataError> {
        Err(DataError::NothingEmbedded)
    }

    /// Unpacks the embedded MNIST without having all of it in memory: `count` images of `split` at a time,
    /// in their order. `each` is given the index of the first of them, and their pixels.
    ///
    /// # Errors
    /// [`DataError::NothingEmbedded`] without the feature `embedded-mnist`.
    pub fn each_embedded(
        split: Split,
        count: usize,
        each: &mut dyn FnMut(usize, Vec<u8>),
    ) -> Result<(), DataError> {
        #[cfg(feature = "embedded-mnist")]
        return crate::embedded::each_block(split, count, each);
        #[cfg(not(feature = "embedded-mnist"))]
        {
            let _ = (split, count, each);
            Err(DataError::NothingEmbedded)
        }
    }

    /// The set whose four IDX files lie in `directory`, under the names and in the places that the
    /// [crate](crate) lists.
    ///
    /// # Errors
    /// [`DataError`], naming the file and what is wrong with it, or listing the folder if files are missing.
    pub fn from_dir(directory: &Path) -> Result<Self, DataError> {
        let paths = locate(directory)?;
        Self::from_files(|role| {
            let path = &paths[role as usize];
            let bytes = std::fs::read(path).map_err(|cause| DataError::unreadable(path, cause))?;
            Ok((path.display().to_string(), bytes.into()))
        })
    }

    fn from_files<'a>(
        mut open: impl FnMut(Role) -> Result<(String, Cow<'a, [u8]>), DataError>,
    ) -> Result<Self, DataError> {
        let mut read_set = |images, labels| -> Result<LabelledSet, DataError> {
            let (name, bytes) = open(images)?;
            let images =
                read_images(&bytes).map_err(|cause| DataError::Malformed { name, cause })?;
            let (name, bytes) = open(labels)?;
            let labels =
                read_labels(&bytes).map_err(|cause| DataError::Malformed { name, cause })?;
            let labels = labels.into_iter().map(u16::from).collect();
            Ok(LabelledSet { images, labels })
        };
        let train = read_set(Role::TrainImages, Role::TrainLabels)?;
        let test = read_set(Role::TestImages, Role::TestLabels)?;
        let dataset = Self::new(train, test);
        dataset.check()?;
        Ok(dataset)
    }

    /// Shape of the images.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.train.images.shape()
    }

    /// Number of images of each split.
    #[must_use]
    pub fn counts(&self) -> SplitCounts {
        let validation = self.validation.as_ref();
        SplitCounts {
            train: self.train.labels.len(),
            validation: validation.map_or(0, |set| set.labels.len()),
            test: self.test.labels.len(),
        }
    }

    /// The set that has the images of `split`, and which of them these are, where the last `held_out`
    /// training images are held out. With none held out, those of [`Split::Validation`] are of the validation
    /// split of its own.
    #[must_use]
    pub fn part(&self, split: Split, held_out: usize) -> (&LabelledSet, Range<usize>) {
        let (set, from) = match (split, &self.validation) {
            (Split::Test, _) => (&self.test, 0),
            (Split::Validation, Some(own)) if held_out == 0 => (own, 0),
            (Split::Validation, _) => {
                let train = self.train.labels.len();
                (&self.train, train.saturating_sub(held_out))
            }
            (Split::Train, _) => {
                let kept = self.train.labels.len().saturating_sub(held_out);
                return (&self.train, 0..kept);
            }
        };
        (set, from..set.labels.len())
    }

    /// Checks that all parts fit together: one shape of one or three channels, one label per image, a class
    /// for every label, names that differ.
    ///
    /// # Errors
    /// [`DataError`], naming the part and what is wrong with it.
    pub fn check(&self) -> Result<(), DataError> {
        self.check_classes()?;
        let own = self.validation.as_ref().map(|set| (set, "validation"));
        let sets = [(&self.train, "training"), (&self.test, "test")];
        for (set, part) in sets.into_iter().chain(own) {
            set.check(part, self.classes.len())?;
            let (train, found) = (self.shape(), set.images.shape());
            if train != found {
                return Err(DataError::ShapeMismatch { part, train, found });
            }
        }
        Ok(())
    }

    fn check_classes(&self) -> Result<(), DataError> {
        let mut names = HashSet::new();
        let fault = self.classes.iter().find_map(|name| {
            let fault = match name.trim() {
                "" => "is empty",
                _ if name.contains(char::is_control) => "has control characters",
                _ if !names.insert(name) => "is there twice",
                _ => return None,
            };
            Some((name.escape_debug().to_string(), fault))
        });
        match fault {
            Some((name, fault)) => Err(DataError::ClassName { name, fault }),
            None => Ok(()),
        }
    }

    /// SHA-256 of the content: counts, shapes, pixels, labels and class names, whatever files they came from.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        Content {
            shape: self.shape(),
            classes: &self.classes,
            train: self.train.samples(),
            validation: self.validation.as_ref().map(LabelledSet::samples),
            test: self.test.samples(),
        }
        .sha256()
    }
}

impl LabelledSet {
    fn samples(&self) -> Samples<'_> {
        Samples {
            pixels: &self.images.pixels,
            labels: &self.labels,
        }
    }

    fn check(&self, part: &'static str, classes: usize) -> Result<(), DataError> {
        let Images {
            channels,
            ref pixels,
            ..
        } = self.images;
        if ![1, 3].contains(&channels) {
            return Err(DataError::Channels { part, channels });
        }
        let (images, labels) = (self.images.len(), self.labels.len());
        if images != labels {
            return Err(DataError::CountMismatch {
                part,
                images,
                labels,
            });
        }
        let (bytes, shape) = (pixels.len(), self.images.shape());
        if bytes != images * shape.len() {
            return Err(DataError::Pixels { part, bytes, shape });
        }
        let label = self
            .labels
            .iter()
            .find(|&&label| usize::from(label) >= classes);
        match label {
            Some(&label) => Err(DataError::Label {
                part,
                label,
                classes,
            }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
