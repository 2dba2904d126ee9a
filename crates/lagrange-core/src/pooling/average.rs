//! Links with average pooling.
//!
//! A window of n values m + d has the mean q + mean(d), and of all d with one mean the constant one is
//! shortest. So with q = mean(m) the update is that of one value t, at the penalty n beta:
//! `argmin_t gamma (a - h(t))^2 + n beta (t - q)^2`, and all of the window move by t - q.

use super::{Function, PoolPenalty, PoolResidual, Windows};

/// The mean of one channel's window: of h and of its prox alike, so that what did not move has no correction.
#[inline(always)]
fn mean(windows: &Windows, z: &[f32], from: usize) -> f32 {
    let sum: f32 = windows.members().map(|at| z[from + at]).sum();
    sum / windows.len() as f32
}

/// a = h(z) of one sample.
pub(super) fn apply(function: &Function, windows: &Windows, z: &[f32], a: &mut [f32]) {
    windows.fill(a, |from| function.at(mean(windows, z, from)));
}

/// The output update of one sample: see [`super::Pooling::prox`].
pub(super) fn prox(
    function: &Function,
    windows: &Windows,
    penalty: PoolPenalty,
    m: &[f32],
    a: &[f32],
    dz: &mut [f32],
) -> PoolResidual {
    let (channels, count) = (windows.conv.channels, windows.len() as f32);
    let of_mean = PoolPenalty {
        gamma: penalty.gamma,
        beta: count * penalty.beta,
    };
    let mut residual = PoolResidual::default();
    for (a, corner) in a.chunks_exact(channels).zip(windows.corners()) {
        for (channel, &a) in a.iter().enumerate() {
            let from = corner + channel;
            let mut d = [0.0];
            let misfit = function.window_prox(of_mean, &[mean(windows, m, from)], a, &mut d);
            for at in windows.members() {
                dz[from + at] = d[0];
            }
            residual.output += f64::from(count * d[0] * d[0]);
            residual.activation += f64::from(misfit * misfit);
        }
    }
    residual
}
