//! Kernels and images as PNG files within the page.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lagrange::{Model, Picture, kernel_pictures};

/// A picture as an address that holds it; none where it is no picture.
pub(crate) fn address(picture: &Picture) -> Option<String> {
    let png = picture.png()?;
    Some(format!("data:image/png;base64,{}", STANDARD.encode(png)))
}

/// The kernels of the first stage, each as the address of a picture that it holds. None where kernels have no
/// picture, of two input channels.
#[must_use]
pub fn kernel_addresses(model: &Model) -> Vec<String> {
    let kernels = kernel_pictures(&model.network, &model.weights);
    kernels.iter().filter_map(address).collect()
}
