//! Right solutions hold whatever the problem, and wrong ones fail.

use super::amounts::{HiddenProblem, LineProblem, OutputProblem};
use super::definition::{DefinedLink, DefinedWindows, product};
use super::*;
use crate::activation::{ActivationPenalty, ActivationSolver, ActivationUpdate};
use crate::convolution::Convolution;
use crate::equations::matrix;
use crate::loss::{Loss, OutputProx, OutputUpdate};
use crate::network::{Activation, Kernel, Link, Network, NetworkSpec, Pool, Shape, Stage};
use crate::pooling::{PoolPenalty, Pooling, StaircaseUpdate};
use crate::random::{Purpose, stream};
use crate::schedule::{Round, ScheduleParams, ShardInput};
use crate::solver::GramSolver;
use crate::start::he;
use crate::toeplitz::tests::{any_stage, draw};
use ndarray::Array2;
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;

fn random(seed: u64) -> ChaCha8Rng {
    stream(seed, Purpose::Checks, 0, 0)
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| v.into()).collect()
}

fn holds(check: Check, amount: f64) -> bool {
    amount <= check.tolerance()
}

#[derive(Debug)]
struct Outputs {
    m: Vec<f32>,
    targets: Vec<f32>,
    multipliers: Vec<f32>,
    beta: f32,
    weight: f32,
}

fn outputs() -> impl Strategy<Value = Outputs> {
    let each = (-6f32..6.0, -2f32..2.0);
    let sides = prop::collection::vec(each, 1..40);
    (sides, any::<u16>(), 0.01f32..20.0, 0.01f32..20.0).prop_map(|(each, class, beta, weight)| {
        let class = usize::from(class) % each.len();
        let target = |index| if index == class { 1.0 } else { -1.0 };
        Outputs {
            targets: (0..each.len()).map(target).collect(),
            m: each.iter().map(|(m, _)| *m).collect(),
            multipliers: each.iter().map(|(_, lambda)| *lambda).collect(),
            beta,
            weight,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn an_output_prox_holds_and_one_that_is_beside_fails(case in outputs(), seed in any::<u64>()) {
        let update = OutputUpdate {
            targets: &case.targets,
            multipliers: &case.multipliers,
            beta: case.beta,
            weight: case.weight,
        };
        for loss in Loss::BUILT_IN {
            let mut z = vec![f32::NAN; case.m.len()];
            OutputProx::new(loss, case.m.len()).run(&case.m, &update, &mut z);
            let m = wide(&case.m);
            let problem = OutputProblem { loss, update, m: &m };
            let right = problem.amount(&wide(&z), &mut random(seed));
            prop_assert!(holds(Check::OutputProx, right), "{loss:?} {right:e}");
            // All outputs a little off, by a share of their size.
            let size = z.iter().chain(&case.m).fold(1.0f32, |most, v| most.max(v.abs()));
            let wrong: Vec<f64> = z.iter().map(|&z| f64::from(z + 0.05 * size)).collect();
            let wrong = problem.amount(&wrong, &mut random(seed));
            prop_assert!(!holds(Check::OutputProx, wrong), "{loss:?} {wrong:e}");
        }
    }
}

fn links() -> impl Strategy<Value = DefinedLink> {
    let pools = prop_oneof![
        Just(Pool::NONE),
        (1usize..4).prop_map(Pool::max),
        (1usize..4).prop_map(Pool::avg),
        Just(Pool::GLOBAL),
    ];
    let activations = prop_oneof![
        Just(Activation::Relu),
        Just(Activation::LeakyRelu),
        Just(Activation::Identity),
        Just(Activation::Step),
        Just(Activation::QuantisedRelu),
    ];
    let updates = prop_oneof![
        Just(StaircaseUpdate::Dithered),
        Just(StaircaseUpdate::Exact)
    ];
    (pools, activations, updates).prop_map(|(pool, activation, staircase)| DefinedLink {
        link: Link { pool, activation },
        staircase,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_hidden_prox_holds_and_one_that_is_beside_fails(
        link in links(), seed in any::<u64>(), gamma in 0.05f32..20.0, beta in 0.05f32..20.0,
        sides in (3usize..7, 3usize..7), channels in 1usize..10,
    ) {
        let conv = Shape { height: sides.0, width: sides.1, channels };
        let stage = Stage::conv(conv, Kernel::square(1), 1, 0, channels, link.link);
        let pooling = Pooling::new(conv, link.link, link.staircase);
        let (m, mut a) = (draw(seed, conv.len()), vec![0.0; stage.output.len()]);
        pooling.apply(&m, &mut a);
        let steps = draw(seed ^ 1, a.len());
        a.iter_mut().zip(steps).for_each(|(a, step)| *a += step);
        let mut dz = vec![f32::NAN; m.len()];
        let penalty = PoolPenalty { gamma, beta };
        pooling.prox(penalty, &m, &a, &mut dz);
        let problem = |dz| HiddenProblem {
            link, windows: DefinedWindows::of(&stage), penalty, m: &m, a: &a, dz,
        };
        let right = problem(&dz);
        let worst = (0..a.len()).map(|index| right.amount(index, &mut random(seed))).fold(0.0, f64::max);
        prop_assert!(holds(Check::HiddenProx, worst), "{link:?} {worst:e}");
        // The whole of the outputs a little higher.
        let size = m.iter().chain(&a).fold(0.0f32, |most, v| most.max(v.abs()));
        let higher: Vec<f32> = dz.iter().map(|dz| dz + 0.05 * size).collect();
        let wrong = problem(&higher);
        let failed = (0..a.len()).filter(|&index| !holds(Check::HiddenProx, wrong.amount(index, &mut random(seed))));
        prop_assert!(failed.count() > 0, "{link:?}");
    }
}

#[derive(Debug)]
struct Line {
    stage: Stage,
    weights: Vec<f32>,
    dz: Vec<f32>,
    h: Vec<f32>,
    penalty: ActivationPenalty,
}

fn lines() -> impl Strategy<Value = Line> {
    (
        any_stage(),
        any::<u64>(),
        0.1f32..10.0,
        0.1f32..10.0,
        0.01f32..1.0,
    )
        .prop_map(|(stage, seed, beta, gamma, scale)| Line {
            weights: draw(seed, stage.weights()),
            dz: draw(seed ^ 1, stage.conv.len())
                .iter()
                .map(|dz| scale * dz)
                .collect(),
            h: draw(seed ^ 2, stage.input.len()),
            penalty: ActivationPenalty { beta, gamma },
            stage,
        })
}

impl Line {
    fn updated(&self, update: ActivationUpdate) -> Vec<f32> {
        let mut convolution = Convolution::new(&self.stage);
        convolution.load(matrix(
            &self.weights,
            self.stage.unknowns(),
            self.stage.conv.channels,
        ));
        let mut a = self.h.clone();
        ActivationSolver::new(&self.stage, update).update(
            &mut convolution,
            &self.dz,
            self.penalty,
            &mut a,
        );
        a
    }

    /// Of the angle between dz and W (a - h).
    fn cosine(&self, a: &[f32]) -> f64 {
        let d: Vec<f64> = wide(a)
            .iter()
            .zip(wide(&self.h))
            .map(|(a, h)| a - h)
            .collect();
        let (u, dz) = (product(&self.stage, &self.weights, &d), wide(&self.dz));
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        dot(&u, &dz) / (dot(&u, &u) * dot(&dz, &dz)).sqrt()
    }

    fn amount(&self, a: &[f32]) -> Option<f64> {
        let d: Vec<f64> = wide(a)
            .iter()
            .zip(wide(&self.h))
            .map(|(a, h)| a - h)
            .collect();
        let problem = LineProblem {
            penalty: self.penalty,
            h: &self.h,
            dz: &self.dz,
            u: product(&self.stage, &self.weights, &d),
            d,
        };
        problem.amount()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn an_activation_step_holds_and_one_of_another_length_fails(line in lines()) {
        for update in [ActivationUpdate::OneStep, ActivationUpdate::Exact] {
            let a = line.updated(update);
            let Some(right) = line.amount(&a) else { continue };
            prop_assert!(holds(Check::ActivationStep, right), "{update:?} {right:e}");
            prop_assume!(line.cosine(&a) > 0.01);
            for length in [0.95, 1.05, -1.0] {
                let other = a.iter().zip(&line.h).map(|(a, h)| h + length * (a - h));
                let wrong = line.amount(&other.collect::<Vec<_>>());
                prop_assert!(wrong.is_none_or(|wrong| !holds(Check::ActivationStep, wrong)), "{length} {wrong:?}");
            }
        }
    }

    #[test]
    fn solved_systems_hold_and_others_fail(seed in any::<u64>(), d in 1usize..30, c in 1usize..5, ridge in 1e-4f32..1.0) {
        let rows = Array2::from_shape_vec((2 * d, d), draw(seed, 2 * d * d)).expect("shape");
        let right = Array2::from_shape_vec((d, c), draw(seed ^ 1, d * c)).expect("shape");
        let mut gram = rows.t().dot(&rows);
        let solver = GramSolver::factorise(gram.view(), ridge, 0).expect("definite");
        let solution = solver.solve(&right, 0).expect("finite");
        // Only the lower triangle is one.
        gram.indexed_iter_mut().filter(|((i, j), _)| j > i).for_each(|(_, v)| *v = f32::NAN);
        let signs = amounts::signs(seed, 0, c);
        let amount = |solution: &Array2<f32>, ridge| system_amount(&SymmetricSystem {
            gram: gram.view(), ridge, right: right.view(), solution: solution.view(),
        }, &signs);
        let exact = amount(&solution, solver.ridge());
        prop_assert!(holds(Check::NormalEquations, exact), "{exact:e}");
        let wrong = amount(&beside(&solution), solver.ridge());
        prop_assert!(!holds(Check::NormalEquations, wrong), "{wrong:e}");
        let without_ridge = amount(&solution, -solver.ridge());
        prop_assert!(d == 1 || ridge < 0.01 || !holds(Check::NormalEquations, without_ridge));
    }

    #[test]
    fn solved_least_squares_hold_and_others_fail(seed in any::<u64>(), d in 1usize..12, c in 1usize..4) {
        let both = Array2::from_shape_vec((3 * d, d + c), draw(seed, 3 * d * (d + c))).expect("shape");
        let left = both.slice(ndarray::s![.., ..d]).to_owned();
        let right = both.slice(ndarray::s![.., d..]).to_owned();
        let solver = GramSolver::factorise(left.t().dot(&left).view(), 1e-7, 0).expect("definite");
        let solution = solver.solve(&left.t().dot(&right), 0).expect("finite");
        let (rows, signs) = (both.mapv(f64::from), amounts::signs(seed, 1, c));
        let amount = |solution: &Array2<f32>| least_squares_amount(&Rows { rows: rows.view(), solution }, &signs);
        let exact = amount(&solution);
        prop_assert!(holds(Check::NormalEquations, exact), "{exact:e}");
        let wrong = amount(&beside(&solution));
        prop_assert!(!holds(Check::NormalEquations, wrong), "{wrong:e}");
    }
}

/// A solution with one unknown off by a share of the whole.
fn beside(solution: &Array2<f32>) -> Array2<f32> {
    let mut other = solution.clone();
    other[[0, 0]] += 0.05 * (1.0 + solution.iter().map(|v| v * v).sum::<f32>().sqrt());
    other
}

/// The default network of two outputs, with one image.
struct Watched {
    network: Network,
    weights: crate::weights::Weights,
}

impl Watched {
    fn new() -> Self {
        let input = Shape {
            height: 28,
            width: 28,
            channels: 1,
        };
        let network = Network::resolve(&NetworkSpec::default(), input, 2).expect("fits");
        Self {
            weights: he(&network, 1),
            network,
        }
    }

    fn inspector(&self, step: u64, shard: u64, shards: usize, samples: usize) -> Inspector {
        let params = ScheduleParams::default();
        let mut inspector = Inspector::new(&self.network, &params, shards);
        let round = Round {
            step,
            stage: 0,
            gram: false,
        };
        let input = ShardInput {
            images: &[],
            targets: &[],
            weights: &[],
            multipliers: &[],
            positions: &[],
            shared: &[],
            loaded: &self.weights,
            key: (3, shard),
        };
        inspector.begin(round, &input, samples);
        inspector
    }
}

#[test]
fn one_sample_of_one_shard_is_watched_every_so_many_steps() {
    let watched = Watched::new();
    let mut seen = std::collections::BTreeSet::new();
    for step in 0..200 {
        let found = |shard: u64| {
            let mut inspector = watched.inspector(step, shard, 5, 16);
            let blocks = [0..8, 8..16].into_iter();
            blocks
                .filter_map(|block| {
                    inspector.enter(block.clone());
                    Some((shard, block.start + inspector.sample()?))
                })
                .collect::<Vec<_>>()
        };
        let all: Vec<_> = (0..5).flat_map(found).collect();
        assert_eq!(all.len(), usize::from(step % 16 == 0), "{step} {all:?}");
        seen.extend(all);
    }
    assert!(seen.len() > 8, "{seen:?}");
}

#[test]
fn a_sample_that_moved_is_preferred() {
    let watched = Watched::new();
    let mut inspector = watched.inspector(0, 0, 1, 8);
    inspector.enter(0..8);
    let drawn = inspector.sample().expect("the only shard");
    inspector.prefer(&[]);
    assert_eq!(inspector.sample(), Some(drawn));
    inspector.prefer(&[(drawn + 1) % 8]);
    assert!(inspector.watches((drawn + 1) % 8));
}

/// Tallies of one sample whose last outputs are put at `dz` beside m = 0 and whose last activation moves by
/// `step` of its conjugate-gradient step.
fn tallies(dz: f32, step: f32) -> Vec<Tally> {
    let watched = Watched::new();
    let (network, last) = (&watched.network, watched.network.len() - 1);
    let mut inspector = watched.inspector(0, 0, 1, 1);
    inspector.enter(0..1);
    let residual = [dz, -dz];
    inspector.outputs(&OutputsUpdated {
        update: OutputUpdate {
            targets: &[1.0, -1.0],
            multipliers: &[0.0; 2],
            beta: 1.0,
            weight: 1.0,
        },
        m: &[0.0; 2],
        dz: &residual,
        starts_sweep: true,
    });
    let stage = &network.stages()[last];
    let mut convolution = Convolution::new(stage);
    convolution.load(watched.weights.stage(last));
    let penalty = ActivationPenalty {
        beta: 1.0,
        gamma: 1.0,
    };
    let h = vec![0.0; stage.input.len()];
    let mut a = h.clone();
    let solver = &mut ActivationSolver::new(stage, ActivationUpdate::OneStep);
    solver.update(&mut convolution, &residual, penalty, &mut a);
    a.iter_mut().for_each(|a| *a *= step);
    inspector.step(&StepTaken {
        index: last - 1,
        penalty,
        h: &h,
        dz: &residual,
        a: &a,
    });
    inspector.finish().tallies().to_vec()
}

fn failed(tallies: &[Tally]) -> Vec<(Check, usize)> {
    let failed = tallies.iter().filter(|tally| tally.held < tally.ran);
    failed.map(|tally| (tally.check, tally.stage)).collect()
}

#[test]
fn each_wrong_update_fails_its_own_checks_and_a_rise_the_sweep() {
    let kinds = |tallies: &[Tally]| {
        tallies
            .iter()
            .map(|t| (t.check, t.stage))
            .collect::<Vec<_>>()
    };
    // The squared hinge at m = 0 has its minimiser half way.
    let right = tallies(0.5, 1.0);
    assert_eq!(
        kinds(&right),
        [
            (Check::Sweep, 1),
            (Check::Sweep, 2),
            (Check::OutputProx, 2),
            (Check::ActivationStep, 1)
        ]
    );
    assert_eq!(failed(&right), []);
    // A little beside the minimum the objective has still fallen.
    assert_eq!(failed(&tallies(0.45, 1.0)), [(Check::OutputProx, 2)]);
    // Away from the targets it rises.
    assert_eq!(
        failed(&tallies(-0.5, 1.0)),
        [(Check::Sweep, 2), (Check::OutputProx, 2)]
    );
    assert_eq!(failed(&tallies(0.5, 0.9)), [(Check::ActivationStep, 1)]);
    // Twice the step to the minimum of a parabola gets back to where it began; more rises.
    assert_eq!(
        failed(&tallies(0.5, 2.1)),
        [(Check::Sweep, 1), (Check::ActivationStep, 1)]
    );
    assert_eq!(failed(&tallies(f32::NAN, 1.0)).len(), 4);
}

/// A loss whose prox is not that of its value.
#[derive(Debug)]
struct Careless;

impl crate::loss::LossFunction for Careless {
    fn value(&self, outputs: &[f32], _: &[f32]) -> f64 {
        outputs.iter().map(|&z| f64::from(z * z)).sum()
    }

    fn prox(&self, _: &[f32], _: f32, _: f32, z: &mut [f32]) {
        z.iter_mut().for_each(|z| *z *= 0.4);
    }
}

#[test]
fn a_loss_of_ones_own_with_a_wrong_prox_is_found() {
    let loss = Loss::register("careless", Careless).expect("a new name");
    let update = OutputUpdate {
        targets: &[1.0, -1.0],
        multipliers: &[0.0; 2],
        beta: 1.0,
        weight: 1.0,
    };
    let (m, mut z) = ([1.0, -2.0], [0.0; 2]);
    OutputProx::new(loss, 2).run(&m, &update, &mut z);
    let m = wide(&m);
    let problem = OutputProblem {
        loss,
        update,
        m: &m,
    };
    assert!(!holds(
        Check::OutputProx,
        problem.amount(&wide(&z), &mut random(1))
    ));
    // The right one halves.
    assert!(holds(
        Check::OutputProx,
        problem.amount(&[0.5, -1.0], &mut random(1))
    ));
}
