//! Datasets: the embedded MNIST, or a set of IDX files in a folder.

use crate::files::{Role, locate};
use crate::{DataError, Images, read_images, read_labels};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::path::Path;

/// Images with one label each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelledSet {
    /// The images.
    pub images: Images,
    /// One label per image.
    pub labels: Vec<u8>,
}

/// A training and a test set of square images of one size.
///
/// ```
/// use lagrange_data::{Dataset, Images, LabelledSet};
///
/// let set = |n: u8| LabelledSet {
///     images: Images { height: 1, width: 1, pixels: (0..n).collect() },
///     labels: (0..n).collect(),
/// };
/// let dataset = Dataset { train: set(10), test: set(4) };
/// assert_eq!((dataset.side(), dataset.test.labels.len()), (1, 4));
/// assert_eq!(dataset.sha256(), dataset.clone().sha256());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// Training set.
    pub train: LabelledSet,
    /// Test set.
    pub test: LabelledSet,
}

impl Dataset {
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
        let mut read_set = |images, labels, part| {
            let (name, bytes) = open(images)?;
            let images =
                read_images(&bytes).map_err(|cause| DataError::Malformed { name, cause })?;
            let (name, bytes) = open(labels)?;
            let labels =
                read_labels(&bytes).map_err(|cause| DataError::Malformed { name, cause })?;
            LabelledSet { images, labels }.checked(part)
        };
        let train = read_set(Role::TrainImages, Role::TrainLabels, "training")?;
        let test = read_set(Role::TestImages, Role::TestLabels, "test")?;
        if train.images.width != test.images.width {
            return Err(DataError::SizeMismatch {
                train: train.images.width,
                test: test.images.width,
            });
        }
        Ok(Self { train, test })
    }

    /// Side of the square images, in pixels.
    #[must_use]
    pub fn side(&self) -> usize {
        self.train.images.width
    }

    /// SHA-256 of the content: counts, sizes, pixels and labels of both sets, whatever files they came from.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        let mut hash = Sha256::new_with_prefix(b"lagrange dataset 1\0");
        for set in [&self.train, &self.test] {
            for number in [set.labels.len(), set.images.height, set.images.width] {
                hash.update((number as u64).to_le_bytes());
            }
            hash.update(&set.images.pixels);
            hash.update(&set.labels);
        }
        hash.finalize().into()
    }
}

impl LabelledSet {
    fn checked(self, part: &'static str) -> Result<Self, DataError> {
        let Images { height, width, .. } = self.images;
        if height != width {
            return Err(DataError::NotSquare {
                part,
                height,
                width,
            });
        }
        if self.images.len() != self.labels.len() {
            return Err(DataError::CountMismatch {
                part,
                images: self.images.len(),
                labels: self.labels.len(),
            });
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
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
        assert_eq!(mnist.side(), 28);
        let count = |labels: &[u8], label| labels.iter().filter(|&&l| l == label).count();
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
        assert!(error.to_string().contains("--data-dir"));
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
            error([(4, 6, 6), (3, 5, 5)], [4, 3]),
            DataError::SizeMismatch { train: 6, test: 5 }
        ));
        assert!(matches!(
            error([(4, 6, 6), (3, 6, 5)], [4, 3]),
            DataError::NotSquare { part: "test", .. }
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
