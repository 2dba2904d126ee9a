//! The same small set in every format: one identity.

mod files;
mod layouts;
#[cfg(feature = "parquet")]
mod parquet;
mod pickle;
mod set;
mod wrong;

use lagrange_import::{Format, Imported, Options, Split, pack, read, recognise};
use set::{SIDE, samples};
use std::path::Path;
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// Reads what `write` writes to a folder, checks its format and packs it.
fn identity(format: Format, write: impl Fn(&Path)) -> String {
    let folder = folder();
    let source = folder.path().join("source");
    write(&source);
    assert_eq!(recognise(&source).expect("recognised"), format);
    let (set, report) = read(&source, &Options::default()).expect("read");
    assert_eq!(
        report.summary(),
        format!("{format}: 3 classes, 12 + 6 images, {SIDE}x{SIDE} RGB")
    );
    assert_eq!(
        (&report.warnings, report.resized, report.converted),
        (&Vec::new(), 0, 0)
    );
    check(&set);
    let packed = pack(&set, &folder.path().join("packed"), None).expect("packed");
    packed.identity().to_owned()
}

/// Every sample is there, once.
fn check(set: &Imported) {
    assert_eq!(set.classes, ["0", "1", "2"]);
    for (split, part) in [(Split::Train, &set.train), (Split::Test, &set.test)] {
        let samples = samples(split);
        let mut expected: Vec<(u16, &[u8])> =
            samples.iter().map(|s| (s.class, &*s.pixels)).collect();
        let found = part.labels.iter().copied();
        let mut found: Vec<_> = found.zip(part.pixels.chunks(SIDE * SIDE * 3)).collect();
        expected.sort_unstable();
        found.sort_unstable();
        assert!(found == expected, "{split}");
    }
}

#[test]
fn one_set_has_one_identity_in_every_format() {
    let expected = identity(Format::ImageFolder, files::image_folder);
    type Writer = fn(&Path);
    let writers: [(Format, Writer); 9] = [
        (Format::LabelsFile, files::labels_csv),
        (Format::LabelsFile, files::labels_jsonl),
        (Format::Npz, files::npz),
        (Format::Npz, files::npz_of_floats),
        (Format::Npy, files::npy),
        (Format::CifarBinary, files::cifar_binary),
        (Format::CifarPickle, pickle::cifar_pickle),
        (Format::PixelCsv, files::pixel_csv),
        (Format::WebDataset, files::webdataset),
    ];
    for (format, write) in writers {
        assert_eq!(identity(format, write), expected, "{format}");
    }
    #[cfg(feature = "parquet")]
    assert_eq!(identity(Format::Parquet, parquet::write), expected);
}
