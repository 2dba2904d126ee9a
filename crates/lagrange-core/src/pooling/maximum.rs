//! Links with max-pooling, or with none, one window of one channel at a time.

use super::linear::MOST;
use super::{Function, PoolPenalty, PoolResidual, Windows};

/// a = h(z) of one sample.
pub(super) fn apply(function: &Function, windows: &Windows, z: &[f32], a: &mut [f32]) {
    windows.fill(a, |from| {
        let values = windows.members().map(|at| z[from + at]);
        function.at(values.fold(f32::NEG_INFINITY, f32::max))
    });
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
    let (channels, length) = (windows.conv.channels, windows.len());
    let (mut values, mut moves) = ([0.0; MOST], [0.0; MOST]);
    let (values, moves) = (&mut values[..length], &mut moves[..length]);
    let mut residual = PoolResidual::default();
    for (a, corner) in a.chunks_exact(channels).zip(windows.corners()) {
        for (channel, &a) in a.iter().enumerate() {
            for (value, at) in values.iter_mut().zip(windows.members()) {
                *value = m[corner + at + channel];
            }
            let misfit = function.window_prox(penalty, values, a, moves);
            for (d, at) in moves.iter().zip(windows.members()) {
                dz[corner + at + channel] = *d;
                residual.output += f64::from(d * d);
            }
            residual.activation += f64::from(misfit * misfit);
        }
    }
    residual
}
