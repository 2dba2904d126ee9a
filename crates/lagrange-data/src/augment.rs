//! Augmentation: small random affine maps of training images, drawn anew for every sample of every step.

use crate::Normalisation;
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
///
/// ```
/// use lagrange_core::random::{Purpose, stream};
/// use lagrange_data::{Augment, Normalisation};
///
/// let augment = Augment { shift: 1.0, ..Augment::default() };
/// assert!(!augment.is_none() && augment.fault().is_none());
/// let (image, mut inputs) = ([255; 9], [0.0; 9]);
/// let mut random = stream(1, Purpose::Augment, 0, 0);
/// augment.apply(&mut random, (&image, 3), Normalisation::MNIST, &mut inputs);
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
        ]
        .into_iter()
        .find(|(_, value, range, _)| !range.contains(value))
        .map(|(field, value, _, range)| (field, value, range))
    }

    /// Writes a randomly moved copy of the square image `pixels`, `[side, side]`, to `inputs`,
    /// `[side, side]`, normalised.
    ///
    /// Each output pixel is the bilinear interpolation of the image at its preimage; pixels outside it are
    /// black.
    ///
    /// # Panics
    /// If a length is not that of the image.
    pub fn apply(
        &self,
        random: &mut ChaCha8Rng,
        (pixels, side): (&[u8], usize),
        normalisation: Normalisation,
        inputs: &mut [f32],
    ) {
        assert_eq!(pixels.len(), side * side, "a square image");
        assert_eq!(inputs.len(), pixels.len(), "one input per pixel");
        let mut draw = |reach: f32| random.random_range(-1.0f32..=1.0) * reach;
        let (dx, dy) = (draw(self.shift), draw(self.shift));
        let angle = draw(self.rotate).to_radians();
        let zoom = 1.0 / (1.0 + draw(self.scale));
        let (sin, cos) = (zoom * angle.sin(), zoom * angle.cos());
        let centre = (side as f32 - 1.0) / 2.0;
        for (row, line) in inputs.chunks_exact_mut(side).enumerate() {
            let v = row as f32 - centre - dy;
            for (column, input) in line.iter_mut().enumerate() {
                let u = column as f32 - centre - dx;
                let x = cos * u + sin * v + centre;
                let y = cos * v - sin * u + centre;
                *input = normalisation.input(sample(pixels, side, x, y));
            }
        }
    }
}

/// Interpolated value of the image at (x, y); black outside.
fn sample(pixels: &[u8], side: usize, x: f32, y: f32) -> f32 {
    let (left, top) = (x.floor(), y.floor());
    let (fx, fy) = (x - left, y - top);
    let at = |dx: i32, dy: i32| {
        let (column, row) = (left as i32 + dx, top as i32 + dy);
        let inside = |value: i32| (0..side as i32).contains(&value);
        if inside(column) && inside(row) {
            f32::from(pixels[row as usize * side + column as usize])
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

    fn normalisation() -> Normalisation {
        Normalisation::new(0.25, 0.5).expect("sound")
    }

    fn image() -> Vec<u8> {
        (0..SIDE * SIDE).map(|i| (i * 37 % 251) as u8).collect()
    }

    fn moved(augment: Augment, pixels: &[u8]) -> Vec<f32> {
        let mut inputs = vec![f32::NAN; pixels.len()];
        let mut random = stream(3, Purpose::Augment, 0, 0);
        augment.apply(&mut random, (pixels, SIDE), normalisation(), &mut inputs);
        inputs
    }

    #[test]
    fn no_movement_is_plain_normalisation() {
        let pixels = image();
        let mut plain = vec![0.0; pixels.len()];
        Normaliser::new(normalisation()).apply(&pixels, &mut plain);
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
        let black = normalisation().input(0.0);
        let inputs = moved(augment, &pixels);
        let ink: f32 = inputs.iter().map(|v| v - black).sum();
        assert!(
            (ink - (normalisation().input(255.0) - black)).abs() < 1e-3,
            "{ink}"
        );
        for (index, &value) in inputs.iter().enumerate() {
            let far = |at: usize| at.abs_diff(4) > 3;
            assert!(!(far(index % SIDE) || far(index / SIDE)) || value == black);
        }
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
