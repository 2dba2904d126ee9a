//! What is no data set, and what may be several.

use crate::files::{array, image_folder, npz, put, tar, webdataset, zip};
use crate::{folder, pickle, set};
use lagrange_import::{Format, Options, read, recognise};
use std::path::Path;

fn error(path: &Path) -> String {
    let error = read(path, &Options::default())
        .expect_err("an error")
        .to_string();
    assert!(!error.contains('\n'), "{error}");
    error
}

#[test]
fn what_is_there_is_listed_when_no_format_fits() {
    let folder = folder();
    assert!(error(&folder.path().join("no")).ends_with("there is no such file or folder"));
    assert!(error(folder.path()).contains(": the folder is empty; known are idx, image-folder"));
    put(folder.path(), "notes.txt", b"x");
    put(folder.path(), "more/notes.txt", b"x");
    assert!(error(folder.path()).contains("the folder holds more/, notes.txt; known"));
    let packed = folder.path().join("packed");
    put(&packed, "manifest.toml", b"x");
    assert!(error(&packed).contains("holds a packed set, which is imported already"));
    for (bytes, kind) in [
        (&b"\x1f\x8b\x08"[..], "it is gzip data: unpack it"),
        (b"PK\x03\x04", "it is a zip archive"),
        (b"", "it is an empty file"),
        (b"hello", "it is a single file of an unknown kind"),
    ] {
        put(folder.path(), "file", bytes);
        assert!(error(&folder.path().join("file")).contains(kind));
    }
}

#[test]
fn several_formats_are_an_error_and_the_option_chooses() {
    let folder = folder();
    image_folder(folder.path());
    npz(folder.path());
    let message = error(folder.path());
    assert!(
        message.contains("this may be image-folder or npz; choose with --data-format"),
        "{message}"
    );
    let with = |format| {
        let options = Options {
            format: Some(format),
            ..Options::default()
        };
        read(folder.path(), &options)
    };
    assert_eq!(with(Format::Npz).expect("read").1.format, Format::Npz);
    let missing = with(Format::Parquet).expect_err("none").to_string();
    assert!(
        missing.contains("--data-format parquet needs .parquet files; there: the folder holds")
    );
}

#[test]
fn idx_files_are_recognised_and_left_to_others() {
    let folder = folder();
    put(folder.path(), "MNIST/raw/train-images-idx3-ubyte.gz", b"x");
    put(
        folder.path(),
        "emnist-letters-train-images-idx3-ubyte",
        b"x",
    );
    for path in [
        folder.path().to_owned(),
        folder.path().join("emnist-letters"),
    ] {
        assert_eq!(recognise(&path).expect("recognised"), Format::Idx);
        assert!(error(&path).contains("IDX"), "{}", error(&path));
    }
}

#[cfg(not(feature = "parquet"))]
#[test]
fn a_format_that_was_left_out_names_its_feature() {
    let folder = folder();
    put(folder.path(), "data/train-0.parquet", b"x");
    assert!(
        error(folder.path()).contains("this build leaves out parquet; build it with the feature")
    );
}

#[test]
fn arrays_that_do_not_fit_are_named() {
    let folder = folder();
    let path = folder.path().join("set.npz");
    let of = |x: Vec<u8>, y: Vec<u8>| {
        zip(&path, &[("x.npy".to_owned(), x), ("y.npy".to_owned(), y)]);
        error(&path)
    };
    let labels = || array("|u1", &[2], &[0, 1]);
    let ambiguous = of(array("|u1", &[2, 3, 2, 3], &[0; 36]), labels());
    assert!(
        ambiguous.contains("array x: an array of shape [2, 3, 2, 3] can have its channels first")
    );
    assert!(ambiguous.ends_with("give --layout nhw, nhwc or nchw"));
    let none = of(array("|u1", &[2, 4, 2, 2], &[0; 32]), labels());
    assert!(none.contains("has no axis of 1 or 3 channels"), "{none}");
    let counts = of(array("|u1", &[3, 2, 2], &[0; 12]), labels());
    assert!(counts.contains("train: 3 images but 2 labels"), "{counts}");
    let objects = of(array("|O", &[2], &[0; 16]), labels());
    assert!(
        objects.contains("array x: an array of Python objects"),
        "{objects}"
    );
    let values = of(array("<i2", &[1, 1, 2], &[0, 1, 0, 0]), labels());
    assert!(
        values.contains("array x: pixels must be whole from 0 to 255"),
        "{values}"
    );
    let one_hot = of(
        array("|u1", &[2, 2, 2], &[0; 8]),
        array("|u1", &[2, 5], &[0; 10]),
    );
    assert!(
        one_hot.contains("array y: 5 labels for each sample"),
        "{one_hot}"
    );
    zip(&path, &[("a.npy".to_owned(), labels())]);
    assert!(error(&path).contains("no array is called x_train and y_train, or x and y; there: a"));
}

#[test]
fn labels_files_name_the_line() {
    let folder = folder();
    let of = |text: &str| {
        put(folder.path(), "metadata.csv", text.as_bytes());
        error(folder.path())
    };
    let split = of("file_name,label,split\na.png,1,train\nb.png,2,holdout\n");
    assert!(
        split.contains("metadata.csv, line 3: split \"holdout\" is none of"),
        "{split}"
    );
    assert!(of("file_name,label\n,1\n").contains("line 2: file_name and label must not be empty"));
    let missing = of("file_name,label\na.png,1\nb.png,2\n");
    assert!(
        missing.starts_with("2 pictures cannot be read: a.png (No such file"),
        "{missing}"
    );
    std::fs::remove_file(folder.path().join("metadata.csv")).expect("removed");
    put(
        folder.path(),
        "metadata.jsonl",
        b"{\"file_name\": \"a.png\", \"label\": 1}\n{\n",
    );
    assert!(error(folder.path()).contains("metadata.jsonl, line 2: "));
}

#[test]
fn archives_without_classes_are_told_from_those_with() {
    let folder = folder();
    let path = folder.path().join("train.tar");
    tar(
        &path,
        &[
            ("cat/1.png".to_owned(), vec![1]),
            ("dog/1.png".to_owned(), vec![1]),
        ],
    );
    assert!(error(&path).contains("train.tar: no member ends in .cls"));
    tar(
        &path,
        &[
            ("1.png".to_owned(), vec![1]),
            ("2.cls".to_owned(), b"1".to_vec()),
        ],
    );
    assert!(
        error(&path).contains("train.tar, sample 1: needs a picture and a file with its class")
    );
    webdataset(folder.path());
    std::fs::rename(&path, folder.path().join("old.tar")).expect("renamed");
    assert!(error(folder.path()).contains("old.tar: no split in its name"));
}

#[test]
fn pickles_that_would_run_code_are_refused() {
    let folder = folder();
    for (bytes, fault) in [
        (
            &b"\x80\x02cos\nsystem\nU\x02ls\x85R."[..],
            "it would call os.system (GLOBAL)",
        ),
        (
            b"\x80\x02(U\x02lsios\nsystem\n.",
            "instruction 0x69 (INST) at byte 7 is refused",
        ),
        (
            b"\x80\x02cnumpy\nndarray\n)\x81.",
            "instruction 0x81 (NEWOBJ)",
        ),
        (
            b"\x80\x02cnumpy\nndarray\n)R.",
            "a call (REDUCE) is refused",
        ),
    ] {
        put(folder.path(), "data_batch_1", bytes);
        let message = error(folder.path());
        assert!(
            message.contains(&format!("data_batch_1: {fault}")),
            "{message}"
        );
    }
    let [(_, train), _] = set::both();
    let whole = pickle::batch(&train);
    put(folder.path(), "data_batch_1", &whole[..whole.len() / 2]);
    assert!(error(folder.path()).ends_with("data_batch_1: it is cut off"));
    put(folder.path(), "data_batch_1.bin", &[0; 3074]);
    std::fs::remove_file(folder.path().join("data_batch_1")).expect("removed");
    assert!(error(folder.path()).contains("3074 bytes are not a multiple of 3073"));
}

#[cfg(not(feature = "more-formats"))]
#[test]
fn pictures_of_other_kinds_name_the_feature() {
    let folder = folder();
    put(folder.path(), "a/1.bmp", b"BM");
    put(folder.path(), "b/1.webp", b"RIFF");
    let message = error(folder.path());
    assert!(
        message.starts_with("no labelled picture is there; a/ has 1 picture of kinds that need")
    );
    assert!(message.contains("the feature `more-formats`"), "{message}");
}

#[test]
fn options_are_checked() {
    let folder = folder();
    for (options, message) in [
        (
            Options {
                size: Some((0, 3)),
                ..Options::default()
            },
            "--size 0x3: both sides",
        ),
        (
            Options {
                test_share: f64::NAN,
                ..Options::default()
            },
            "--test-share NaN: a share",
        ),
    ] {
        let error = read(folder.path(), &options)
            .expect_err("refused")
            .to_string();
        assert!(error.starts_with(message), "{error}");
    }
}
