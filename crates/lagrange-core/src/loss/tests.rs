use super::*;
use crate::check::definition;
use proptest::prelude::*;

#[derive(Debug, Clone)]
struct Case {
    m: Vec<f32>,
    y: Vec<f32>,
    lambda: Vec<f32>,
    beta: f32,
    weight: f32,
}

impl Case {
    fn cost(&self, loss: Loss, z: &[f64]) -> f64 {
        let wide = |values: &[f32]| -> Vec<f64> { values.iter().map(|&v| v.into()).collect() };
        let (m, lambda) = (wide(&self.m), wide(&self.lambda));
        let work: f64 = lambda.iter().zip(z).map(|(l, z)| l * z).sum();
        let way: f64 = z.iter().zip(&m).map(|(z, m)| (z - m).powi(2)).sum();
        f64::from(self.weight) * definition::loss(loss, z, &self.y)
            + work
            + f64::from(self.beta) * way
    }

    fn prox(&self, loss: Loss) -> Vec<f64> {
        let mut z = vec![f32::NAN; self.m.len()];
        let update = OutputUpdate {
            targets: &self.y,
            multipliers: &self.lambda,
            beta: self.beta,
            weight: self.weight,
        };
        OutputProx::new(loss, z.len()).run(&self.m, &update, &mut z);
        z.into_iter().map(f64::from).collect()
    }
}

fn cases() -> impl Strategy<Value = Case> {
    (1usize..6).prop_flat_map(|outputs| {
        let values = |reach: f32| prop::collection::vec(-reach..reach, outputs);
        (
            values(4.0),
            0..outputs,
            any::<bool>(),
            values(2.0),
            0.05f32..20.0,
            0.1f32..5.0,
        )
            .prop_map(move |(m, class, odd, lambda, beta, weight)| {
                let hit = |output| output == class && (odd || outputs > 1);
                let y = (0..outputs).map(|output| if hit(output) { 1.0 } else { -1.0 });
                Case {
                    m,
                    y: y.collect(),
                    lambda,
                    beta,
                    weight,
                }
            })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    /// All losses are convex: a point that no small or large move improves is the minimiser.
    #[test]
    fn no_other_outputs_are_cheaper(case in cases(), seed in any::<u64>()) {
        use rand::RngExt as _;
        let mut random = crate::random::stream(seed, crate::random::Purpose::Rows, 0, 0);
        for loss in Loss::BUILT_IN {
            let z = case.prox(loss);
            let ours = case.cost(loss, &z);
            let slack = 2e-5 * ours.abs().max(1.0);
            for reach in [0.003, 0.03, 0.3, 3.0, 30.0] {
                for _ in 0..60 {
                    let other: Vec<f64> = z.iter().map(|z| z + random.random_range(-reach..reach)).collect();
                    let theirs = case.cost(loss, &other);
                    prop_assert!(ours <= theirs + slack, "{loss:?} {case:?}: {z:?} {ours} > {other:?} {theirs}");
                }
                for output in 0..z.len() {
                    for by in [-reach, reach] {
                        let mut other = z.clone();
                        other[output] += by;
                        prop_assert!(ours <= case.cost(loss, &other) + slack, "{loss:?} {case:?} {z:?} {other:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn values_are_those_of_the_definitions(case in cases()) {
        for loss in Loss::BUILT_IN {
            let wide = |values: &[f32]| -> Vec<f64> { values.iter().map(|&v| v.into()).collect() };
            let expected = definition::loss(loss, &wide(&case.m), &case.y);
            let found = loss.value(&case.m, &case.y);
            prop_assert!((found - expected).abs() < 1e-5 * expected.max(1.0), "{loss:?} {found} {expected}");
        }
    }

    /// Outputs far apart overflow no exponential.
    #[test]
    fn extreme_outputs_stay_finite(
        m in prop::collection::vec(prop_oneof![Just(-1e30f32), Just(1e30), -1e4f32..1e4], 1..5), beta in 1e-4f32..1e4,
    ) {
        let mut y = vec![-1.0; m.len()];
        y[0] = 1.0;
        let lambda = vec![0.0; m.len()];
        let case = Case { m, y, lambda, beta, weight: 1.0 };
        for loss in [Loss::Softmax, Loss::MulticlassHinge] {
            prop_assert!(case.prox(loss).iter().all(|z| z.is_finite()), "{loss:?} {:?}", case.prox(loss));
        }
        prop_assert!(Loss::Softmax.value(&case.m, &case.y).is_finite());
    }
}

#[test]
fn satisfied_hinges_move_only_by_their_multipliers() {
    let case = |m: &[f32], y: &[f32], lambda: f32| Case {
        m: m.to_vec(),
        y: y.to_vec(),
        lambda: vec![lambda; m.len()],
        beta: 1.0,
        weight: 3.0,
    };
    for loss in [Loss::SquaredHinge, Loss::Hinge, Loss::MulticlassHinge] {
        assert_eq!(case(&[1.5], &[1.0], 0.0).prox(loss), [1.5]);
        assert_eq!(case(&[-1.5], &[-1.0], 0.0).prox(loss), [-1.5]);
        assert_eq!(case(&[2.0], &[1.0], 0.5).prox(loss), [1.75]);
        assert_eq!(loss.value(&[1.5], &[1.0]), 0.0);
    }
    let satisfied = case(&[0.25, 1.5, 0.5], &[-1.0, 1.0, -1.0], 0.0);
    assert_eq!(satisfied.prox(Loss::MulticlassHinge), [0.25, 1.5, 0.5]);
}

#[derive(Debug)]
struct Nothing;

impl LossFunction for Nothing {
    fn value(&self, _: &[f32], _: &[f32]) -> f64 {
        0.0
    }

    fn prox(&self, _: &[f32], _: f32, _: f32, _: &mut [f32]) {}
}

#[test]
fn losses_of_ones_own_have_names_of_their_own_and_are_found_by_them() {
    let name = |text: &str| text.to_owned();
    let nothing = Loss::register("nothing", Nothing).expect("a new name");
    assert_eq!("nothing".parse(), Ok(nothing));
    for taken in ["nothing", "softmax"] {
        let refused = Loss::register(taken, Nothing);
        assert_eq!(refused, Err(RegisterLossError::Taken(name(taken))));
    }
    for wrong in ["", "Mine", "a b"] {
        let refused = Loss::register(wrong, Nothing);
        assert_eq!(refused, Err(RegisterLossError::Name(name(wrong))));
    }
    let unknown = "sofmax"
        .parse::<Loss>()
        .expect_err("no such loss")
        .to_string();
    assert!(
        unknown.starts_with("unknown loss `sofmax`, expected one of `squared`"),
        "{unknown}"
    );
    // The multiplier shifts what the prox begins from.
    let update = OutputUpdate {
        targets: &[1.0],
        multipliers: &[2.0],
        beta: 0.5,
        weight: 1.0,
    };
    let mut z = [0.0];
    OutputProx::new(nothing, 1).run(&[3.0], &update, &mut z);
    assert_eq!(z, [1.0]);
}

/// Newton's method goes to and fro where the loss outweighs the penalty.
#[test]
fn the_logistic_prox_ends_at_its_minimum_whatever_the_weight() {
    for ratio in [0.1, 1.0, 10.0, 32.0, 100.0, 1e3, 1e5] {
        for step in -80i8..=80 {
            let m = 0.25 * f32::from(step);
            let update = OutputUpdate {
                targets: &[1.0],
                multipliers: &[0.0],
                beta: 0.5,
                weight: 0.5 * ratio,
            };
            let mut z = [f32::NAN];
            OutputProx::new(Loss::Softmax, 1).run(&[m], &update, &mut z);
            let z = f64::from(z[0]);
            let pull = f64::from(update.weight) / (1.0 + z.exp());
            let gap = (z - f64::from(m) - pull).abs();
            assert!(
                gap < 1e-4 * (1.0 + pull),
                "{ratio} {m}: {z} is off by {gap}"
            );
        }
    }
}
