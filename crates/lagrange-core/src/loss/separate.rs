//! Losses that are sums over outputs: each output has its own prox.

use super::{Loss, OutputUpdate};

/// The loss of one output; the squared hinge for the losses that only several outputs have.
pub(super) fn value(loss: Loss, z: f32, y: f32) -> f32 {
    let gap = (1.0 - y * z).max(0.0);
    match loss {
        Loss::Squared => (z - y) * (z - y),
        Loss::Hinge => gap,
        _ => gap * gap,
    }
}

/// The minimiser of `w loss(z, y) + beta (z - m)^2`.
///
/// Each loss is convex, so the piece whose stationary point lies inside the piece holds the minimum, and for
/// the hinge, where neither piece contains its stationary point, the kink y z = 1 is the minimum.
pub(super) fn prox(loss: Loss, m: f32, y: f32, update: &OutputUpdate<'_>) -> f32 {
    let OutputUpdate { beta, weight, .. } = *update;
    let fitted = (weight * y + beta * m) / (weight + beta);
    match loss {
        Loss::Squared => fitted,
        _ if y * m >= 1.0 => m,
        Loss::Hinge => y * (y * m + 0.5 * weight / beta).min(1.0),
        _ => fitted,
    }
}
