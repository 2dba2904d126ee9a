//! Packing, and what is told about a damaged set.

use super::manifest::Manifest;
use super::*;
use crate::{ImportError, Imported, Part, Split};
use proptest::prelude::*;
use std::fs;
use std::num::NonZeroUsize;
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// A set of 2x1 RGB pictures whose first byte is their number.
fn set(train: usize, validation: usize, test: usize) -> Imported {
    let part = |first: usize, count: usize| Part {
        pixels: (first..first + count)
            .flat_map(|n| [n as u8, 1, 2, 3, 4, 250])
            .collect(),
        labels: (0..count).map(|n| (n % 2) as u16).collect(),
        names: (0..count).map(|n| format!("{first}/{n}.png")).collect(),
    };
    Imported {
        height: 2,
        width: 1,
        channels: 3,
        classes: vec!["a \"b\"\\".to_owned(), "\u{1f}é".to_owned()],
        train: part(0, train),
        validation: (validation > 0).then(|| part(100, validation)),
        test: part(200, test),
    }
}

fn packed(set: &Imported, per_block: usize) -> (TempDir, PackedSet) {
    let folder = folder();
    let packed = pack(set, folder.path(), NonZeroUsize::new(per_block)).expect("packed");
    (folder, packed)
}

#[test]
fn samples_come_from_the_blocks_that_hold_them() {
    let set = set(10, 3, 5);
    let (folder, packed) = packed(&set, 4);
    let manifest = packed.manifest();
    let blocks = manifest
        .blocks
        .iter()
        .map(|block| (block.split, block.first, block.count));
    let (train, validation, test) = (Split::Train, Split::Validation, Split::Test);
    let expected = [
        (train, 0, 4),
        (train, 4, 4),
        (train, 8, 2),
        (validation, 0, 3),
        (test, 0, 4),
        (test, 4, 1),
    ];
    assert_eq!(blocks.collect::<Vec<_>>(), expected);
    assert_eq!((&manifest.classes, manifest.train), (&set.classes, 10));
    // The other blocks are not needed.
    fs::remove_file(folder.path().join("train-00001.block")).expect("removed");
    let block = packed.read_block(2).expect("the last of train");
    assert_eq!((block.first, block.labels.as_slice()), (8, &[0, 1][..]));
    let firsts: Vec<u8> = block.pixels.iter().step_by(6).copied().collect();
    assert_eq!(firsts, [8, 9]);
    assert!(packed.read_block(1).is_err());
    let beyond = packed.read_block(6).expect_err("beyond").to_string();
    assert_eq!(beyond, "block 6: the set has only 6");
    let names = packed.names(test).expect("names").expect("names");
    assert_eq!((names.len(), names[4].as_str()), (5, "200/4.png"));
}

#[test]
fn the_sums_are_exact() {
    let (_folder, packed) = packed(&set(3, 0, 2), 100);
    let manifest = packed.manifest();
    assert_eq!(manifest.sums, [3 + 9, 3 + 12, 6 + 750]);
    assert_eq!(manifest.squares[0], 1 + 4 + 3 * 9);
}

#[test]
fn names_of_files_do_not_count_but_everything_else_does() {
    let set = set(6, 2, 4);
    let (folder, first) = packed(&set, 3);
    let identity = |set: &Imported| packed(set, 3).1.identity().to_owned();
    let mut other = set.clone();
    other.train.names = Vec::new();
    other.validation.as_mut().expect("a split").names = Vec::new();
    other.test.names = Vec::new();
    let (nameless, second) = packed(&other, 3);
    assert_eq!(second.identity(), first.identity());
    assert!(!nameless.path().join("names.txt").exists());
    assert_eq!(second.names(Split::Train).expect("none"), None);
    for change in [
        |set: &mut Imported| set.test.pixels[0] ^= 1,
        |set: &mut Imported| set.test.labels[0] = 1,
        |set: &mut Imported| set.classes[0].push('x'),
        |set: &mut Imported| set.validation = None,
        |set: &mut Imported| (set.height, set.width) = (1, 2),
    ] {
        let mut changed = set.clone();
        change(&mut changed);
        assert_ne!(identity(&changed), first.identity());
    }
    assert_ne!(packed(&set, 4).1.identity(), first.identity());
    // Another way to write the same manifest changes nothing.
    let path = folder.path().join("manifest.toml");
    let text = fs::read_to_string(&path).expect("read");
    fs::write(&path, format!("# {}", text.replace('\n', "\r\n"))).expect("written");
    let text = fs::read_to_string(&path)
        .expect("read")
        .replacen("# ", "# note\r\n", 1);
    fs::write(&path, text).expect("written");
    assert_eq!(
        PackedSet::open(folder.path()).expect("opened").identity(),
        first.identity()
    );
}

#[test]
fn damaged_blocks_are_named() {
    let (folder, packed) = packed(&set(6, 0, 4), 3);
    let path = folder.path().join("train-00001.block");
    let whole = fs::read(&path).expect("read");
    let error = |bytes: &[u8]| {
        fs::write(&path, bytes).expect("written");
        packed.read_block(1).expect_err("damaged")
    };
    let mut bytes = whole.clone();
    bytes[7] ^= 1;
    let damaged = error(&bytes);
    assert!(matches!(damaged, ImportError::Damaged { .. }));
    assert!(
        damaged
            .to_string()
            .contains("train-00001.block: its SHA-256 is ")
    );
    let short = error(&whole[1..]).to_string();
    assert!(short.ends_with("train-00001.block: 23 bytes, but 3 samples take 8 bytes each"));
    fs::write(&path, &whole).expect("written");
    assert_eq!(packed.read_block(1).expect("whole").first, 3);
    assert!(packed.read_block(9).is_err());
}

#[test]
fn a_set_is_not_written_over_another_and_manifests_are_checked() {
    let set = set(4, 0, 2);
    let (folder, packed) = packed(&set, 4);
    let again = pack(&set, folder.path(), None)
        .expect_err("occupied")
        .to_string();
    assert!(
        again.contains("manifest.toml: there is a packed set already"),
        "{again}"
    );
    let text = packed.manifest().text();
    for (from, to, fault) in [
        ("format = 1", "format = 2", "format 2 is not known"),
        (
            "train = 4",
            "train = 5",
            "the blocks hold 4 train samples, but train = 5",
        ),
        ("channels = 3", "channels = 2", "make no picture"),
        (
            "height = 2",
            "height = 9223372036854775807",
            "make no picture",
        ),
        ("train-00000", "../train", "is not a plain name"),
        ("first = 0", "first = 1", "does not follow the one before"),
        ("sums = [18", "sums = [-18", "invalid value"),
        ("sums = [", "sums = [1, ", "one of each channel"),
        ("classes", "klasses", "unknown field `klasses`"),
    ] {
        assert!(text.contains(from), "{from}");
        let error = Manifest::parse(&text.replacen(from, to, 1), "m")
            .expect_err(to)
            .to_string();
        assert!(
            error.starts_with("m: ") && error.contains(fault),
            "{to}: {error}"
        );
    }
    let absent = PackedSet::open(&folder.path().join("no")).expect_err("absent");
    assert!(matches!(absent, ImportError::Absent { .. }));
    let mut wrong = set.clone();
    wrong.train.labels[0] = 2;
    assert!(pack(&wrong, &folder.path().join("new"), None).is_err());
}

proptest! {
    #[test]
    fn a_manifest_survives_its_text(
        classes in prop::collection::vec(any::<String>(), 2..5),
        sums in prop::collection::vec(0..i64::MAX as u64, 3),
    ) {
        let mut manifest = Manifest::new(2, 3, 3, classes);
        manifest.sums = sums;
        manifest.content = "0f".repeat(32);
        let text = manifest.text();
        prop_assert_eq!(Manifest::parse(&text, "m").expect("its own text"), manifest);
    }

    #[test]
    fn any_text_is_a_manifest_or_an_error(text in "\\PC{0,100}", at in 0_usize..400) {
        let _ = Manifest::parse(&text, "m");
        let mut manifest = Manifest::new(2, 3, 3, vec!["a".to_owned(), "b".to_owned()]);
        manifest.blocks.push(BlockEntry {
            file: "train-00000.block".to_owned(),
            split: Split::Train,
            first: 0,
            count: 1,
            sha256: "0".repeat(64),
        });
        let own = manifest.text();
        let cut: String = own.chars().take(at).collect();
        let _ = Manifest::parse(&format!("{cut}{text}"), "m");
    }
}
