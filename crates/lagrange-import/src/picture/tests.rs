//! Decoding, sizes and channels.

use super::*;
use image::{ImageBuffer, ImageFormat, Luma, LumaA, Pixel, Rgb, Rgba};
use proptest::prelude::*;

fn encoded<P>(width: u32, height: u32, pixels: Vec<P::Subpixel>, format: ImageFormat) -> Vec<u8>
where
    P: Pixel + image::PixelWithColorType,
    [P::Subpixel]: image::EncodableLayout,
{
    let image: ImageBuffer<P, _> = ImageBuffer::from_raw(width, height, pixels).expect("a picture");
    let mut file = Cursor::new(Vec::new());
    image.write_to(&mut file, format).expect("memory");
    file.into_inner()
}

fn jpeg() -> Vec<u8> {
    let pixels = (0..40 * 30 * 3).map(|n| (n * 7 % 251) as u8).collect();
    encoded::<Rgb<u8>>(40, 30, pixels, ImageFormat::Jpeg)
}

fn channels(file: &[u8]) -> (usize, Vec<u8>) {
    let pixels = decode(file).expect("a picture");
    (pixels.channels, pixels.bytes.into_owned())
}

#[test]
fn of_sixteen_bits_the_high_byte_counts_and_transparency_is_over_black() {
    let png = ImageFormat::Png;
    let grey = encoded::<Luma<u16>>(2, 1, vec![0x12ff, 0xff00], png);
    assert_eq!(channels(&grey), (1, vec![0x12, 0xff]));
    let colour = encoded::<Rgb<u16>>(1, 1, vec![0x0180, 0x7fff, 0xffff], png);
    assert_eq!(channels(&colour), (3, vec![1, 0x7f, 0xff]));
    let clear = encoded::<LumaA<u8>>(3, 1, vec![200, 255, 200, 0, 200, 128], png);
    assert_eq!(channels(&clear), (1, vec![200, 0, 100]));
    let clear = encoded::<Rgba<u8>>(1, 1, vec![255, 100, 0, 128], png);
    assert_eq!(channels(&clear), (3, vec![128, 50, 0]));
    let clear = encoded::<Rgba<u16>>(1, 1, vec![0xffff, 0x8000, 0, 0x8000], png);
    assert_eq!(channels(&clear), (3, vec![0x80, 0x40, 0]));
}

#[test]
fn a_picture_is_known_by_its_content() {
    let pixels = decode(&jpeg()).expect("a picture");
    assert_eq!((pixels.height, pixels.width, pixels.channels), (30, 40, 3));
    for (file, fault) in [
        (&b""[..], "it is empty"),
        (b"hello", "it is not a picture"),
        (b"RIFF\0\0\0\0WEBPVP8 ", ""),
    ] {
        assert!(decode(file).expect_err("no picture").contains(fault));
    }
}

#[test]
fn pictures_that_are_cut_off_are_faults() {
    let grey = encoded::<Luma<u8>>(
        50,
        50,
        (0..2500).map(|n| (n * n % 256) as u8).collect(),
        ImageFormat::Png,
    );
    // The last 12 bytes of a PNG are its end marker, without which it is whole for its decoder.
    for length in 0..grey.len() - 16 {
        assert!(decode(&grey[..length]).is_err(), "{length}");
    }
    let photo = jpeg();
    for length in 0..photo.len() {
        assert!(decode(&photo[..length]).is_err(), "{length}");
    }
    // What follows the picture does no harm.
    assert!(decode(&[photo, vec![0; 9]].concat()).is_ok());
}

#[test]
fn the_end_of_a_preview_is_not_the_end_of_a_photo() {
    let photo = jpeg();
    let preview = [&b"\xff\xe1\x00\x0aExif"[..], b"\xff\xd8\xff\xd9"].concat();
    let mut with = [&photo[..2], &preview, &photo[2..]].concat();
    assert!(jpeg::is_whole(&with));
    with.truncate(with.len() - 2);
    assert!(!jpeg::is_whole(&with));
}

#[test]
fn bombs_are_refused_before_they_are_decoded() {
    let mut small = encoded::<Luma<u8>>(1, 1, vec![0], ImageFormat::Png);
    // Width and height follow the signature, and length and kind of the first chunk.
    small[16..24].copy_from_slice(&[0, 0, 0x80, 0, 0, 0, 0x80, 0]);
    let mut sum: u32 = 0xffff_ffff;
    for &byte in &small[12..29] {
        sum ^= u32::from(byte);
        for _ in 0..8 {
            sum = (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg());
        }
    }
    small[29..33].copy_from_slice(&(!sum).to_be_bytes());
    let fault = decode(&small).expect_err("too large");
    assert!(
        fault.contains("32768x32768 is more than 64 megapixels"),
        "{fault}"
    );
}

#[test]
fn a_picture_is_resized_to_cover_the_size_and_its_centre_taken() {
    let wide = Pixels {
        height: 2,
        width: 6,
        channels: 1,
        bytes: Cow::from(vec![0, 0, 90, 90, 200, 200, 0, 0, 90, 90, 200, 200]),
    };
    let centre = fit(wide.clone(), 2, 2).expect("fits");
    assert_eq!(*centre.bytes, [90; 4]);
    let small = fit(wide, 1, 3).expect("fits");
    assert_eq!((small.height, small.width, small.bytes.len()), (1, 3, 3));
    let thin = Pixels {
        height: 1,
        width: 60_000,
        channels: 1,
        bytes: Cow::from(vec![7; 60_000]),
    };
    assert!(
        fit(thin, 100, 100)
            .expect_err("too long")
            .contains("1x60000 is too long and thin")
    );
}

#[cfg(feature = "more-formats")]
#[test]
fn more_formats_are_read() {
    for format in [
        ImageFormat::Bmp,
        ImageFormat::Gif,
        ImageFormat::WebP,
        ImageFormat::Tiff,
    ] {
        let file = encoded::<Rgb<u8>>(2, 1, vec![255, 0, 0, 0, 0, 255], format);
        assert_eq!(
            channels(&file),
            (3, vec![255, 0, 0, 0, 0, 255]),
            "{format:?}"
        );
    }
    assert_eq!(channels(b"P2 2 1 255 7 8"), (1, vec![7, 8]));
}

#[test]
fn grey_is_repeated_and_colour_weighed() {
    assert_eq!(
        *with_channels(Cow::from(vec![1, 2]), 1, 3),
        [1, 1, 1, 2, 2, 2]
    );
    let colours = vec![255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9];
    assert_eq!(*with_channels(Cow::from(colours), 3, 1), [54, 182, 18, 9]);
}

proptest! {
    #[test]
    fn any_bytes_are_a_picture_or_a_fault(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        change in (0_usize..600, any::<u8>()),
    ) {
        let _ = decode(&bytes);
        let _ = decode(&[b"\xff\xd8\xff", bytes.as_slice()].concat());
        let mut photo = jpeg();
        let at = change.0 % photo.len();
        photo[at] = change.1;
        let _ = decode(&photo);
    }

    #[test]
    fn every_size_is_reached(own in (1_usize..40, 1_usize..40), wanted in (1_usize..40, 1_usize..40)) {
        let pixels = Pixels {
            height: own.0,
            width: own.1,
            channels: 3,
            bytes: Cow::from(vec![77; own.0 * own.1 * 3]),
        };
        let fitted = fit(pixels, wanted.0, wanted.1).expect("fits");
        prop_assert_eq!(&*fitted.bytes, &vec![77; wanted.0 * wanted.1 * 3][..]);
    }
}
