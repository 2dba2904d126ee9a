//! Kernels and images as PNG files within the page.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lagrange::Picture;

/// A picture as an address that holds it; none where it is no picture.
pub(crate) fn address(picture: &Picture) -> Option<String> {
    let png = picture.png()?;
    Some(format!("data:image/png;base64,{}", STANDARD.encode(png)))
}
