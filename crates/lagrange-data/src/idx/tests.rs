//! Every malformation by name, and none that panics.

use super::*;
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use std::io::Write as _;

fn idx(magic: u32, dimensions: &[u32], data: &[u8]) -> Vec<u8> {
    let mut bytes = magic.to_be_bytes().to_vec();
    dimensions
        .iter()
        .for_each(|d| bytes.extend(d.to_be_bytes()));
    bytes.extend(data);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

#[test]
fn plain_and_gzip_read_alike() {
    let bytes = idx(
        IMAGES_MAGIC,
        &[2, 2, 3],
        &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
    );
    let images = read_images(&bytes).expect("well formed");
    assert_eq!((images.len(), images.height, images.width), (2, 2, 3));
    assert_eq!(read_images(&gzip(&bytes)).expect("well formed"), images);
    let labels = idx(LABELS_MAGIC, &[3], &[7, 0, 9]);
    assert_eq!(read_labels(&gzip(&labels)).expect("well formed"), [7, 0, 9]);
}

#[test]
fn every_malformation_has_its_name() {
    let images = |bytes: &[u8]| read_images(bytes).expect_err("malformed");
    let good = idx(IMAGES_MAGIC, &[1, 2, 2], &[1, 2, 3, 4]);
    for found in [0, 9] {
        let expected = 16;
        let error = IdxError::TruncatedHeader { expected, found };
        assert_eq!(images(&good[..found]), error);
    }
    assert_eq!(
        images(&good[..18]),
        IdxError::Truncated {
            expected: 4,
            found: 2
        }
    );
    assert_eq!(
        images(&[good.as_slice(), &[0]].concat()),
        IdxError::TrailingBytes { expected: 4 }
    );
    assert_eq!(
        images(&idx(LABELS_MAGIC, &[4], &[1, 2, 3, 4])),
        IdxError::WrongKind {
            expected: "images",
            found: "labels"
        }
    );
    assert!(matches!(
        images(b"PK\x03\x04 not an IDX file"),
        IdxError::WrongMagic {
            found: 0x504b_0304,
            ..
        }
    ));
    assert_eq!(
        images(&idx(0x0d03, &[1, 1, 1], &[0; 4])),
        IdxError::UnsupportedType {
            kind: "images",
            found: "32-bit float"
        }
    );
    assert_eq!(
        images(&idx(0x0804, &[1, 2, 2, 3], &[0; 12])),
        IdxError::UnsupportedRank {
            kind: "images",
            expected: 3,
            found: 4
        }
    );
    assert_eq!(
        read_labels(&good).expect_err("malformed"),
        IdxError::WrongKind {
            expected: "labels",
            found: "images"
        }
    );
    assert!(matches!(
        images(&idx(IMAGES_MAGIC, &[0, 2, 2], &[])),
        IdxError::Empty { .. }
    ));
    for huge in [[u32::MAX, u32::MAX, u32::MAX], [1 << 20, 1 << 10, 1 << 10]] {
        assert!(matches!(
            images(&idx(IMAGES_MAGIC, &huge, &[])),
            IdxError::TooLarge { .. }
        ));
    }
}

/// The message of a file of images that is none.
fn message(bytes: &[u8]) -> String {
    read_images(bytes).expect_err("malformed").to_string()
}

#[test]
fn what_is_no_idx_file_is_called_by_its_name_with_the_way_out() {
    let tar = {
        let mut bytes = vec![b'x'; 1024];
        bytes[257..263].copy_from_slice(b"ustar\0");
        bytes
    };
    for (bytes, what, way_out) in [
        (
            b"<!DOCTYPE html>\n<html>".as_slice(),
            "a web page (HTML)",
            "its link",
        ),
        (b"PK\x03\x04rest", "a zip archive", "unpack it"),
        (b"\xfd7zXZ\0rest", "xz", "unxz"),
        (b"BZh91AY&SY", "bzip2", "bunzip2"),
        (&tar, "a tar archive", "unpack it"),
        (&gzip(&gzip(b"twice")), "gzip data within gzip", "gunzip"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n",
            "a git-lfs pointer",
            "git lfs pull",
        ),
    ] {
        let plain = message(bytes);
        for part in [
            "wrong magic number 0x",
            "not an IDX file of images but",
            what,
            way_out,
        ] {
            assert!(plain.contains(part), "`{part}` in: {plain}");
        }
        if !bytes.starts_with(&GZIP_MAGIC) {
            assert_eq!(message(&gzip(bytes)), plain, "packed as well");
        }
    }
    assert_eq!(
        message(b"\x89PNG\r\n"),
        "wrong magic number 0x89504e47 where 0x00000803 belongs: not an IDX file of images"
    );
}

/// Rows of `columns` integers, each row a label and numbers that are none.
fn extended(labels: &[i32], columns: u32) -> Vec<u8> {
    let row = |label: &i32| {
        let rest = (1..columns as i32).map(|column| 1_000 * column);
        std::iter::once(*label)
            .chain(rest)
            .flat_map(i32::to_be_bytes)
            .collect::<Vec<_>>()
    };
    let data: Vec<u8> = labels.iter().flat_map(row).collect();
    idx(
        EXTENDED_LABELS_MAGIC,
        &[labels.len() as u32, columns],
        &data,
    )
}

#[test]
fn qmnist_labels_are_the_first_of_eight_numbers() {
    let good = extended(&[7, 0, 255], 8);
    assert_eq!(good.len(), 12 + 3 * 32);
    assert_eq!(read_labels(&good), Ok(vec![7, 0, 255]));
    assert_eq!(read_labels(&gzip(&good)), Ok(vec![7, 0, 255]));
    assert_eq!(
        read_labels(&extended(&[1, 0, 0], 10)),
        Err(IdxError::Columns { found: 10 })
    );
    for label in [-1, 256, i32::MIN] {
        let error = read_labels(&extended(&[3, label], 8));
        assert_eq!(error, Err(IdxError::Label { index: 1, label }));
    }
    assert_eq!(
        read_labels(&good[..good.len() - 1]),
        Err(IdxError::Truncated {
            expected: 96,
            found: 95
        })
    );
    assert_eq!(
        read_labels(&good[..9]),
        Err(IdxError::TruncatedHeader {
            expected: 12,
            found: 9
        })
    );
    assert!(matches!(
        read_labels(&idx(EXTENDED_LABELS_MAGIC, &[1 << 28, 8], &[])),
        Err(IdxError::TooLarge { .. })
    ));
    let swapped = IdxError::WrongKind {
        expected: "images",
        found: "labels",
    };
    assert_eq!(read_images(&good), Err(swapped));
}

#[test]
fn damaged_gzip_is_named() {
    let good = gzip(&idx(IMAGES_MAGIC, &[1, 40, 40], &[7; 1600]));
    let refused = |bytes: &[u8]| matches!(read_images(bytes), Err(IdxError::Gzip { .. }));
    for cut in 2..good.len() {
        assert!(refused(&good[..cut]), "cut to {cut} bytes");
    }
    // The last eight bytes are the checksum and the length.
    for at in good.len() - 8..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(refused(&bad), "byte {at} changed");
    }
    assert!(refused(&[good.as_slice(), b"junk"].concat()));
}

#[test]
fn gzip_streams_in_a_row_are_one_file() {
    let bytes = idx(LABELS_MAGIC, &[4], &[1, 2, 3, 4]);
    let (head, tail) = bytes.split_at(10);
    let both = [gzip(head), gzip(tail)].concat();
    assert_eq!(read_labels(&both), Ok(vec![1, 2, 3, 4]));
    let longer = [both, gzip(&[5])].concat();
    assert_eq!(
        read_labels(&longer),
        Err(IdxError::TrailingBytes { expected: 4 })
    );
}

#[test]
fn a_gzip_bomb_is_not_inflated() {
    let bomb = gzip(&idx(IMAGES_MAGIC, &[1, 2, 2], &vec![0; 50 << 20]));
    assert_eq!(
        read_images(&bomb),
        Err(IdxError::TrailingBytes { expected: 4 })
    );
}

/// Bytes that get past the magic number, and often past dimensions of a plausible size.
fn nearly_idx() -> impl Strategy<Value = Vec<u8>> {
    let magic = prop_oneof![
        Just(IMAGES_MAGIC),
        Just(LABELS_MAGIC),
        Just(EXTENDED_LABELS_MAGIC),
        any::<u32>()
    ];
    let dimensions = prop::collection::vec(prop_oneof![0u32..5, any::<u32>()], 0..4);
    let data = prop::collection::vec(any::<u8>(), 0..80);
    (magic, dimensions, data).prop_map(|(magic, dimensions, data)| idx(magic, &dimensions, &data))
}

/// What was read is as long as it says, or was refused, in blocks as in one.
fn reads_soundly(bytes: &[u8]) {
    let whole = read_images(bytes);
    if let Ok(images) = &whole {
        let Images { height, width, .. } = images;
        assert_eq!(images.pixels.len(), images.len() * height * width);
    }
    #[cfg(feature = "embedded-mnist")]
    for count in [1, 3] {
        let mut pixels = Vec::new();
        let read = each_images(bytes, count, &mut |_, block| {
            pixels.extend(block);
        });
        assert_eq!(
            read.map(|()| pixels),
            whole.clone().map(|images| images.pixels)
        );
    }
    if let Ok(labels) = read_labels(bytes) {
        assert!(!labels.is_empty());
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(
        bytes in prop_oneof![prop::collection::vec(any::<u8>(), 0..80), nearly_idx()],
    ) {
        reads_soundly(&bytes);
        reads_soundly(&gzip(&bytes));
        reads_soundly(&[&GZIP_MAGIC, bytes.as_slice()].concat());
    }

    #[test]
    fn damaged_gzip_never_panics(bytes in nearly_idx(), at in any::<prop::sample::Index>(), change in 1u8..) {
        let mut packed = gzip(&bytes);
        let at = at.index(packed.len());
        packed[at] ^= change;
        reads_soundly(&packed);
    }

    #[test]
    fn well_formed_images_come_back(n in 1u32..4, height in 1u32..6, width in 1u32..6, fill in any::<u8>()) {
        let data: Vec<u8> = (0..n * height * width).map(|i| fill.wrapping_add(i as u8)).collect();
        let bytes = idx(IMAGES_MAGIC, &[n, height, width], &data);
        let images = read_images(&bytes).expect("well formed");
        prop_assert_eq!((images.len(), images.height, images.width), (n as usize, height as usize, width as usize));
        prop_assert_eq!(&images.pixels, &data);
        prop_assert_eq!(read_images(&gzip(&bytes)), Ok(images));
    }
}
