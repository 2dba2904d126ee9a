//! h(z) = relu(maxpool2x2(z)) and its exact prox.
//!
//! Channels-last storage makes one 2x2 window of all channels four contiguous runs of C values: every
//! function here walks windows and does the same branch-free arithmetic in each channel, [`LANES`] channels
//! at a time.

use super::{PoolPenalty, PoolResidual, larger, smaller};
use crate::network::Shape;
use multiversion::multiversion;

/// Channels of one block: one vector register.
const LANES: usize = 8;

type Lanes = [f32; LANES];

/// The two lines of window row `row`.
#[inline(always)]
fn band(conv: Shape, z: &[f32], row: usize) -> [&[f32]; 2] {
    let line = conv.width * conv.channels;
    let band = &z[2 * row * line..][..2 * line];
    let (upper, lower) = band.split_at(line);
    [upper, lower]
}

/// a = h(z) of one sample; see [`super::Pooling::apply`].
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
pub(super) fn relu_maxpool(conv: Shape, z: &[f32], a: &mut [f32]) {
    let (columns, channels) = (conv.width / 2, conv.channels);
    for (row, a) in a.chunks_exact_mut(columns * channels).enumerate() {
        let [upper, lower] = band(conv, z, row);
        let windows = upper
            .chunks_exact(2 * channels)
            .zip(lower.chunks_exact(2 * channels));
        for (a, (upper, lower)) in a.chunks_exact_mut(channels).zip(windows) {
            let ((p, q), (r, s)) = (upper.split_at(channels), lower.split_at(channels));
            let members = p.iter().zip(q).zip(r.iter().zip(s));
            for (a, ((p, q), (r, s))) in a.iter_mut().zip(members) {
                *a = larger(larger(larger(*p, *q), larger(*r, *s)), 0.0);
            }
        }
    }
}

/// The hidden output update of one sample, exact in every window:
/// `argmin_z gamma (a - relu(max z))^2 + beta |z - m|^2`, written as the correction z - m; see
/// [`super::Pooling::prox`].
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
pub(super) fn prox(
    conv: Shape,
    penalty: PoolPenalty,
    m: &[f32],
    a: &[f32],
    dz: &mut [f32],
) -> PoolResidual {
    let (columns, channels) = (conv.width / 2, conv.channels);
    let line = conv.width * channels;
    let window = WindowProx::new(penalty);
    let mut residual = LaneResidual::default();
    let bands = dz.chunks_exact_mut(2 * line);
    for ((row, a), dz) in a.chunks_exact(columns * channels).enumerate().zip(bands) {
        let [upper, lower] = band(conv, m, row);
        let (upper_dz, lower_dz) = dz.split_at_mut(line);
        for (column, a) in a.chunks_exact(channels).enumerate() {
            let place = 2 * column * channels..2 * (column + 1) * channels;
            let (p, q) = upper[place.clone()].split_at(channels);
            let (r, s) = lower[place.clone()].split_at(channels);
            let (dp, dq) = upper_dz[place.clone()].split_at_mut(channels);
            let (dr, ds) = lower_dz[place].split_at_mut(channels);
            window.channels([p, q, r, s], a, [dp, dq, dr, ds], &mut residual);
        }
    }
    residual.sum()
}

/// Residuals per lane, since a sum across lanes would not vectorise; of one sample only, to stay within the
/// precision of f32.
#[derive(Debug, Default)]
struct LaneResidual {
    activation: Lanes,
    output: Lanes,
}

impl LaneResidual {
    fn sum(&self) -> PoolResidual {
        let sum = |lanes: &Lanes| lanes.iter().map(|&v| f64::from(v)).sum();
        PoolResidual {
            activation: sum(&self.activation),
            output: sum(&self.output),
        }
    }
}

/// The prox of one window.
///
/// With s1 >= .. >= s4 the sorted outputs, F(t) = gamma (a - t)^2 + beta sum of max(s_i - t, 0)^2 (or beta
/// (t - s1)^2 above s1) is the least cost of h(z) = t, for t >= 0: entries above t are clipped to it, or the
/// largest is raised. F is convex, and its pieces are stationary at
/// `t_r = (gamma a + beta (s1 + .. + sr)) / (gamma + r beta)`. Each t_{r+1} is a mean of t_r and s_{r+1}, so
/// the first t_r with t_r >= s_{r+1}, which is the minimiser, is also the largest of all. Only below zero the
/// cost has a step: where s1 < 0, leaving z unchanged costs gamma a^2, and raising is cheaper if and only if
/// `a > -c s1` with `c = k / (1 - k)`, `k = sqrt(beta / (gamma + beta))`.
///
/// All values are distances from s1, so that a window whose activation did not move has a correction of
/// exactly zero.
#[derive(Debug, Clone, Copy)]
struct WindowProx {
    gamma: f32,
    beta: f32,
    /// 1 / (gamma + r beta) for r = 1..4.
    scale: [f32; 4],
    /// c of the condition for raising.
    price: f32,
}

impl WindowProx {
    fn new(penalty: PoolPenalty) -> Self {
        let PoolPenalty { gamma, beta } = penalty;
        let k = (f64::from(beta) / (f64::from(gamma) + f64::from(beta))).sqrt();
        Self {
            gamma,
            beta,
            scale: [1.0, 2.0, 3.0, 4.0].map(|r| 1.0 / (gamma + r * beta)),
            price: (k / (1.0 - k)) as f32,
        }
    }

    /// All channels of one window.
    #[inline(always)]
    fn channels(
        &self,
        m: [&[f32]; 4],
        a: &[f32],
        dz: [&mut [f32]; 4],
        residual: &mut LaneResidual,
    ) {
        let [p, q, r, s] = m.map(|m| m.as_chunks::<LANES>());
        let (blocks, rest) = a.as_chunks::<LANES>();
        let mut dz = dz.map(|dz| dz.as_chunks_mut::<LANES>());
        for (index, a) in blocks.iter().enumerate() {
            let m = [&p.0[index], &q.0[index], &r.0[index], &s.0[index]];
            let corrections = self.lanes(m, a, residual);
            for ((to, _), from) in dz.iter_mut().zip(corrections) {
                to[index] = from;
            }
        }
        if rest.is_empty() {
            return;
        }
        // Lanes beyond the rest hold zeros, for which the correction is zero.
        let widen = |values: &[f32]| {
            let mut lanes = [0.0; LANES];
            lanes[..values.len()].copy_from_slice(values);
            lanes
        };
        let [p, q, r, s] = [p.1, q.1, r.1, s.1].map(widen);
        let corrections = self.lanes([&p, &q, &r, &s], &widen(rest), residual);
        for ((_, to), from) in dz.iter_mut().zip(corrections) {
            to.copy_from_slice(&from[..rest.len()]);
        }
    }

    /// [`LANES`] channels: their corrections.
    #[inline(always)]
    fn lanes(&self, m: [&Lanes; 4], a: &Lanes, residual: &mut LaneResidual) -> [Lanes; 4] {
        let mut corrections = [[0.0; LANES]; 4];
        for c in 0..LANES {
            let (d, level) = self.window([m[0][c], m[1][c], m[2][c], m[3][c]], a[c]);
            for (correction, d) in corrections.iter_mut().zip(d) {
                correction[c] = d;
            }
            residual.activation[c] += (a[c] - level) * (a[c] - level);
            residual.output[c] += d[0] * d[0] + d[1] * d[1] + d[2] * d[2] + d[3] * d[3];
        }
        corrections
    }

    /// One window: the correction z - m and h(z). Straight-line selects only, so that channels vectorise.
    #[inline(always)]
    fn window(&self, m: [f32; 4], a: f32) -> ([f32; 4], f32) {
        let (high0, low0) = (larger(m[0], m[1]), smaller(m[0], m[1]));
        let (high1, low1) = (larger(m[2], m[3]), smaller(m[2], m[3]));
        let (s1, u) = (larger(high0, high1), smaller(high0, high1));
        let (v, s4) = (larger(low0, low1), smaller(low0, low1));
        let (s2, s3) = (larger(u, v), smaller(u, v));

        let pull = self.gamma * (a - s1);
        let gap2 = s1 - s2;
        let gap3 = gap2 + (s1 - s3);
        let gap4 = gap3 + (s1 - s4);
        let [one, two, three, four] = self.scale;
        let mut move1 = pull * one;
        move1 = larger(move1, (pull - self.beta * gap2) * two);
        move1 = larger(move1, (pull - self.beta * gap3) * three);
        move1 = larger(move1, (pull - self.beta * gap4) * four);
        move1 = larger(move1, -s1);
        let fall = smaller(move1, 0.0);
        let worthwhile = a + self.price * s1 > 0.0;
        let rise = if worthwhile { larger(move1, 0.0) } else { 0.0 };

        // Only the first of equal largest entries is raised: raising one is enough and costs least.
        let mut left = rise;
        let mut d = [0.0; 4];
        for (d, m) in d.iter_mut().zip(m) {
            let gap = s1 - m;
            let top = gap == 0.0;
            *d = smaller(fall + gap, 0.0) + if top { left } else { 0.0 };
            left = if top { 0.0 } else { left };
        }
        (d, larger(s1 + (fall + rise), 0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Pooling, StaircaseUpdate, Windows};
    use super::*;
    use crate::network::Link;
    use proptest::prelude::*;

    fn cost(penalty: PoolPenalty, m: [f64; 4], a: f64, z: [f64; 4]) -> f64 {
        let h = z.iter().fold(0.0, |max: f64, &z| max.max(z));
        let distance: f64 = z.iter().zip(m).map(|(z, m)| (z - m).powi(2)).sum();
        f64::from(penalty.gamma) * (a - h).powi(2) + f64::from(penalty.beta) * distance
    }

    /// Cost of the best candidate: a subset of entries at one common level, the others at m; the level is
    /// stationary for that subset, or 0.
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
            let (d, level) = WindowProx::new(penalty).window(m, a);
            let m = m.map(f64::from);
            let z: [f64; 4] = std::array::from_fn(|i| m[i] + f64::from(d[i]));
            let best = brute_force(penalty, m, a.into());
            let ours = cost(penalty, m, a.into(), z);
            prop_assert!(ours <= best + 1e-5 * best.max(1.0), "{ours} > {best}: z {z:?}");
            let h = z.iter().fold(0.0, |max: f64, &z| max.max(z));
            prop_assert!((h - f64::from(level)).abs() < 1e-5);
        }

        #[test]
        fn an_activation_that_did_not_move_corrects_nothing(
            m in prop::array::uniform4(entry()), gamma in 0.05f32..20.0, beta in 0.05f32..20.0,
        ) {
            let h = m.iter().fold(0.0, |max: f32, &m| max.max(m));
            let (d, level) = WindowProx::new(PoolPenalty { gamma, beta }).window(m, h);
            prop_assert_eq!(d, [0.0; 4]);
            prop_assert_eq!(level, h);
        }

        #[test]
        fn whole_arrays_agree_with_single_windows(
            side in 2usize..6, channels in 1usize..19, seed in any::<u64>(),
        ) {
            use rand::RngExt as _;
            let conv = Shape { height: side, width: side + 1, channels };
            let pooling = Pooling::new(conv, Link::MAX_RELU, StaircaseUpdate::default());
            let windows = Windows::new(conv, Link::MAX_RELU);
            let half = (side / 2, side.div_ceil(2));
            let mut random = crate::random::stream(seed, crate::random::Purpose::Rows, 0, 0);
            let mut draw = |n: usize| -> Vec<f32> { (0..n).map(|_| random.random_range(-2.0..2.0)).collect() };
            let (m, a) = (draw(2 * conv.len()), draw(2 * half.0 * half.1 * channels));
            let mut dz = vec![f32::NAN; m.len()];
            let penalty = PoolPenalty { gamma: 1.5, beta: 0.5 };
            let residual = pooling.prox(penalty, &m, &a, &mut dz);
            let mut pooled = vec![0.0; a.len()];
            pooling.apply(&m, &mut pooled);
            let (mut expected, mut sum) = (vec![0.0; m.len()], 0.0f64);
            for n in 0..2 {
                let corners: Vec<_> = windows.corners().collect();
                for (w, c) in (0..half.0 * half.1).flat_map(|w| (0..channels).map(move |c| (w, c))) {
                    let mut members = windows.members().map(|i| n * conv.len() + corners[w] + i + c);
                    let at: [usize; 4] = std::array::from_fn(|_| members.next().expect("four"));
                    let target = (n * half.0 * half.1 + w) * channels + c;
                    let values = at.map(|i| m[i]);
                    prop_assert_eq!(pooled[target], values.iter().fold(0.0, |x: f32, &y| x.max(y)));
                    let (d, level) = WindowProx::new(penalty).window(values, a[target]);
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
