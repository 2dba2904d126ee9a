//! The set: three classes of noise, four training and two test pictures of each.

use lagrange_import::Split;

pub const SIDE: usize = 32;
pub const CLASSES: u16 = 3;

pub struct Sample {
    pub class: u16,
    /// Channels last.
    pub pixels: Vec<u8>,
}

pub fn samples(split: Split) -> Vec<Sample> {
    let (count, seed) = match split {
        Split::Train => (4, 1_u32),
        _ => (2, 2),
    };
    let of_class = |class: u16| (0..count).map(move |number| (class, number));
    (0..CLASSES)
        .flat_map(of_class)
        .map(|(class, number)| Sample {
            class,
            pixels: noise(seed * 100 + u32::from(class) * 10 + number),
        })
        .collect()
}

pub fn both() -> [(&'static str, Vec<Sample>); 2] {
    [
        ("train", samples(Split::Train)),
        ("test", samples(Split::Test)),
    ]
}

fn noise(seed: u32) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..SIDE * SIDE * 3).map(|_| next()).collect()
}

/// Channels one after the other.
pub fn planes(pixels: &[u8]) -> Vec<u8> {
    let plane = |channel| pixels.iter().skip(channel).step_by(3).copied();
    (0..3).flat_map(plane).collect()
}

pub fn png(pixels: &[u8]) -> Vec<u8> {
    let side = SIDE as u32;
    let image = image::RgbImage::from_raw(side, side, pixels.to_vec()).expect("a picture");
    let mut bytes = std::io::Cursor::new(Vec::new());
    image
        .write_to(&mut bytes, image::ImageFormat::Png)
        .expect("memory");
    bytes.into_inner()
}
