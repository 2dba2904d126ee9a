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

    /// [`Dataset::load`], with the set's [`Dataset::sha256`]; that of the embedded MNIST is a constant.
    ///
    /// # Errors
    /// As [`Dataset::load`].
    pub fn load_hashed(directory: Option<&Path>) -> Result<(Self, [u8; 32]), DataError> {
        let dataset = Self::load(directory)?;
        #[cfg(feature = "embedded-mnist")]
        if directory.is_none() {
            return Ok((dataset, crate::embedded::SHA256));
        }
        let hash = dataset.sha256();
        Ok((dataset, hash))
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

    /// The set that has the images of `split`, and which of them these are, where the last `held_out` training
    /// images are held out. With none held out, those of [`Split::Validation`] are of the validation split of
    /// its own.
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
mod tests {
    use super::*;
    use crate::classes::digits;
    use flate2::{Compression, write::GzEncoder};
    use sha2::{Digest as _, Sha256};
    use std::io::Write as _;

    fn write_set(directory: &Path, sizes: [(u32, u32, u32); 2], labels: [u32; 2], gzip: bool) {
        let put = |name: &str, bytes: Vec<u8>| {
            if gzip {
                let file =
                    std::fs::File::create(directory.join(format!("{name}.gz"))).expect("file");
                let mut encoder = GzEncoder::new(file, Compression::fast());
                encoder.write_all(&bytes).expect("written");
                encoder.finish().expect("written");
            } else {
                std::fs::write(directory.join(name), bytes).expect("written");
            }
        };
        let [train, train_labels, test, test_labels] = Role::ALL.map(Role::mnist_name);
        let names = [(train, train_labels), (test, test_labels)];
        for (((images, label_file), (n, h, w)), labels) in names.into_iter().zip(sizes).zip(labels)
        {
            let mut bytes = vec![0, 0, 8, 3];
            [n, h, w].iter().for_each(|d| bytes.extend(d.to_be_bytes()));
            bytes.extend((0..n * h * w).map(|i| (i % 251) as u8));
            put(images, bytes);
            let mut bytes = vec![0, 0, 8, 1];
            bytes.extend(labels.to_be_bytes());
            bytes.extend((0..labels).map(|i| (i % 10) as u8));
            put(label_file, bytes);
        }
    }

    #[test]
    #[cfg(feature = "embedded-mnist")]
    fn the_embedded_set_is_mnist() {
        let mnist = Dataset::load(None).expect("embedded");
        assert_eq!(
            (mnist.train.labels.len(), mnist.test.labels.len()),
            (60_000, 10_000)
        );
        assert_eq!(
            (mnist.shape().pixels(), mnist.shape().channels),
            (28 * 28, 1)
        );
        assert_eq!(mnist.classes, digits());
        let count = |labels: &[u16], label| labels.iter().filter(|&&l| l == label).count();
        assert_eq!(count(&mnist.train.labels, 1), 6742);
        assert_eq!(count(&mnist.test.labels, 0), 980);
    }

    /// The hash identifies the data of a run between processes and releases: it must not change unnoticed.
    /// The value was computed by another implementation (Python's gzip and hashlib).
    #[test]
    #[cfg(feature = "embedded-mnist")]
    fn the_hash_of_mnist_is_pinned() {
        let hash = Dataset::load(None).expect("embedded").sha256();
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "4a558920f158756f992165b05bbb437e5d165208c3c70eee70a56aa1149f37cd"
        );
    }

    #[test]
    #[cfg(not(feature = "embedded-mnist"))]
    fn a_build_without_data_asks_for_a_directory() {
        let error = Dataset::load(None).expect_err("nothing embedded");
        assert!(matches!(error, DataError::NothingEmbedded));
        assert!(error.to_string().contains("--data"));
    }

    #[test]
    fn the_hash_is_of_the_content() {
        let (plain, packed, other) = (
            tempfile::tempdir(),
            tempfile::tempdir(),
            tempfile::tempdir(),
        );
        let [plain, packed, other] = [plain, packed, other].map(|dir| dir.expect("directory"));
        write_set(plain.path(), [(4, 6, 6), (3, 6, 6)], [4, 3], false);
        write_set(packed.path(), [(4, 6, 6), (3, 6, 6)], [4, 3], true);
        write_set(other.path(), [(4, 6, 6), (2, 6, 6)], [4, 2], false);
        let hash = |dir: &tempfile::TempDir| {
            Dataset::load(Some(dir.path()))
                .expect("well formed")
                .sha256()
        };
        assert_eq!(hash(&plain), hash(&packed));
        assert_ne!(hash(&plain), hash(&other));
    }

    /// Two colour images of 2x3 pixels per split, of the classes cat and dog.
    fn colour() -> Dataset {
        let set = |first: u8| LabelledSet {
            images: Images {
                height: 2,
                width: 3,
                channels: 3,
                pixels: (first..first + 36).collect(),
            },
            labels: vec![0, 1],
        };
        Dataset {
            train: set(0),
            validation: Some(set(1)),
            test: set(2),
            classes: ["cat", "dog"].map(str::to_owned).into(),
        }
    }

    #[test]
    fn the_hash_covers_every_part() {
        let changes: [fn(&mut Dataset); 11] = [
            |_| {},
            |d| d.train.images.pixels[0] ^= 1,
            |d| d.test.labels[0] = 1,
            |d| d.classes[1] = "dig".to_owned(),
            |d| d.classes.push("emu".to_owned()),
            |d| d.validation = None,
            |d| d.validation.iter_mut().for_each(|set| set.labels[1] = 0),
            |d| {
                d.validation
                    .iter_mut()
                    .for_each(|set| set.images.pixels[35] ^= 1)
            },
            // As many bytes of another shape.
            |d| (d.train.images.height, d.train.images.width) = (3, 2),
            |d| (d.train.images.channels, d.train.images.width) = (1, 9),
            |d| d.classes = ["ca", "tdog"].map(str::to_owned).into(),
        ];
        let hashes = changes.map(|change| {
            let mut dataset = colour();
            change(&mut dataset);
            dataset.sha256()
        });
        let different: HashSet<_> = hashes.iter().collect();
        assert_eq!(different.len(), hashes.len());
    }

    /// The hash of digits keeps the runs of earlier releases; that of others must not be equal to it.
    #[test]
    fn digits_have_the_hash_that_they_always_had() {
        let set = |n: u16| LabelledSet {
            images: Images {
                height: 1,
                width: 1,
                channels: 1,
                pixels: (0..n as u8).collect(),
            },
            labels: (0..n).collect(),
        };
        let digits = Dataset::new(set(10), set(4));
        let mut bytes = b"lagrange dataset 1\0".to_vec();
        for n in [10u8, 4] {
            [u64::from(n), 1, 1]
                .iter()
                .for_each(|n| bytes.extend(n.to_le_bytes()));
            bytes.extend((0..n).chain(0..n));
        }
        assert_eq!(digits.sha256(), <[u8; 32]>::from(Sha256::digest(bytes)));
        let named = Dataset {
            classes: (0..10).map(|n: u8| format!("digit {n}")).collect(),
            ..digits.clone()
        };
        let with_validation = Dataset {
            validation: Some(set(4)),
            ..digits.clone()
        };
        assert_ne!(named.sha256(), digits.sha256());
        assert_ne!(with_validation.sha256(), digits.sha256());
    }

    #[test]
    fn numeric_labels_name_the_classes_in_order() {
        let set = |labels: &[u16]| LabelledSet {
            images: Images {
                height: 1,
                width: 1,
                channels: 1,
                pixels: vec![0; labels.len()],
            },
            labels: labels.to_vec(),
        };
        let letters: Vec<u16> = (1..=26).rev().collect();
        let letters = Dataset::new(set(&letters), set(&[3]));
        let expected: Vec<String> = (1..=26).map(|n: u8| n.to_string()).collect();
        assert_eq!(letters.classes, expected);
        assert_eq!((letters.train.labels[0], letters.test.labels[0]), (25, 2));
        assert!(
            letters
                .classes
                .is_sorted_by(|a, b| crate::natural_order(a, b).is_lt())
        );
        // A class of the test set alone counts as well.
        assert_eq!(Dataset::new(set(&[3]), set(&[300])).classes, ["3", "300"]);
        assert_eq!(Dataset::new(set(&[9]), set(&[])).classes, digits());
    }

    #[test]
    fn the_parts_of_a_split_are_those_held_out_or_its_own() {
        let mut dataset = colour();
        let part = |dataset: &Dataset, split, held_out| {
            let (set, range) = dataset.part(split, held_out);
            (set.images.pixels[0], range)
        };
        assert_eq!(part(&dataset, Split::Validation, 0), (1, 0..2));
        assert_eq!(part(&dataset, Split::Validation, 1), (0, 1..2));
        assert_eq!(part(&dataset, Split::Train, 1), (0, 0..1));
        assert_eq!(part(&dataset, Split::Test, 1), (2, 0..2));
        dataset.validation = None;
        assert_eq!(part(&dataset, Split::Validation, 0), (0, 2..2));
    }

    #[test]
    fn parts_that_do_not_fit_together_are_named() {
        assert!(colour().check().is_ok());
        let message = |change: fn(&mut Dataset)| {
            let mut dataset = colour();
            change(&mut dataset);
            dataset.check().expect_err("refused").to_string()
        };
        let refusals: [(fn(&mut Dataset), &str); 6] = [
            (|d| d.train.labels[1] = 2, "training set: label 2"),
            (
                |d| d.test.images.channels = 2,
                "test set: images of 2 channels",
            ),
            (
                |d| d.test.images.width = 1,
                "test set: 6 images but 2 labels",
            ),
            (|d| d.classes[1] = "cat".to_owned(), "`cat` is there twice"),
            (|d| d.classes[0] = " ".to_owned(), "is empty"),
            (|d| d.train.images.pixels.push(0), "37 bytes"),
        ];
        for (change, words) in refusals {
            let found = message(change);
            assert!(found.contains(words), "`{words}` in: {found}");
        }
        let other = message(|d| {
            if let Some(set) = &mut d.validation {
                (set.images.height, set.images.width) = (3, 2);
            }
        });
        assert!(
            other.contains("2x3x3") && other.contains("3x2x3"),
            "{other}"
        );
    }

    #[test]
    fn sets_that_do_not_fit_together_are_named() {
        let error = |sizes, labels| {
            let dir = tempfile::tempdir().expect("directory");
            write_set(dir.path(), sizes, labels, false);
            Dataset::from_dir(dir.path()).expect_err("refused")
        };
        assert!(matches!(
            error([(4, 6, 6), (3, 6, 6)], [5, 3]),
            DataError::CountMismatch {
                part: "training",
                images: 4,
                labels: 5
            }
        ));
        assert!(matches!(
            error([(4, 6, 6), (3, 6, 5)], [4, 3]),
            DataError::ShapeMismatch { part: "test", .. }
        ));
    }

    #[test]
    #[cfg(unix)]
    fn an_unreadable_file_is_named() {
        let dir = tempfile::tempdir().expect("directory");
        write_set(dir.path(), [(4, 6, 6), (3, 6, 6)], [4, 3], false);
        let labels = dir.path().join(Role::TrainLabels.mnist_name());
        std::fs::remove_file(&labels).expect("removed");
        // A link to itself exists, but cannot be read, not even by root.
        std::os::unix::fs::symlink(&labels, &labels).expect("created");
        assert!(
            matches!(Dataset::from_dir(dir.path()), Err(DataError::Unreadable { path, .. }) if path == labels)
        );
    }

    #[test]
    fn a_malformed_file_is_named_once_with_its_cause() {
        let dir = tempfile::tempdir().expect("directory");
        write_set(dir.path(), [(4, 6, 6), (3, 6, 6)], [4, 3], false);
        let images = dir.path().join(Role::TrainImages.mnist_name());
        std::fs::copy(dir.path().join(Role::TrainLabels.mnist_name()), &images).expect("copied");
        let error = Dataset::from_dir(dir.path()).expect_err("refused");
        let message = error.to_string();
        assert!(message.starts_with(&format!("{}: ", images.display())));
        assert!(message.contains("an IDX file of labels where one of images belongs"));
        assert!(!message.contains('\n'));
        // A source would be printed a second time after the message that already holds it.
        assert!(std::error::Error::source(&error).is_none());
    }
}
