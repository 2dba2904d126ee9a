//! Links with average pooling.
//!
//! A window of n values m + d has the mean q + mean(d), and of all d with one mean the constant one is
//! shortest. So with q = mean(m) the update is that of one value t, at the penalty n beta:
//! `argmin_t gamma (a - h(t))^2 + n beta (t - q)^2`, and all of the window move by t - q.

use super::linear::Pieces;
use super::pointwise::{LANES, Scalar};
use super::{Function, PoolPenalty, PoolResidual, Windows};
use multiversion::multiversion;

/// Sums over its positions, all channels of the window at `corner`: of h and of its prox alike, so that what
/// did not move has no correction.
#[inline(always)]
fn add_up(windows: &Windows, z: &[f32], corner: usize, sums: &mut [f32]) {
    sums.fill(0.0);
    for at in windows.members() {
        for (sum, z) in sums.iter_mut().zip(&z[corner + at..]) {
            *sum += z;
        }
    }
}

/// a = h(z) of one sample.
pub(super) fn apply(function: &Function, windows: &Windows, z: &[f32], a: &mut [f32]) {
    means(windows, z, a);
    match function {
        Function::Linear(pieces) => a.iter_mut().for_each(|a| *a = pieces.at(*a)),
        Function::Staircase(staircase) => a.iter_mut().for_each(|a| *a = staircase.at(*a)),
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
fn means(windows: &Windows, z: &[f32], a: &mut [f32]) {
    let count = windows.len() as f32;
    let outputs = a.chunks_exact_mut(windows.conv.channels);
    for (a, corner) in outputs.zip(windows.corners()) {
        add_up(windows, z, corner, a);
        a.iter_mut().for_each(|a| *a /= count);
    }
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
    let count = windows.len() as f32;
    let of_mean = PoolPenalty {
        gamma: penalty.gamma,
        beta: count * penalty.beta,
    };
    match function {
        Function::Linear(pieces) => linear_prox(*pieces, windows, of_mean, m, a, dz),
        Function::Staircase(staircase) => by_channels(windows, m, a, dz, |mean, a| {
            let mut d = [0.0];
            let misfit = staircase.window_prox(of_mean, &[mean], a, &mut d);
            (d[0], misfit)
        }),
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
fn linear_prox(
    pieces: Pieces,
    windows: &Windows,
    of_mean: PoolPenalty,
    m: &[f32],
    a: &[f32],
    dz: &mut [f32],
) -> PoolResidual {
    let one = Scalar::new(pieces, of_mean);
    by_channels(windows, m, a, dz, |mean, a| one.prox(mean, a))
}

/// All windows, where `prox` says how far one with a mean and a target moves, and what is left of a - h.
#[inline(always)]
fn by_channels(
    windows: &Windows,
    m: &[f32],
    a: &[f32],
    dz: &mut [f32],
    prox: impl Fn(f32, f32) -> (f32, f32),
) -> PoolResidual {
    let (channels, count) = (windows.conv.channels, windows.len() as f32);
    let (mut activation, mut output) = ([0.0f32; LANES], [0.0f32; LANES]);
    for (a, corner) in a.chunks_exact(channels).zip(windows.corners()) {
        let moves = &mut dz[corner..][..channels];
        add_up(windows, m, corner, moves);
        for (moves, a) in moves.chunks_mut(LANES).zip(a.chunks(LANES)) {
            let sums = activation.iter_mut().zip(&mut output);
            for ((d, a), (activation, output)) in moves.iter_mut().zip(a).zip(sums) {
                let (by, misfit) = prox(*d / count, *a);
                *d = by;
                *activation += misfit * misfit;
                *output += count * by * by;
            }
        }
        for at in windows.members().skip(1) {
            dz.copy_within(corner..corner + channels, corner + at);
        }
    }
    PoolResidual {
        activation: activation.into_iter().map(f64::from).sum(),
        output: output.into_iter().map(f64::from).sum(),
    }
}
