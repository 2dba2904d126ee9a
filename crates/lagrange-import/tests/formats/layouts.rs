//! Folders of pictures as people have them.

use crate::files::{image_folder, put};
use crate::folder;
use image::{GrayImage, Luma, RgbImage};
use lagrange_import::{Channels, ImportError, Options, Split, contact_sheet, read};
use std::path::Path;

/// A grey PNG of one shade.
fn grey(height: u32, width: u32, shade: u8) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let image = GrayImage::from_pixel(width, height, Luma([shade]));
    image
        .write_to(&mut bytes, image::ImageFormat::Png)
        .expect("memory");
    bytes.into_inner()
}

fn colour(shade: u8) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let image = RgbImage::from_pixel(3, 3, image::Rgb([shade; 3]));
    image
        .write_to(&mut bytes, image::ImageFormat::Png)
        .expect("memory");
    bytes.into_inner()
}

fn error(path: &Path, options: &Options) -> String {
    let error = read(path, options).expect_err("an error").to_string();
    assert!(!error.contains('\n'), "{error}");
    error
}

/// Samples come in the order of their hashes.
fn sorted(labels: &[u16]) -> Vec<u16> {
    let mut labels = labels.to_vec();
    labels.sort_unstable();
    labels
}

#[test]
fn classes_are_the_union_of_all_splits_in_natural_order() {
    let folder = folder();
    for class in [10, 1, 2, 11] {
        put(
            folder.path(),
            &format!("Training/{class}/a.png"),
            &grey(2, 2, class),
        );
    }
    for class in [11, 10] {
        put(
            folder.path(),
            &format!("valid/{class}/b.png"),
            &grey(2, 2, class + 100),
        );
    }
    put(folder.path(), "evaluation/2/c.png", &grey(2, 2, 202));
    let (set, report) = read(folder.path(), &Options::default()).expect("read");
    assert_eq!(set.classes, ["1", "2", "10", "11"]);
    assert_eq!(sorted(&set.train.labels), [0, 1, 2, 3]);
    let ten = set.train.labels.iter().position(|&label| label == 2);
    assert_eq!(set.train.pixels[4 * ten.expect("there")..][..4], [10; 4]);
    assert_eq!(sorted(&set.validation.expect("a split").labels), [2, 3]);
    assert_eq!(
        (set.test.labels, set.test.names),
        (vec![1], vec!["evaluation/2/c.png".to_owned()])
    );
    assert_eq!(report.warnings.len(), 2, "{report}");
    assert_eq!(
        report.warnings[0],
        "the validation split has no picture of class 1, 2"
    );
    assert_eq!(report.classes[3].of(Split::Validation), 1);
}

#[test]
fn a_test_split_is_held_out_of_every_class_and_always_the_same() {
    let folder = folder();
    for number in 0..20 {
        put(
            folder.path(),
            &format!("cat/{number}.png"),
            &grey(2, 3, number),
        );
        put(
            folder.path(),
            &format!("dog/x/{number}.png"),
            &grey(2, 3, number + 100),
        );
    }
    put(folder.path(), "owl/1.png", &grey(2, 3, 255));
    let read = || read(folder.path(), &Options::default()).expect("read");
    let (set, report) = read();
    assert_eq!(sorted(&set.test.labels), [0, 0, 1, 1]);
    assert_eq!((set.train.len(), set.validation.is_none()), (37, true));
    assert_eq!(set, read().0);
    assert_eq!(
        report.summary(),
        "image-folder: 3 classes, 37 + 4 images, 2x3 grey"
    );
    assert!(
        report
            .warnings
            .iter()
            .any(|line| line.contains("4 pictures of the train split"))
    );
    assert!(
        report
            .warnings
            .iter()
            .any(|line| line.contains("no picture of class owl"))
    );
}

#[test]
fn what_is_no_picture_is_skipped_and_counted() {
    let folder = folder();
    image_folder(folder.path());
    put(folder.path(), "train/0/.DS_Store", b"x");
    put(folder.path(), "train/0/._0.png", b"x");
    put(folder.path(), "train/0/notes.txt", b"x");
    put(folder.path(), "train/.ipynb_checkpoints/0.png", b"x");
    put(folder.path(), "train/loose.png", b"x");
    put(folder.path(), "extra/0/1.png", b"x");
    let (set, report) = read(folder.path(), &Options::default()).expect("read");
    assert_eq!((set.train.len(), report.skipped), (12, 3));
    assert!(
        report.warnings[0].starts_with("extra/ is not the name of a split"),
        "{report}"
    );
    assert!(
        report.warnings[1].contains("1 picture in no class's folder"),
        "{report}"
    );
}

#[cfg(unix)]
#[test]
fn loops_of_links_and_names_of_any_bytes_are_survived() {
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::symlink;
    let folder = folder();
    image_folder(folder.path());
    let (without, _) = read(folder.path(), &Options::default()).expect("read");
    symlink("..", folder.path().join("train/0/loop")).expect("a link");
    symlink(folder.path(), folder.path().join("train/1/up")).expect("a link");
    let odd = folder
        .path()
        .join("train/2")
        .join(std::ffi::OsStr::from_bytes(b"\xff\n.png"));
    std::fs::copy(folder.path().join("train/0/0.png"), odd).expect("copied");
    // The loops lead to pictures of other classes.
    let (set, _) = read(folder.path(), &Options::default()).expect("read");
    assert_eq!(set.train.len(), without.train.len() + 1);
    assert!(set.train.names.iter().all(|name| !name.contains('\n')));
    symlink("nowhere", folder.path().join("train/2/broken.png")).expect("a link");
    let error = error(folder.path(), &Options::default());
    assert!(error.contains(" train/2/broken.png ("), "{error}");
}

/// As competitions give them: a class must not be made up, nor the split be left out in silence.
#[test]
fn a_test_split_without_labels_is_named_with_the_way_out() {
    let folder = folder();
    image_folder(folder.path());
    let test = folder.path().join("test");
    std::fs::remove_dir_all(&test).expect("removed");
    std::fs::create_dir(&test).expect("made");
    std::fs::copy(folder.path().join("train/0/0.png"), test.join("1.png")).expect("copied");
    let error = error(folder.path(), &Options::default());
    assert!(error.contains("1 picture without labels"), "{error}");
    assert!(error.contains("move this folder away"), "{error}");
}

#[test]
fn pictures_of_several_sizes_need_the_option_and_get_it() {
    let folder = folder();
    put(folder.path(), "train/a/1.png", &grey(4, 4, 10));
    put(folder.path(), "train/b/1.png", &grey(4, 6, 20));
    put(folder.path(), "test/a/1.png", &grey(9, 8, 30));
    let message = error(folder.path(), &Options::default());
    assert_eq!(
        message,
        "pictures differ in size: train/a/1.png is 4x4, train/b/1.png is 4x6; \
         --size HxW gives all the same"
    );
    let options = Options {
        size: Some((4, 4)),
        ..Options::default()
    };
    let (set, report) = read(folder.path(), &options).expect("read");
    let mut pictures: Vec<_> = set.train.pixels.chunks(16).collect();
    pictures.sort_unstable();
    assert_eq!(pictures, [[10; 16], [20; 16]]);
    assert_eq!((report.resized, report.sizes.len()), (2, 3));
}

#[test]
fn one_colour_picture_makes_all_of_them_colour() {
    let folder = folder();
    put(folder.path(), "train/a/1.png", &grey(3, 3, 10));
    put(folder.path(), "train/b/1.png", &colour(20));
    put(folder.path(), "test/a/1.png", &grey(3, 3, 30));
    let (set, report) = read(folder.path(), &Options::default()).expect("read");
    assert_eq!((set.channels, report.converted), (3, 2));
    assert_eq!(set.train.pixels, [[10; 27], [20; 27]].concat());
    let options = Options {
        channels: Some(Channels::Grey),
        ..Options::default()
    };
    let (set, report) = read(folder.path(), &options).expect("read");
    assert_eq!((set.channels, report.converted), (1, 1));
    assert_eq!(set.train.pixels, [[10; 9], [20; 9]].concat());
}

#[test]
fn damaged_pictures_are_named_or_left_out() {
    let folder = folder();
    image_folder(folder.path());
    for number in 0..7 {
        put(
            folder.path(),
            &format!("train/0/bad{number}.png"),
            b"\x89PNG\r\n\x1a\nnot really",
        );
    }
    put(folder.path(), "train/0/bad0.png", b"");
    let message = error(folder.path(), &Options::default());
    assert!(message.starts_with("7 pictures cannot be read: train/0/bad0.png (it is empty), "));
    assert!(
        message.ends_with(" and 2 more; --skip-unreadable leaves out such files"),
        "{message}"
    );
    let options = Options {
        skip_unreadable: true,
        ..Options::default()
    };
    let (set, report) = read(folder.path(), &options).expect("read");
    assert_eq!((set.train.len(), report.unreadable.len()), (12, 7));
}

#[test]
fn copies_across_splits_are_reported() {
    let folder = folder();
    image_folder(folder.path());
    std::fs::copy(
        folder.path().join("train/0/2.png"),
        folder.path().join("test/1/copy.png"),
    )
    .expect("copied");
    let (_, report) = read(folder.path(), &Options::default()).expect("read");
    let pair = ("train/0/2.png".to_owned(), "test/1/copy.png".to_owned());
    assert_eq!(
        (report.duplicates.count, &report.duplicates.first[..]),
        (1, &[pair][..])
    );
}

#[test]
fn classes_must_be_learnable() {
    let folder = folder();
    put(folder.path(), "train/a/1.png", &grey(3, 3, 10));
    put(folder.path(), "test/a/1.png", &grey(3, 3, 30));
    let one = error(folder.path(), &Options::default());
    assert!(
        one.starts_with("all pictures are of one class, \"a\""),
        "{one}"
    );
    put(folder.path(), "test/b/1.png", &grey(3, 3, 30));
    let missing = error(folder.path(), &Options::default());
    assert!(
        missing.starts_with("class \"b\" has no picture in the train split"),
        "{missing}"
    );
    put(folder.path(), "train/b/1.png", &grey(3, 3, 31));
    std::fs::create_dir(folder.path().join("val")).expect("created");
    let empty = read(folder.path(), &Options::default()).expect_err("an empty split");
    assert!(
        matches!(
            &empty,
            ImportError::EmptySplit {
                split: Split::Validation,
                ..
            }
        ),
        "{empty}"
    );
}

#[test]
fn of_cifar_100_the_fine_labels_count() {
    let folder = folder();
    let record = |coarse: u8, fine: u8| [vec![coarse, fine], vec![fine; 3072]].concat();
    let records = [record(0, 1), record(0, 0), record(0, 1), record(0, 0)].concat();
    put(folder.path(), "cifar-100-binary/train.bin", &records);
    put(folder.path(), "cifar-100-binary/test.bin", &record(7, 0));
    put(
        folder.path(),
        "cifar-100-binary/fine_label_names.txt",
        b"worm\r\napple\r\n",
    );
    let (set, report) = read(folder.path(), &Options::default()).expect("read");
    assert_eq!(
        (set.classes, sorted(&set.train.labels)),
        (
            vec!["apple".to_owned(), "worm".to_owned()],
            vec![0, 0, 1, 1]
        )
    );
    assert_eq!(
        report.summary(),
        "cifar-binary: 2 classes, 4 + 1 images, 32x32 RGB"
    );
    put(folder.path(), "cifar-100-binary/test.bin", &record(7, 2));
    let error = error(folder.path(), &Options::default());
    assert!(
        error.ends_with("test.bin: label 2 of sample 0, but 2 names"),
        "{error}"
    );
}

#[test]
fn a_table_without_labels_is_left_out_and_a_test_split_held_out() {
    let folder = folder();
    let rows: String = (0..20).map(|n| format!("{},{n},0,0,1\n", n % 2)).collect();
    put(
        folder.path(),
        "train.csv",
        format!("label,p0,p1,p2,p3\n{rows}").as_bytes(),
    );
    put(folder.path(), "test.csv", b"p0,p1,p2,p3\n1,2,3,4\n");
    put(
        folder.path(),
        "sample_submission.csv",
        b"ImageId,Label\n1,0\n",
    );
    let (set, report) = read(folder.path(), &Options::default()).expect("read");
    assert_eq!(
        (set.train.len(), sorted(&set.test.labels)),
        (18, vec![0, 1])
    );
    assert!(report.warnings[0].ends_with("test.csv: no column called label; it was left out"));
}

#[test]
fn a_sheet_has_a_row_of_each_class() {
    let folder = folder();
    image_folder(folder.path());
    let (set, _) = read(folder.path(), &Options::default()).expect("read");
    let sheet = contact_sheet(&set, 3).expect("a sheet");
    let sheet = image::load_from_memory(&sheet)
        .expect("a picture")
        .to_rgb8();
    assert_eq!(sheet.dimensions(), (3 * 34 + 2, 3 * 34 + 2));
    let second = set.train.labels.iter().position(|&label| label == 1);
    let second = second.expect("a picture");
    assert_eq!(
        sheet.get_pixel(2, 36).0,
        set.train.pixels[second * 3072..][..3]
    );
    assert_eq!(sheet.get_pixel(1, 1).0, [255; 3]);
}
