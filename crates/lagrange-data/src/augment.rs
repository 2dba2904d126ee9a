//! Augmentation: small random affine maps of training images, drawn anew for every sample of every step.

use crate::Normalisation;
use lagrange_core::network::Shape;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Largest random movements of training images. All zero, the default, switches augmentation off.
///
/// | name | default | purpose | range |
/// |---|---|---|---|
/// | `shift` | 0 | largest displacement along each axis, in pixels | 0..=side |
/// | `rotate` | 0 | largest rotation about the centre, in degrees | 0..=180 |
/// | `scale` | 0 | largest relative change of size | 0..1 |
/// | `flip` | 0 | probability of mirroring left to right | 0..=1 |
/// | `crop` | 0 | pixels of black around the image, of which a window of its size is cut | 0..=4096 |
///
/// A crop moves an image by whole pixels, as `RandomCrop(size, padding)` of torchvision does; a shift
/// interpolates between them.
///
/// ```
/// use lagrange_core::{network::Shape, random::{Purpose, stream}};
/// use lagrange_data::{Augment, Normalisation};
///
/// let augment = Augment { shift: 1.0, ..Augment::default() };
/// assert!(!augment.is_none() && augment.fault().is_none());
/// let shape = Shape { height: 3, width: 3, channels: 1 };
/// let (image, mut inputs) = ([255; 9], [0.0; 9]);
/// let mut random = stream(1, Purpose::Augment, 0, 0);
/// augment.apply(&mut random, (&image, shape), &Normalisation::MNIST, &mut inputs);
/// // The centre stays white however the image moves.
/// assert!((inputs[4] - 2.8215).abs() < 1e-3);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Augment {
    /// Largest displacement along each axis, in pixels.
    pub shift: f32,
    /// Largest rotation, in degrees.
    pub rotate: f32,
    /// Largest relative change of size.
    pub scale: f32,
    /// Probability of mirroring left to right.
    pub flip: f32,
    /// Pixels of black around the image, of which a window of its size is cut.
    pub crop: u16,
}

impl Augment {
    /// Whether augmentation is off.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The first field outside its range, with its value and the range.
    #[must_use]
    pub fn fault(&self) -> Option<(&'static str, f32, &'static str)> {
        [
            ("augment.shift", self.shift, 0.0..=4096.0, "0 to 4096"),
            ("augment.rotate", self.rotate, 0.0..=180.0, "0 to 180"),
            ("augment.scale", self.scale, 0.0..=0.9, "0 to 0.9"),
            ("augment.flip", self.flip, 0.0..=1.0, "0 to 1"),
            ("augment.crop", self.crop.into(), 0.0..=4096.0, "0 to 4096"),
        ]
        .into_iter()
        .find(|(_, value, range, _)| !range.contains(value))
        .map(|(field, value, _, range)| (field, value, range))
    }

    /// Writes a randomly moved copy of the image `pixels`, `[height, width, channels]`, to `inputs` of the
    /// same shape, normalised.
    ///
    /// Each output pixel is the bilinear interpolation of the image at its preimage; pixels outside it are
    /// black.
    ///
    /// # Panics
    /// If a length is not that of the shape, or the normalisation has fewer channels.
    pub fn apply(
        &self,
        random: &mut ChaCha8Rng,
        (pixels, shape): (&[u8], Shape),
        normalisation: &Normalisation,
        inputs: &mut [f32],
    ) {
        assert_eq!(pixels.len(), shape.len(), "an image of the shape");
        assert_eq!(inputs.len(), pixels.len(), "one input per value");
        let mut draw = |reach: f32| random.random_range(-1.0f32..=1.0) * reach;
        let (dx, dy) = (draw(self.shift), draw(self.shift));
        let angle = draw(self.rotate).to_radians();
        let zoom = 1.0 / (1.0 + draw(self.scale));
        // Drawn only where it is asked for: the draws of runs without it stay what they are.
        let mirrored = self.flip > 0.0 && random.random_range(0.0f32..1.0) < self.flip;
        let mut cut = || match i32::from(self.crop) {
            0 => 0.0,
            most => random.random_range(-most..=most) as f32,
        };
        let (dx, dy) = (dx + cut(), dy + cut());
        let (sin, cos) = (zoom * angle.sin(), zoom * angle.cos());
        let last = (shape.width as f32 - 1.0, shape.height as f32 - 1.0);
        let (centre_x, centre_y) = (last.0 / 2.0, last.1 / 2.0);
        let (width, channels) = (shape.width, shape.channels);
        for (row, line) in inputs.chunks_exact_mut(width * channels).enumerate() {
            let v = row as f32 - centre_y - dy;
            for (column, values) in line.chunks_exact_mut(channels).enumerate() {
                let u = column as f32 - centre_x - dx;
                let x = cos * u + sin * v + centre_x;
                let y = cos * v - sin * u + centre_y;
                let x = if mirrored { last.0 - x } else { x };
                for (channel, input) in values.iter_mut().enumerate() {
                    let value = sample((pixels, shape), channel, x, y);
                    *input = normalisation.input(channel, value);
                }
            }
        }
    }
}

/// Interpolated value of one channel of the image at (x, y); black outside.
fn sample((pixels, shape): (&[u8], Shape), channel: usize, x: f32, y: f32) -> f32 {
    let (left, top) = (x.floor(), y.floor());
    let (fx, fy) = (x - left, y - top);
    let at = |dx: i32, dy: i32| {
        let (column, row) = (left as i32 + dx, top as i32 + dy);
        let inside = |value: i32, length: usize| (0..length as i32).contains(&value);
        if inside(column, shape.width) && inside(row, shape.height) {
            let pixel = row as usize * shape.width + column as usize;
            f32::from(pixels[pixel * shape.channels + channel])
        } else {
            0.0
        }
    };
    let upper = at(0, 0) * (1.0 - fx) + at(1, 0) * fx;
    let lower = at(0, 1) * (1.0 - fx) + at(1, 1) * fx;
    upper * (1.0 - fy) + lower * fy
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Normaliser;
    use lagrange_core::random::{Purpose, stream};

    const SIDE: usize = 9;
    const SHAPE: Shape = Shape {
        height: SIDE,
        width: SIDE,
        channels: 1,
    };

    fn normalisation() -> Normalisation {
        Normalisation::new(0.25, 0.5).expect("sound")
    }

    fn image() -> Vec<u8> {
        (0..SIDE * SIDE).map(|i| (i * 37 % 251) as u8).collect()
    }

    fn moved(augment: Augment, pixels: &[u8]) -> Vec<f32> {
        let mut inputs = vec![f32::NAN; pixels.len()];
        let mut random = stream(3, Purpose::Augment, 0, 0);
        augment.apply(&mut random, (pixels, SHAPE), &normalisation(), &mut inputs);
        inputs
    }

    #[test]
    fn no_movement_is_plain_normalisation() {
        let pixels = image();
        let mut plain = vec![0.0; pixels.len()];
        Normaliser::new(&normalisation()).apply(&pixels, &mut plain);
        for (moved, plain) in moved(Augment::default(), &pixels).iter().zip(&plain) {
            assert!((moved - plain).abs() < 1e-5, "{moved} {plain}");
        }
    }

    #[test]
    fn movement_stays_within_its_reach_and_keeps_the_ink() {
        let mut pixels = vec![0u8; SIDE * SIDE];
        pixels[4 * SIDE + 4] = 255;
        let augment = Augment {
            shift: 2.0,
            ..Augment::default()
        };
        let black = normalisation().input(0, 0.0);
        let inputs = moved(augment, &pixels);
        let ink: f32 = inputs.iter().map(|v| v - black).sum();
        assert!(
            (ink - (normalisation().input(0, 255.0) - black)).abs() < 1e-3,
            "{ink}"
        );
        for (index, &value) in inputs.iter().enumerate() {
            let far = |at: usize| at.abs_diff(4) > 3;
            assert!(!(far(index % SIDE) || far(index / SIDE)) || value == black);
        }
    }

    #[test]
    fn a_flip_mirrors_every_channel_left_to_right() {
        let shape = Shape {
            height: 2,
            width: 3,
            channels: 3,
        };
        let pixels: Vec<u8> = (0..18).map(|value| 10 * value).collect();
        let colour = Normalisation::per_channel(&[0.1, 0.2, 0.3], &[0.5, 0.6, 0.7]);
        let colour = colour.expect("sound");
        let mut plain = vec![0.0; pixels.len()];
        Normaliser::new(&colour).apply(&pixels, &mut plain);
        let moved = |flip| {
            let augment = Augment {
                flip,
                ..Augment::default()
            };
            let mut inputs = vec![f32::NAN; pixels.len()];
            let mut random = stream(3, Purpose::Augment, 0, 0);
            augment.apply(&mut random, (&pixels, shape), &colour, &mut inputs);
            inputs
        };
        let near = |found: f32, expected: f32| (found - expected).abs() < 1e-5;
        let (same, mirrored) = (moved(0.0), moved(1.0));
        for (pixel, channel) in (0..6).flat_map(|pixel| (0..3).map(move |c| (pixel, c))) {
            let other = pixel / 3 * 3 + (2 - pixel % 3);
            assert!(near(same[3 * pixel + channel], plain[3 * pixel + channel]));
            assert!(near(
                mirrored[3 * pixel + channel],
                plain[3 * other + channel]
            ));
        }
    }

    #[test]
    fn a_crop_moves_by_whole_pixels() {
        let augment = Augment {
            crop: 1,
            ..Augment::default()
        };
        let (image, normalisation) = (image(), normalisation());
        let side = SIDE as i32;
        let shifted = |dy: i32, dx: i32| -> Vec<f32> {
            let places = (0..side).flat_map(|y| (0..side).map(move |x| (y - dy, x - dx)));
            let inside = |at: i32| (0..side).contains(&at);
            let pixel = |(y, x): (i32, i32)| match inside(y) && inside(x) {
                true => f32::from(image[(y * side + x) as usize]),
                false => 0.0,
            };
            places
                .map(|place| normalisation.input(0, pixel(place)))
                .collect()
        };
        let offsets: Vec<_> = (-1..=1)
            .flat_map(|dy| (-1..=1).map(move |dx| (dy, dx)))
            .collect();
        let mut seen = std::collections::BTreeSet::new();
        let mut random = stream(3, Purpose::Augment, 0, 0);
        for _ in 0..100 {
            let mut inputs = vec![f32::NAN; image.len()];
            augment.apply(&mut random, (&image, SHAPE), &normalisation, &mut inputs);
            let near = |(dy, dx): &&(i32, i32)| {
                let expected = shifted(*dy, *dx);
                inputs
                    .iter()
                    .zip(&expected)
                    .all(|(a, b)| (a - b).abs() < 1e-5)
            };
            seen.insert(*offsets.iter().find(near).expect("one of nine places"));
        }
        assert_eq!(seen.len(), offsets.len());
    }

    /// Grey is colour with three equal channels, and draws do not depend on the shape.
    #[test]
    fn channels_move_together() {
        let augment = Augment {
            shift: 2.0,
            rotate: 30.0,
            scale: 0.2,
            ..Augment::default()
        };
        let (grey, shape) = (
            image(),
            Shape {
                channels: 3,
                ..SHAPE
            },
        );
        let pixels: Vec<u8> = grey.iter().flat_map(|&value| [value; 3]).collect();
        let colour = Normalisation::per_channel(&[0.25; 3], &[0.5; 3]).expect("sound");
        let mut inputs = vec![f32::NAN; pixels.len()];
        let mut random = stream(3, Purpose::Augment, 0, 0);
        augment.apply(&mut random, (&pixels, shape), &colour, &mut inputs);
        let expected: Vec<f32> = moved(augment, &grey).iter().flat_map(|&v| [v; 3]).collect();
        assert_eq!(inputs, expected);
    }

    #[test]
    fn a_fault_is_named() {
        let augment = Augment {
            rotate: f32::NAN,
            ..Augment::default()
        };
        assert_eq!(augment.fault().map(|f| f.0), Some("augment.rotate"));
        assert_eq!(Augment::default().fault(), None);
    }
}
