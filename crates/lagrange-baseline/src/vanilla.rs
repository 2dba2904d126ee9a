//! The small network of plain back-propagation.

use lagrange_core::network::{NetworkSpec, Padding, StageSpec};

/// The two-layer network of the first report: one hidden stage of 16 kernels of 5x5, and the last stage.
#[must_use]
pub fn vanilla_network() -> NetworkSpec {
    NetworkSpec::of_stages(&[StageSpec {
        kernel: 5,
        channels: 16,
        padding: Padding::Valid,
    }])
}
