//! h(z) = relu(maxpool2x2(z)) and its exact prox.
//!
//! Channels-last storage makes one 2x2 window of all channels four contiguous runs of C values: every
//! function here walks windows and does the same branch-free arithmetic in each channel.

use super::{PoolPenalty, PoolResidual, window};
use crate::network::Shape;
use multiversion::multiversion;

#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

#[inline(always)]
fn smaller(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

/// a = h(z) of one sample; see [`super::Pooling::apply`].
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
pub(super) fn relu_maxpool(conv: Shape, z: &[f32], a: &mut [f32]) {
    let (columns, channels) = (conv.width / 2, conv.channels);
    for (index, a) in a.chunks_exact_mut(channels).enumerate() {
        let [p, q, r, s] =
            window(conv, index / columns, index % columns).map(|start| &z[start..start + channels]);
        for c in 0..channels {
            a[c] = larger(larger(larger(p[c], q[c]), larger(r[c], s[c])), 0.0);
        }
    }
}

/// The hidden output update of one sample, exact in every window:
/// `argmin_z gamma (a - relu(max z))^2 + beta |z - m|^2`, written as the correction z - m; see [`super::Pooling::prox`].
///
/// With m sorted s1 >= .. >= s4, the non-negative branch clips every entry above a level t to t, where t is the first
/// `(gamma a + beta (s1 + .. + sr)) / (gamma + r beta)` that is at least s_{r+1}, not below 0; a level above s1 raises only the
/// largest entry. The zero branch clips to 0. The cheaper branch wins.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
pub(super) fn prox(
    conv: Shape,
    penalty: PoolPenalty,
    m: &[f32],
    a: &[f32],
    dz: &mut [f32],
) -> PoolResidual {
    let (rows, columns, channels) = (conv.height / 2, conv.width / 2, conv.channels);
    let (mut activation, mut output) = ([0.0f32; LANES], [0.0f32; LANES]);
    for row in 0..rows {
        let band = 2 * row * conv.width * channels;
        let (upper, lower) =
            dz[band..band + 2 * conv.width * channels].split_at_mut(conv.width * channels);
        for column in 0..columns {
            let [p, q, r, s] = window(conv, row, column).map(|start| &m[start..start + channels]);
            let a = &a[(row * columns + column) * channels..][..channels];
            let start = 2 * column * channels;
            let (dp, dq) = upper[start..start + 2 * channels].split_at_mut(channels);
            let (dr, ds) = lower[start..start + 2 * channels].split_at_mut(channels);
            for start in (0..channels).step_by(LANES) {
                let lanes = start..channels.min(start + LANES);
                let m = [p, q, r, s].map(|m| &m[lanes.clone()]);
                let a = &a[lanes.clone()];
                let dz = [
                    &mut dp[lanes.clone()],
                    &mut dq[lanes.clone()],
                    &mut dr[lanes.clone()],
                    &mut ds[lanes.clone()],
                ];
                block_prox(penalty, m, a, dz, &mut activation, &mut output);
            }
        }
    }
    // Lanes sum one image only: f32 would lose what more of them add.
    let sum = |lanes: [f32; LANES]| lanes.iter().map(|&v| f64::from(v)).sum();
    PoolResidual {
        activation: sum(activation),
        output: sum(output),
    }
}

/// Channels of one block: residuals are summed lane by lane, since a sum across lanes would not vectorise.
const LANES: usize = 16;

/// [`window_prox`] for up to [`LANES`] channels of one window. Lanes beyond them hold zeros, for which the prox is zero.
#[inline(always)]
fn block_prox(
    penalty: PoolPenalty,
    m: [&[f32]; 4],
    a: &[f32],
    dz: [&mut [f32]; 4],
    activation: &mut [f32; LANES],
    output: &mut [f32; LANES],
) {
    // Whole blocks go through arrays: a constant number of lanes becomes straight vector code.
    let lanes = a.len();
    let mut block = [[0.0f32; LANES]; 5];
    for (lane, from) in block.iter_mut().zip([m[0], m[1], m[2], m[3], a]) {
        lane[..lanes].copy_from_slice(from);
    }
    let [p, q, r, s, a] = block;
    let mut corrections = [[0.0f32; LANES]; 4];
    for c in 0..LANES {
        let (d, level) = window_prox(penalty, [p[c], q[c], r[c], s[c]], a[c]);
        for (correction, d) in corrections.iter_mut().zip(d) {
            correction[c] = d;
        }
        activation[c] += (a[c] - level) * (a[c] - level);
        output[c] += d[0] * d[0] + d[1] * d[1] + d[2] * d[2] + d[3] * d[3];
    }
    for (to, from) in dz.into_iter().zip(&corrections) {
        to.copy_from_slice(&from[..lanes]);
    }
}

/// One window: the correction z - m and h(z). Straight-line selects only, so that channels vectorise.
#[inline(always)]
fn window_prox(penalty: PoolPenalty, m: [f32; 4], a: f32) -> ([f32; 4], f32) {
    let PoolPenalty { gamma, beta } = penalty;
    let (high0, low0) = (larger(m[0], m[1]), smaller(m[0], m[1]));
    let (high1, low1) = (larger(m[2], m[3]), smaller(m[2], m[3]));
    let (s1, u) = (larger(high0, high1), smaller(high0, high1));
    let (v, s4) = (larger(low0, low1), smaller(low0, low1));
    let (s2, s3) = (larger(u, v), smaller(u, v));

    let ga = gamma * a;
    let sum2 = s1 + s2;
    let sum3 = sum2 + s3;
    let sum4 = sum3 + s4;
    let mut t = (ga + beta * s1) * (1.0 / (gamma + beta));
    t = if t < s2 {
        (ga + beta * sum2) * (1.0 / (gamma + 2.0 * beta))
    } else {
        t
    };
    t = if t < s3 {
        (ga + beta * sum3) * (1.0 / (gamma + 3.0 * beta))
    } else {
        t
    };
    t = if t < s4 {
        (ga + beta * sum4) * (1.0 / (gamma + 4.0 * beta))
    } else {
        t
    };
    t = larger(t, 0.0);

    let square = |x: f32| x * x;
    let above = |level: f32| {
        let over = |s: f32| square(larger(s - level, 0.0));
        over(s1) + over(s2) + over(s3) + over(s4)
    };
    let moved = if t > s1 { square(t - s1) } else { above(t) };
    let fit = gamma * square(a - t) + beta * moved;
    let zero = gamma * a * a + beta * above(0.0);
    let level = if zero < fit { 0.0 } else { t };
    let raise = if zero < fit { false } else { t > s1 };

    // Only the first of equal largest entries is raised: raising one is enough and costs least.
    let tops = [
        m[0] == s1,
        (m[1] == s1) & (m[0] != s1),
        (m[2] == s1) & (m[0] != s1) & (m[1] != s1),
        (m[3] == s1) & (m[0] != s1) & (m[1] != s1) & (m[2] != s1),
    ];
    let correction = |m: f32, top: bool| {
        let raised = if top { level - m } else { 0.0 };
        let clipped = smaller(level - m, 0.0);
        if raise { raised } else { clipped }
    };
    let d = [
        correction(m[0], tops[0]),
        correction(m[1], tops[1]),
        correction(m[2], tops[2]),
        correction(m[3], tops[3]),
    ];
    (d, level)
}

#[cfg(test)]
mod tests {
    use super::super::Pooling;
    use super::*;
    use proptest::prelude::*;

    fn cost(penalty: PoolPenalty, m: [f64; 4], a: f64, z: [f64; 4]) -> f64 {
        let h = z.iter().fold(0.0, |max: f64, &z| max.max(z));
        let distance: f64 = z.iter().zip(m).map(|(z, m)| (z - m).powi(2)).sum();
        f64::from(penalty.gamma) * (a - h).powi(2) + f64::from(penalty.beta) * distance
    }

    /// Every way a minimiser can look: a subset of entries at one common level, the others at m; the level
    /// is stationary for that subset, or 0.
    fn brute_force(penalty: PoolPenalty, m: [f64; 4], a: f64) -> f64 {
        let (gamma, beta) = (f64::from(penalty.gamma), f64::from(penalty.beta));
        let mut best = f64::INFINITY;
        for subset in 0u32..16 {
            let members = |i: usize| subset & (1 << i) != 0;
            let sum: f64 = (0..4).filter(|&i| members(i)).map(|i| m[i]).sum();
            let stationary =
                (gamma * a + beta * sum) / (gamma + f64::from(subset.count_ones()) * beta);
            for level in [stationary, 0.0] {
                let z = std::array::from_fn(|i| if members(i) { level } else { m[i] });
                best = best.min(cost(penalty, m, a, z));
            }
        }
        best
    }

    fn entry() -> impl Strategy<Value = f32> {
        // Few distinct values, so that ties are common, and a continuum.
        prop_oneof![(-4i8..5).prop_map(|v| f32::from(v) * 0.5), -3f32..3.0]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn no_candidate_is_cheaper(
            m in prop::array::uniform4(entry()), a in entry(), gamma in 0.05f32..20.0, beta in 0.05f32..20.0,
        ) {
            let penalty = PoolPenalty { gamma, beta };
            let (d, level) = window_prox(penalty, m, a);
            let m = m.map(f64::from);
            let z: [f64; 4] = std::array::from_fn(|i| m[i] + f64::from(d[i]));
            let best = brute_force(penalty, m, a.into());
            let ours = cost(penalty, m, a.into(), z);
            prop_assert!(ours <= best + 1e-5 * best.max(1.0), "{ours} > {best}: z {z:?}");
            let h = z.iter().fold(0.0, |max: f64, &z| max.max(z));
            prop_assert!((h - f64::from(level)).abs() < 1e-5);
        }

        #[test]
        fn whole_arrays_agree_with_single_windows(
            side in 2usize..6, channels in 1usize..19, seed in any::<u64>(),
        ) {
            use rand::RngExt as _;
            let conv = Shape { height: side, width: side + 1, channels };
            let half = (side / 2, side.div_ceil(2));
            let mut random = crate::random::stream(seed, crate::random::Purpose::Rows, 0, 0);
            let mut draw = |n: usize| -> Vec<f32> { (0..n).map(|_| random.random_range(-2.0..2.0)).collect() };
            let (m, a) = (draw(2 * conv.len()), draw(2 * half.0 * half.1 * channels));
            let mut dz = vec![f32::NAN; m.len()];
            let penalty = PoolPenalty { gamma: 1.5, beta: 0.5 };
            let residual = Pooling::Relu.prox(conv, penalty, &m, &a, &mut dz);
            let mut pooled = vec![0.0; a.len()];
            Pooling::Relu.apply(conv, &m, &mut pooled);
            let (mut expected, mut sum) = (vec![0.0; m.len()], 0.0f64);
            for n in 0..2 {
                for (w, c) in (0..half.0 * half.1).flat_map(|w| (0..channels).map(move |c| (w, c))) {
                    let at = window(conv, w / half.1, w % half.1).map(|i| n * conv.len() + i + c);
                    let target = (n * half.0 * half.1 + w) * channels + c;
                    let values = at.map(|i| m[i]);
                    prop_assert_eq!(pooled[target], values.iter().fold(0.0, |x: f32, &y| x.max(y)));
                    let (d, level) = window_prox(penalty, values, a[target]);
                    at.iter().zip(d).for_each(|(&i, d)| expected[i] = d);
                    sum += f64::from(a[target] - level).powi(2);
                }
            }
            prop_assert_eq!(&dz, &expected);
            let output: f64 = expected.iter().map(|&d| f64::from(d).powi(2)).sum();
            prop_assert!((residual.activation - sum).abs() < 1e-4 * sum.max(1.0));
            prop_assert!((residual.output - output).abs() < 1e-4 * output.max(1.0));
        }
    }
}
