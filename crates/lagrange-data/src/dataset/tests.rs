//! Datasets: their hash, classes, parts and faults.

use super::*;
use crate::classes::digits;
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest as _, Sha256};
use std::io::Write as _;

fn write_set(directory: &Path, sizes: [(u32, u32, u32); 2], labels: [u32; 2], gzip: bool) {
    let put = |name: &str, bytes: Vec<u8>| {
        if gzip {
            let file = std::fs::File::create(directory.join(format!("{name}.gz"))).expect("file");
            let mut encoder = GzEncoder::new(file, Compression::fast());
            encoder.write_all(&bytes).expect("written");
            encoder.finish().expect("written");
        } else {
            std::fs::write(directory.join(name), bytes).expect("written");
        }
    };
    let [train, train_labels, test, test_labels] = Role::ALL.map(Role::mnist_name);
    let names = [(train, train_labels), (test, test_labels)];
    for (((images, label_file), (n, h, w)), labels) in names.into_iter().zip(sizes).zip(labels) {
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
                .for_each(|set| set.images.pixels[35] ^= 1);
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
    type Change = fn(&mut Dataset);
    assert!(colour().check().is_ok());
    let message = |change: Change| {
        let mut dataset = colour();
        change(&mut dataset);
        dataset.check().expect_err("refused").to_string()
    };
    let refusals: [(Change, &str); 6] = [
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
