//! Images: bytes of one shape, grey or in colour.

use lagrange_core::network::Shape;

/// Images of one shape, one byte per channel of every pixel.
///
/// ```
/// use lagrange_data::Images;
///
/// // Two colour images of 1x2 pixels.
/// let images = Images { height: 1, width: 2, channels: 3, pixels: (0..12).collect() };
/// assert_eq!((images.len(), images.image(1)), (2, [6, 7, 8, 9, 10, 11].as_slice()));
/// assert_eq!(images.shape().len(), 6);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
    /// Channels: 1 for grey images, 3 for red, green and blue.
    pub channels: usize,
    /// `[n, height, width, channels]`, row-major.
    pub pixels: Vec<u8>,
}

impl Images {
    /// Shape of one image.
    #[must_use]
    pub fn shape(&self) -> Shape {
        Shape {
            height: self.height,
            width: self.width,
            channels: self.channels,
        }
    }

    /// Number of whole images.
    #[must_use]
    pub fn len(&self) -> usize {
        let images = self.pixels.len().checked_div(self.shape().len());
        images.unwrap_or_default()
    }

    /// Whether there is no image.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of one image, `[height, width, channels]`.
    ///
    /// # Panics
    /// If there is no image `index`.
    #[must_use]
    pub fn image(&self, index: usize) -> &[u8] {
        let length = self.shape().len();
        &self.pixels[index * length..][..length]
    }
}
