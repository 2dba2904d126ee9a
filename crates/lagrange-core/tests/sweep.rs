//! A shard's whole sweep against slow, independent calculations.
#![allow(clippy::expect_used, clippy::unwrap_used)]

use lagrange_core::activation::ActivationUpdate;
use lagrange_core::check::{Check, Checks};
use lagrange_core::equations::EquationLayout;
use lagrange_core::loss::Loss;
use lagrange_core::network::{
    Activation, Kernel, LayerSpec, Network, NetworkSpec, Padding, Pool, Shape, StageSpec,
};
use lagrange_core::random::{Purpose, stream};
use lagrange_core::residual::StepScalars;
use lagrange_core::schedule::streaming::Streaming;
use lagrange_core::schedule::{Cut, Round, Schedule as _, ScheduleParams, ShardInput, ShardOutput};
use lagrange_core::start::he;
use lagrange_core::weights::Weights;
use proptest::prelude::*;

/// More than go through a sweep together.
const SAMPLES: usize = 11;

#[derive(Debug)]
struct Case {
    network: Network,
    params: ScheduleParams,
    weights: Weights,
    images: Vec<f32>,
    targets: Vec<f32>,
    class_weights: Vec<f32>,
    multipliers: Vec<f32>,
    seed: u64,
}

struct Swept {
    scalars: StepScalars,
    sums: Vec<f32>,
    residuals: Vec<f32>,
    checks: Checks,
}

impl Case {
    fn new(seed: u64, spec: &NetworkSpec, outputs: usize, params: ScheduleParams) -> Self {
        let input = Shape {
            height: 10,
            width: 12,
            channels: 2,
        };
        let network = Network::resolve(spec, input, outputs).expect("fits");
        let mut random = stream(seed, Purpose::Rows, 7, 7);
        let mut draw =
            |n: usize| -> Vec<f32> { (0..n).map(|_| random.random_range(-1.0..1.0)).collect() };
        let images = draw(SAMPLES * input.len());
        let multipliers = draw(SAMPLES * outputs);
        let class = |sample: usize| sample % outputs.max(2);
        let target = |i: usize| {
            if i % outputs == class(i / outputs) {
                1.0
            } else {
                -1.0
            }
        };
        let targets = (0..SAMPLES * outputs).map(target).collect();
        let class_weights = draw(SAMPLES).iter().map(|v| v + 1.5).collect();
        // Full-size last kernels: He's start would leave nothing to correct.
        let mut weights = he(&network, seed);
        let index = network.len() - 1;
        let last = weights.stage(index).mapv(|w| 10.0 * w);
        weights.set_stage(index, &last);
        Self {
            network,
            params,
            weights,
            images,
            targets,
            class_weights,
            multipliers,
            seed,
        }
    }

    fn sweep(&self, gram: bool) -> Swept {
        let layout = EquationLayout::new(&self.network, gram);
        let mut sums = vec![f32::NAN; layout.len()];
        let mut residuals = vec![f32::NAN; self.targets.len()];
        let cut = Cut {
            shards: 1,
            samples: SAMPLES,
        };
        let mut worker = Streaming::new(&self.params, &self.network, cut).worker();
        worker.forward().load(&self.weights);
        let input = ShardInput {
            images: &self.images,
            targets: &self.targets,
            weights: &self.class_weights,
            multipliers: &self.multipliers,
            positions: &[0; SAMPLES],
            shared: &[1.0],
            loaded: &self.weights,
            key: (self.seed, 0),
        };
        let mut checks = Checks::default();
        let output = ShardOutput {
            sums: &mut sums,
            rows: &mut residuals,
            checks: &mut checks,
        };
        let round = Round {
            step: 0,
            stage: 0,
            gram,
        };
        let scalars = worker.run(round, &input, None, output);
        Swept {
            scalars,
            sums,
            residuals,
            checks,
        }
    }
}

/// Networks with every kind of layer, pooling and activation.
fn networks() -> impl Strategy<Value = NetworkSpec> {
    let stages = |padding| {
        let stage = |channels| StageSpec {
            kernel: 3,
            channels,
            padding,
        };
        NetworkSpec::of_stages(&[stage(3), stage(4)])
    };
    let conv = |stride, padding, pool, activation| LayerSpec::Conv {
        channels: 4,
        kernel: Kernel {
            height: 3,
            width: 2,
        },
        stride,
        padding,
        pool,
        activation,
    };
    let dense = |activation| LayerSpec::Dense {
        channels: 5,
        activation,
    };
    let layers = |layers| NetworkSpec { layers };
    prop_oneof![
        Just(stages(Padding::Valid)),
        Just(stages(Padding::Same)),
        Just(layers(vec![
            conv(2, Padding::Zeros(1), Pool::NONE, Activation::Relu),
            conv(1, Padding::Valid, Pool::avg(2), Activation::LeakyRelu),
            dense(Activation::Relu),
        ])),
        Just(layers(vec![
            conv(1, Padding::Valid, Pool::max(3), Activation::Identity),
            conv(1, Padding::Zeros(1), Pool::GLOBAL, Activation::Relu),
        ])),
        Just(layers(vec![
            dense(Activation::LeakyRelu),
            dense(Activation::Identity)
        ])),
    ]
}

fn cases() -> impl Strategy<Value = Case> {
    let losses = prop_oneof![
        Just(Loss::Squared),
        Just(Loss::SquaredHinge),
        Just(Loss::Hinge),
        Just(Loss::Softmax),
        Just(Loss::MulticlassHinge),
    ];
    let updates = prop_oneof![
        Just(ActivationUpdate::OneStep),
        Just(ActivationUpdate::Exact)
    ];
    let penalty = || 0.1f32..5.0;
    let penalties = (penalty(), penalty(), penalty());
    (
        any::<u64>(),
        networks(),
        1usize..4,
        losses,
        updates,
        penalties,
    )
        .prop_map(
            |(seed, network, outputs, loss, activation, (beta, gamma, beta_output))| {
                let params = ScheduleParams {
                    loss,
                    beta,
                    gamma,
                    beta_output,
                    activation,
                    gram_rows: 40,
                    ..ScheduleParams::default()
                };
                Case::new(seed, &network, outputs, params)
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Each update minimises the augmented objective over its block, starting from a point where every
    /// constraint holds.
    #[test]
    fn a_sweep_never_raises_the_objective(case in cases()) {
        let Swept { scalars, .. } = case.sweep(false);
        let objective = scalars.objective(&case.params.penalties());
        prop_assert!(objective <= scalars.loss + 1e-4 * scalars.loss.abs().max(1.0), "{objective} > {}", scalars.loss);
        for (left, whole) in scalars.coupling.iter().zip(&scalars.output[1..]) {
            prop_assert!(*left <= whole * (1.0 + 1e-4) + 1e-6, "an activation update must not widen a residual");
        }
    }

    /// Whatever the layers, the loss and the penalties: of the sample watched every check holds.
    #[test]
    fn every_check_of_a_sweep_holds(case in cases()) {
        let Swept { checks, .. } = case.sweep(false);
        for tally in checks.tallies() {
            prop_assert_eq!(tally.held, tally.ran, "{:?}", tally);
        }
        let ran = |check| checks.tallies().iter().filter(|tally| tally.check == check).map(|tally| tally.ran).sum::<u64>();
        prop_assert_eq!((ran(Check::OutputProx), ran(Check::NormalEquations)), (1, 0));
        prop_assert!(ran(Check::Sweep) == 1 || ran(Check::Sweep) as usize == 2 * case.network.len() - 1);
    }

    #[test]
    fn checks_change_no_bit(case in cases()) {
        let mut unchecked = Case { params: ScheduleParams { check_every: 0, ..case.params.clone() }, ..case };
        let (without, _) = (unchecked.sweep(true), unchecked.params.check_every = 1);
        let with = unchecked.sweep(true);
        prop_assert!(without.checks.tallies().is_empty() && !with.checks.tallies().is_empty());
        prop_assert_eq!(without.scalars, with.scalars);
        let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(&without.sums), bits(&with.sums));
        prop_assert_eq!(bits(&without.residuals), bits(&with.residuals));
    }

    #[test]
    fn the_last_stages_equations_are_those_of_its_inputs_and_residuals(case in cases()) {
        let swept = case.sweep(true);
        let layout = EquationLayout::new(&case.network, true);
        let mut forward = lagrange_core::forward::Forward::new(&case.network, SAMPLES);
        forward.load(&case.weights);
        forward.run(&case.images);
        let d = case.network.last().unknowns();
        let mut rows = ndarray::Array2::zeros((SAMPLES, d));
        let last = case.network.len() - 1;
        forward.write_rows(last, rows.as_slice_mut().expect("contiguous"));
        let outputs = case.network.outputs();
        let cross = layout.cross(last, &swept.sums);
        let triangle = layout.triangle(last, &swept.sums);
        for i in 0..rows.ncols() {
            for o in 0..outputs {
                let direct: f32 = (0..SAMPLES).map(|n| rows[[n, i]] * swept.residuals[n * outputs + o]).sum();
                prop_assert!((cross[[i, o]] - direct).abs() < 1e-4 * direct.abs().max(1.0));
            }
            for j in 0..=i {
                let direct: f32 = (0..SAMPLES).map(|n| rows[[n, i]] * rows[[n, j]]).sum();
                let packed = triangle[i * (i + 1) / 2 + j];
                prop_assert!((packed - direct).abs() < 1e-4 * direct.abs().max(1.0));
            }
        }
        // Every hidden Gram matrix has the bias' 1 x 1 in its corner once per sampled row.
        for stage in 0..last {
            prop_assert_eq!(layout.triangle(stage, &swept.sums).last(), Some(&40.0));
        }
    }
}
