//! Every link against brute force.

use super::*;
use crate::check::definition::DefinedLink;
use crate::network::Pool;
use proptest::prelude::*;

const ACTIVATIONS: [Activation; 5] = [
    Activation::Relu,
    Activation::LeakyRelu,
    Activation::Identity,
    Activation::Step,
    Activation::QuantisedRelu,
];

/// h of one window, from its definition.
fn defined(link: Link, z: &[f64]) -> f64 {
    let staircase = StaircaseUpdate::Exact;
    DefinedLink { link, staircase }.value(z)
}

fn cost(link: Link, penalty: PoolPenalty, m: &[f64], a: f64, z: &[f64]) -> f64 {
    let way: f64 = z.iter().zip(m).map(|(z, m)| (z - m).powi(2)).sum();
    f64::from(penalty.gamma) * (a - defined(link, z)).powi(2) + f64::from(penalty.beta) * way
}

/// Points that z may move to: windows clipped to a level, with the largest raised to it, or shifted as a
/// whole.
fn candidates(m: &[f64]) -> Vec<Vec<f64>> {
    let top = m.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let first = m.iter().position(|&v| v == top).unwrap_or(0);
    let levels = (-400..=400).map(|step| f64::from(step) * 0.01);
    levels
        .flat_map(|x| {
            let clipped = m.iter().map(|v| v.min(x)).collect();
            let mut raised = m.to_vec();
            raised[first] = raised[first].max(x);
            let shifted = m.iter().map(|v| v + x).collect();
            [clipped, raised, shifted]
        })
        .collect()
}

fn links() -> impl Strategy<Value = Link> {
    let pools = prop_oneof![
        Just(Pool::NONE),
        (1usize..4).prop_map(Pool::max),
        (1usize..4).prop_map(Pool::avg),
        Just(Pool::GLOBAL),
    ];
    let activations = (0usize..5).prop_map(|index| ACTIVATIONS[index]);
    (pools, activations).prop_map(|(pool, activation)| Link { pool, activation })
}

fn draw(seed: u64, count: usize) -> Vec<f32> {
    use rand::RngExt as _;
    let mut random = crate::random::stream(seed, crate::random::Purpose::Rows, 0, 0);
    // Few distinct values, so that ties are common, and a continuum.
    let mut value = || match random.random_range(0..2) {
        0 => random.random_range(-4i8..5) as f32 * 0.5,
        _ => random.random_range(-2.0..2.0),
    };
    (0..count).map(|_| value()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn every_link_and_its_prox_are_those_of_the_definition(
        link in links(), sides in (3usize..6, 3usize..6), channels in 1usize..4, seed in any::<u64>(),
        gamma in 0.05f32..20.0, beta in 0.05f32..20.0,
    ) {
        let conv = Shape { height: sides.0, width: sides.1, channels };
        let pooling = Pooling::new(conv, link, StaircaseUpdate::Exact);
        let windows = Windows::new(conv, link);
        let (m, mut a) = (draw(seed, conv.len()), draw(seed ^ 1, windows.output.len()));
        if link.pool.kind != PoolKind::None {
            // The search below is slow.
            a.iter_mut().skip(4).for_each(|a| *a = 0.25);
        }
        let mut h = vec![f32::NAN; a.len()];
        pooling.apply(&m, &mut h);
        let mut dz = vec![f32::NAN; m.len()];
        let penalty = PoolPenalty { gamma, beta };
        let residual = pooling.prox(penalty, &m, &a, &mut dz);
        let (mut activation, mut output) = (0.0, 0.0);
        let mut untouched: Vec<bool> = vec![true; m.len()];
        for (place, corner) in windows.corners().enumerate() {
            for channel in 0..channels {
                let at: Vec<usize> = windows.members().map(|at| corner + at + channel).collect();
                let of = |values: &[f32]| -> Vec<f64> { at.iter().map(|&at| values[at].into()).collect() };
                let (m, d) = (of(&m), of(&dz));
                let (h, a) = (h[place * channels + channel], f64::from(a[place * channels + channel]));
                prop_assert!((f64::from(h) - defined(link, &m)).abs() < 1e-5, "{h}");
                let z: Vec<f64> = m.iter().zip(&d).map(|(m, d)| m + d).collect();
                let way: f64 = d.iter().map(|d| d * d).sum();
                at.iter().for_each(|&at| untouched[at] = false);
                // A staircase is left to the rounding of the point that it moves to.
                let is_stairs = matches!(link.activation, Activation::Step | Activation::QuantisedRelu);
                let near = |shift: f64| {
                    let z: Vec<f64> = z.iter().map(|z| z + shift).collect();
                    (a - defined(link, &z)).powi(2)
                };
                let misfit = if is_stairs { near(-1e-5).min(near(0.0)).min(near(1e-5)) } else { near(0.0) };
                let ours = f64::from(gamma) * misfit + f64::from(beta) * way;
                (activation, output) = (activation + misfit, output + way);
                for z in candidates(&m) {
                    let theirs = cost(link, penalty, &m, a, &z);
                    prop_assert!(ours <= theirs + 1e-4 * theirs.max(1.0), "{link:?} {m:?} {a} {d:?} {z:?}");
                }
            }
        }
        prop_assert!((residual.activation - activation).abs() < 1e-3 * activation.max(1.0));
        prop_assert!((residual.output - output).abs() < 1e-3 * output.max(1.0));
        prop_assert!(dz.iter().zip(&untouched).all(|(d, untouched)| !untouched || *d == 0.0));
    }

    #[test]
    fn an_activation_that_did_not_move_corrects_nothing(
        link in links(), seed in any::<u64>(), gamma in 0.05f32..20.0, beta in 0.05f32..20.0,
        dithered in any::<bool>(),
    ) {
        let update = match dithered {
            true => StaircaseUpdate::Dithered,
            false => StaircaseUpdate::Exact,
        };
        let conv = Shape { height: 4, width: 5, channels: 3 };
        let pooling = Pooling::new(conv, link, update);
        let m = draw(seed, conv.len());
        let mut h = vec![f32::NAN; link.output(conv).len()];
        pooling.apply(&m, &mut h);
        let mut dz = vec![f32::NAN; m.len()];
        let residual = pooling.prox(PoolPenalty { gamma, beta }, &m, &h, &mut dz);
        prop_assert!(dz.iter().all(|d| *d == 0.0), "{link:?} {dz:?}");
        prop_assert_eq!(residual, PoolResidual::default());
    }
}
