//! Arrays of every type, order and layout.

use super::convert::{Scale, block, labels, scale};
use super::npy::{Array, parse};
use super::*;
use crate::Layout;
use proptest::prelude::*;

fn file(descr: &str, order: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\0".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

fn array(descr: &str, shape: &str, data: &[u8]) -> Array {
    parse(file(descr, "False", shape, data), "x").expect("an array")
}

fn pixels(array: Array, layout: Option<Layout>) -> (usize, usize, usize, Vec<u8>) {
    let scale = scale(std::iter::once(&array)).expect("pixels");
    let images = block(array, scale, layout).expect("images").block;
    (images.height, images.width, images.channels, images.pixels)
}

#[test]
fn layouts_are_told_by_the_axis_of_channels() {
    let bytes: Vec<u8> = (0..12).collect();
    let read = |shape, layout| pixels(array("'|u1'", shape, &bytes), layout);
    assert_eq!(read("(1, 3, 4)", None), (3, 4, 1, bytes.clone()));
    assert_eq!(read("(1, 2, 2, 3)", None), (2, 2, 3, bytes.clone()));
    let last = vec![0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11];
    assert_eq!(read("(1, 3, 2, 2)", None), (2, 2, 3, last));
    let (asked, other) = (Some(Layout::Nchw), Some(Layout::Nhwc));
    assert_eq!(read("(1, 3, 4, 1)", asked).1, 1);
    assert_eq!(read("(1, 3, 4, 1)", other).1, 4);
    let wrong = block(array("'|u1'", "(1, 2, 2, 3)", &bytes), Scale::Bytes, asked);
    assert!(wrong.is_err());
}

#[test]
fn the_order_of_fortran_is_undone() {
    // Element (row, column) is 10 row + column.
    let bytes = file("'|u1'", "True", "(1, 2, 3)", &[0, 10, 1, 11, 2, 12]);
    let array = parse(bytes, "x").expect("an array");
    assert_eq!(pixels(array, None).3, [0, 1, 2, 10, 11, 12]);
}

#[test]
fn values_of_every_type_become_bytes() {
    let of = |descr: &str, data: &[u8]| pixels(array(descr, "(1, 1, 2)", data), None).3;
    let floats: Vec<u8> = [0.5_f32, 1.0]
        .iter()
        .flat_map(|x| x.to_le_bytes())
        .collect();
    assert_eq!(of("'<f4'", &floats), [128, 255]);
    let floats: Vec<u8> = [7.0_f64, 255.0]
        .iter()
        .flat_map(|x| x.to_be_bytes())
        .collect();
    assert_eq!(of("'>f8'", &floats), [7, 255]);
    // 0.5 and 1 in two bytes each.
    assert_eq!(of("'<f2'", &[0x00, 0x38, 0x00, 0x3c]), [128, 255]);
    assert_eq!(of("'>i2'", &[0, 9, 0, 255]), [9, 255]);
    assert_eq!(of("'|b1'", &[0, 1]), [0, 255]);
    assert_eq!(of("'|u1'", &[0, 1]), [0, 1]);
    assert_eq!(
        of("'<i8'", &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        [1, 0]
    );
}

#[test]
fn one_scale_holds_for_all_splits() {
    let of = |values: [f32; 2]| {
        let data: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        array("'<f4'", "(1, 1, 2)", &data)
    };
    let scales = |arrays: &[Array]| scale(arrays.iter()).map_err(|error| error.to_string());
    assert_eq!(
        scales(&[of([0.0, 1.0]), of([200.0, 3.0])]),
        Ok(Scale::Bytes)
    );
    assert_eq!(scales(&[of([0.0, 1.0]), of([0.25, 0.0])]), Ok(Scale::Unit));
    let odd = scales(&[of([0.0, 0.5]), of([2.0, 0.0])]).expect_err("odd");
    assert!(
        odd.contains("whole from 0 to 255, or all from 0 to 1; 2 is there"),
        "{odd}"
    );
    assert!(scales(&[of([f32::NAN, 0.0])]).is_err());
    let mixed = scales(&[of([0.5, 1.0]), array("'|u1'", "(1, 1, 1)", &[3])]).expect_err("mixed");
    assert!(
        mixed.contains("pixels must be whole") || mixed.contains("save all alike"),
        "{mixed}"
    );
}

#[test]
fn labels_are_whole_numbers_or_texts() {
    let of = |descr: &str, shape: &str, data: &[u8]| labels(&array(descr, shape, data));
    assert_eq!(
        of("'<i4'", "(2,)", &[255, 255, 255, 255, 3, 0, 0, 0]).expect("labels"),
        ["-1", "3"]
    );
    assert_eq!(
        of("'<f4'", "(1, 1)", &7_f32.to_le_bytes()).expect("labels"),
        ["7"]
    );
    assert_eq!(
        of("'|S3'", "(2,)", b"cat\0\0\0").expect("labels"),
        ["cat", ""]
    );
    assert_eq!(
        of("'<U1'", "(1,)", &[0xe9, 0, 0, 0]).expect("labels"),
        ["é"]
    );
    assert!(of("'<f4'", "(1,)", &0.5_f32.to_le_bytes()).is_err());
}

#[test]
fn names_tell_what_an_array_is() {
    for (name, role) in [
        ("x_train", "train images (x_train)"),
        ("test_labels", "test labels (y_test)"),
        ("Y", "labels (y)"),
        ("val_images", "validation images (x_val)"),
    ] {
        assert_eq!(Role::of(name).expect(name).to_string(), role);
    }
    for name in ["", "x_", "weights", "x_train_flat", "_"] {
        assert_eq!(Role::of(name), None);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_an_array_or_an_error(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        header in "[{}'(),:<>|=a-zA-Z0-9_ ]{0,100}",
        shape in prop::collection::vec(0_u64..=u64::MAX, 0..5),
    ) {
        let _ = parse(bytes.clone(), "x");
        let mut start = b"\x93NUMPY\x01\0".to_vec();
        let _ = parse([start.clone(), bytes.clone()].concat(), "x");
        start.extend((header.len() as u16).to_le_bytes());
        let _ = parse([start, header.into_bytes(), bytes.clone()].concat(), "x");
        let shape = format!("({})", shape.iter().map(|n| format!("{n}, ")).collect::<String>());
        let _ = parse(file("'|u1'", "False", &shape, &bytes), "x");
        let _ = unzip(std::io::Cursor::new(&bytes), "x");
    }

    #[test]
    fn any_shape_gives_images_or_an_error(
        shape in prop::collection::vec(0_usize..5, 0..5),
        order in prop::bool::ANY,
    ) {
        let count = shape.iter().product();
        let text = format!("({})", shape.iter().map(|n| format!("{n}, ")).collect::<String>());
        let order = if order { "True" } else { "False" };
        let array = parse(file("'|u1'", order, &text, &vec![9; count]), "x").expect("an array");
        let _ = labels(&array);
        if let Ok(images) = block(array, Scale::Bytes, None) {
            prop_assert_eq!(images.block.pixels.len(), count);
        }
    }
}
