//! Search for sets: every layout in use, and the messages if there is none.

use crate::{DataError, Dataset, FileKind};
use flate2::{Compression, write::GzEncoder};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use tempfile::TempDir;

const MNIST: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// The four files of a small set whose training pixels are `first` and the numbers after it.
fn contents(first: u8) -> [Vec<u8>; 4] {
    let file = |magic: u8, dimensions: &[u8], data: Vec<u8>| {
        let mut bytes = vec![0, 0, 8, magic];
        dimensions.iter().for_each(|&d| bytes.extend([0, 0, 0, d]));
        bytes.extend(data);
        bytes
    };
    [
        file(3, &[3, 2, 2], (first..first + 12).collect()),
        file(1, &[3], vec![3, 0, 9]),
        file(3, &[2, 2, 2], (40..48).collect()),
        file(1, &[2], vec![1, 2]),
    ]
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn put(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("created");
    fs::write(path, bytes).expect("written");
}

/// Writes the set of `first` by these names.
fn put_set<S: AsRef<str>>(folder: &Path, names: &[S; 4], first: u8) {
    for (name, bytes) in names.iter().zip(contents(first)) {
        put(folder, name.as_ref(), &bytes);
    }
}

fn below(folder: &str) -> [String; 4] {
    MNIST.map(|name| format!("{folder}/{name}"))
}

fn dotted() -> [String; 4] {
    MNIST.map(|name| name.replace("-idx", ".idx"))
}

fn emnist(split: &str) -> [String; 4] {
    MNIST.map(|name| format!("emnist-{split}-{}", name.replace("t10k", "test")))
}

/// The first pixel of the training set found at `path`.
fn found(path: &Path) -> u8 {
    let set = Dataset::from_dir(path).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(set.train.labels, [3, 0, 9]);
    assert_eq!(set.test.labels, [1, 2]);
    set.train.images.pixels[0]
}

fn refused(path: &Path) -> String {
    let message = Dataset::from_dir(path).expect_err("refused").to_string();
    assert!(!message.contains('\n'), "{message}");
    message
}

#[track_caller]
fn says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "`{part}` in: {message}");
    }
}

#[test]
fn every_layout_in_use_is_found() {
    let mut layouts = vec![
        MNIST.map(str::to_owned),
        dotted(),
        MNIST.map(|name| format!("{name}/{name}")),
        MNIST.map(|name| format!("{name}/{}", name.replace("-idx", ".idx"))),
        dotted().map(|name| format!("{name}/{name}")),
        MNIST.map(|name| format!("qmnist-{}", name.replace("t10k", "test"))),
    ];
    for set in ["MNIST", "FashionMNIST", "KMNIST", "EMNIST", "QMNIST"] {
        layouts.push(below(&format!("{set}/raw")));
    }
    layouts.push(below("raw"));
    for split in [
        "byclass", "bymerge", "balanced", "letters", "digits", "mnist",
    ] {
        layouts.push(emnist(split));
        layouts.push(emnist(split).map(|name| name.replace("-idx", ".idx")));
        layouts.push(emnist(split).map(|name| format!("EMNIST/raw/{name}")));
        layouts.push(emnist(split).map(|name| format!("gzip/{name}")));
    }
    for names in layouts {
        let plain = folder();
        put_set(plain.path(), &names, 5);
        assert_eq!(found(plain.path()), 5, "{names:?}");
        let packed = folder();
        for (name, bytes) in names.iter().zip(contents(6)) {
            put(packed.path(), &format!("{name}.gz"), &gzip(&bytes));
        }
        assert_eq!(found(packed.path()), 6, "{names:?}");
        let files = Dataset::from_dir(plain.path()).expect("found");
        let direct = folder();
        put_set(direct.path(), &MNIST, 5);
        assert_eq!(Dataset::from_dir(direct.path()).expect("found"), files);
    }
}

#[test]
fn qmnist_is_found_with_its_extended_labels() {
    let folder = folder();
    let [train, _, test, _] = contents(8);
    let labels = |labels: &[u8]| {
        let mut bytes = vec![0, 0, 0x0c, 2, 0, 0, 0, labels.len() as u8, 0, 0, 0, 8];
        for &label in labels {
            bytes.extend([0, 0, 0, label]);
            bytes.extend([1; 28]);
        }
        gzip(&bytes)
    };
    put(
        folder.path(),
        "raw/qmnist-train-images-idx3-ubyte.gz",
        &gzip(&train),
    );
    put(
        folder.path(),
        "raw/qmnist-train-labels-idx2-int.gz",
        &labels(&[3, 0, 9]),
    );
    put(
        folder.path(),
        "raw/qmnist-test-images-idx3-ubyte.gz",
        &gzip(&test),
    );
    put(
        folder.path(),
        "raw/qmnist-test-labels-idx2-int.gz",
        &labels(&[1, 2]),
    );
    assert_eq!(found(folder.path()), 8);
}

#[test]
fn plain_files_count_where_packed_ones_are_there_too() {
    for names in [MNIST.map(str::to_owned), dotted(), below("raw")] {
        let folder = folder();
        put_set(folder.path(), &names, 1);
        for (name, bytes) in names.iter().zip(contents(2)) {
            put(folder.path(), &format!("{name}.gz"), &gzip(&bytes));
        }
        assert_eq!(found(folder.path()), 1, "{names:?}");
    }
    // Whatever the spelling of the plain one.
    let folder = folder();
    put_set(folder.path(), &dotted(), 1);
    for (name, bytes) in MNIST.iter().zip(contents(2)) {
        put(folder.path(), &format!("{name}.gz"), &gzip(&bytes));
    }
    assert_eq!(found(folder.path()), 1);
}

#[test]
fn a_folder_with_names_of_mnist_is_one_of_mnist_whatever_else_is_in_it() {
    let folder = folder();
    put_set(folder.path(), &emnist("digits"), 2);
    put_set(folder.path(), &below("MNIST/raw"), 3);
    put_set(folder.path(), &MNIST, 1);
    assert_eq!(found(folder.path()), 1);
    assert_eq!(found(&folder.path().join("emnist-digits")), 2);
    assert_eq!(found(&folder.path().join("MNIST")), 3);
    // A missing file must not select another set unnoticed.
    fs::remove_file(folder.path().join(MNIST[3])).expect("removed");
    says(&refused(folder.path()), &[&format!("no {}", MNIST[3])]);
}

#[test]
fn several_sets_are_listed_and_each_can_be_chosen() {
    let root = folder();
    let at = |name: &str| root.path().join(name);
    put_set(root.path(), &below("MNIST/raw"), 1);
    assert_eq!(found(root.path()), 1);
    put_set(root.path(), &below("FashionMNIST/raw"), 2);
    for (split, first) in [("digits", 3), ("letters", 4)] {
        let names = emnist(split).map(|name| format!("EMNIST/raw/{name}"));
        put_set(root.path(), &names, first);
    }
    let choices = [
        ("MNIST/raw", 1),
        ("FashionMNIST/raw", 2),
        ("EMNIST/raw/emnist-letters", 4),
        ("EMNIST/raw/emnist-digits", 3),
    ];
    let message = refused(root.path());
    says(&message, &["several sets are there", "--data"]);
    for (choice, first) in choices {
        let path = at(choice);
        says(&message, &[&path.display().to_string()]);
        assert_eq!(found(&path), first);
    }
    assert_eq!(found(&at("emnist-letters")), 4, "wherever it lies");
    let message = refused(&at("EMNIST/raw"));
    says(&message, &["emnist-letters, ", "emnist-digits"]);
    assert!(matches!(
        Dataset::from_dir(root.path()),
        Err(DataError::SeveralSets { choices, .. }) if choices.len() == 4
    ));
}

#[test]
fn missing_files_are_named_with_what_is_there() {
    let folder = folder();
    says(
        &refused(folder.path()),
        &[
            "no train-images-idx3-ubyte or train-images-idx3-ubyte.gz there, nor train-labels-idx1-ubyte, \
             t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte;",
            "--data",
            "the folder is empty",
        ],
    );
    for name in ["a.txt", "b\n.txt", "c/d.txt", "z-idx3-ubyte.zip"] {
        put(folder.path(), name, b"");
    }
    says(
        &refused(folder.path()),
        &["the folder holds z-idx3-ubyte.zip, a.txt, b\u{fffd}.txt, c/"],
    );
    put_set(folder.path(), &MNIST, 1);
    fs::remove_file(folder.path().join(MNIST[2])).expect("removed");
    fs::create_dir(folder.path().join(MNIST[2])).expect("created");
    let message = refused(folder.path());
    says(
        &message,
        &[
            "no t10k-images-idx3-ubyte or t10k-images-idx3-ubyte.gz there;",
            "t10k-images-idx3-ubyte/, ",
            "z-idx3-ubyte.zip and 3 more",
        ],
    );
    let error = Dataset::from_dir(folder.path()).expect_err("refused");
    assert!(matches!(
        error,
        DataError::MissingFiles { missing, holds, .. } if missing == [MNIST[2]] && holds.count == 8
    ));
}

#[test]
fn files_of_a_chosen_set_are_missed_by_their_own_names() {
    let folder = folder();
    put_set(folder.path(), &emnist("letters"), 1);
    let labels = folder.path().join("emnist-letters-test-labels-idx1-ubyte");
    fs::remove_file(labels).expect("removed");
    let chosen = folder.path().join("emnist-letters");
    for path in [folder.path(), &chosen] {
        says(
            &refused(path),
            &[
                "no emnist-letters-test-labels-idx1-ubyte or emnist-letters-test-labels-idx1-ubyte.gz",
            ],
        );
    }
}

#[test]
fn what_is_no_folder_is_called_by_its_name() {
    let folder = folder();
    put_set(folder.path(), &MNIST, 1);
    let at = |name: &str| folder.path().join(name);
    for absent in ["none", "emnist-digits", "qmnist", "none/below"] {
        let message = refused(&at(absent));
        says(&message, &[absent, "there is no such folder", "--data"]);
    }
    put(folder.path(), "archive.zip", b"PK\x03\x04rest");
    put(folder.path(), "set.tar.gz", &{
        let mut tar = vec![0; 2048];
        tar[257..263].copy_from_slice(b"ustar\0");
        gzip(&tar)
    });
    put(folder.path(), "images.gz", &gzip(&contents(1)[0]));
    put(folder.path(), "notes", b"nothing");
    for (name, what) in [
        (MNIST[0], "this is an IDX file of images, not a folder"),
        (MNIST[1], "this is an IDX file of labels, not a folder"),
        ("images.gz", "this is an IDX file of images, not a folder"),
        ("archive.zip", "this is a zip archive, not a folder"),
        ("set.tar.gz", "this is a tar archive, not a folder"),
        ("notes", "this is a file, not a folder"),
    ] {
        says(
            &refused(&at(name)),
            &[name, what, "--data takes a packed set"],
        );
    }
    assert!(matches!(
        Dataset::from_dir(&at("notes/below")),
        Err(DataError::NoFolder { .. })
    ));
    assert!(matches!(
        Dataset::from_dir(&at("archive.zip")),
        Err(DataError::NotAFolder {
            what: FileKind::Zip,
            ..
        })
    ));
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_path_that_is_not_utf8_is_read_and_shown() {
        let root = folder();
        let path = root.path().join(OsStr::from_bytes(b"d\xe9"));
        says(&refused(&path), &["d\u{fffd}: there is no such folder"]);
        put_set(&path, &below("MNIST/raw"), 7);
        assert_eq!(found(&path), 7);
        let raw = path.join("MNIST/raw");
        put(&raw, MNIST[0], b"PK\x03\x04");
        says(
            &refused(&path),
            &["d\u{fffd}/MNIST/raw/train-images-idx3-ubyte: wrong magic"],
        );
        fs::remove_file(raw.join(MNIST[0])).expect("removed");
        fs::write(raw.join(OsStr::from_bytes(b"\xff-idx3")), b"").expect("written");
        says(
            &refused(&path),
            &["no train-images-idx3-ubyte", "\u{fffd}-idx3"],
        );
    }

    #[test]
    fn links_are_followed_and_those_to_nothing_are_called_so() {
        let (root, set) = (folder(), folder());
        put_set(set.path(), &MNIST, 9);
        for name in MNIST {
            symlink(set.path().join(name), root.path().join(name)).expect("linked");
        }
        assert_eq!(found(root.path()), 9);
        fs::remove_file(set.path().join(MNIST[1])).expect("removed");
        says(
            &refused(root.path()),
            &[
                "no train-labels-idx1-ubyte",
                "train-labels-idx1-ubyte (a link to nothing)",
            ],
        );
        put(
            root.path(),
            "train-labels-idx1-ubyte.gz",
            &gzip(&contents(9)[1]),
        );
        assert_eq!(found(root.path()), 9);
    }
}
