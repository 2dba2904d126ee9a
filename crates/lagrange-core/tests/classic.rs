//! Whole classic steps: against the streaming sweep, and against the objective that they minimise.

use lagrange_core::activation::ActivationUpdate;
use lagrange_core::equations::EquationLayout;
use lagrange_core::loss::Loss;
use lagrange_core::network::{Network, NetworkSpec, Padding, Shape, StageSpec};
use lagrange_core::pooling::StaircaseUpdate;
use lagrange_core::random::{Purpose, stream};
use lagrange_core::residual::StepScalars;
use lagrange_core::schedule::classic::{
    Fit, FullUpdate, InitialState, LocalSweep, Order, ShardState, SolverKind, StageSolve,
    SweepInput, SweepOutput, SweepParams, SweepRound, rows_per_shard,
};
use lagrange_core::schedule::streaming::{LocalStep, StepInput, StepOutput, StepParams};
use lagrange_core::start::he;
use lagrange_core::weights::Weights;
use ndarray::ArrayView2;
use rand::RngExt as _;

/// More than one block, the last one not full.
const SAMPLES: usize = 37;

const PARAMS: StepParams = StepParams {
    loss: Loss::Squared,
    beta: 1.5,
    gamma: 0.7,
    beta_output: 1.2,
    activation: ActivationUpdate::Exact,
    gram_rows: 8,
    staircase: StaircaseUpdate::Dithered,
    equations: 0.0,
};

const SWEEP: SweepParams = SweepParams {
    order: Order::Taylor,
    reset_every: 0,
    fit: Fit::Forward,
    initial: InitialState::Forward,
    solver: SolverKind::Gram,
    equations: 1.0,
    screen: true,
    growth: 1.0,
};

struct Problem {
    network: Network,
    images: Vec<f32>,
    targets: Vec<f32>,
    positions: Vec<u32>,
    weights: Weights,
}

fn problem(seed: u64) -> Problem {
    let stage = |channels| StageSpec {
        kernel: 3,
        channels,
        padding: Padding::Same,
    };
    let spec = NetworkSpec {
        stages: vec![stage(3), stage(4)],
        ..NetworkSpec::default()
    };
    let input = Shape {
        height: 8,
        width: 8,
        channels: 1,
    };
    let network = Network::resolve(&spec, input, 2).expect("fits");
    let mut random = stream(seed, Purpose::Rows, 0, 0);
    let mut draw =
        |n: usize| -> Vec<f32> { (0..n).map(|_| random.random_range(-1.0..1.0)).collect() };
    let images = draw(SAMPLES * input.len());
    let targets = draw(SAMPLES * 2).into_iter().map(f32::signum).collect();
    Problem {
        weights: he(&network, seed),
        positions: (0..SAMPLES as u32).rev().collect(),
        network,
        images,
        targets,
    }
}

/// A round's scalars, sums, residuals and rows.
struct Round {
    scalars: StepScalars,
    layout: EquationLayout,
    sums: Vec<f32>,
    residuals: Vec<f32>,
    rows: Vec<f32>,
}

impl Problem {
    fn round(&self, sweep: SweepParams, state: &mut ShardState, round: SweepRound) -> Round {
        let stages = round.collects(sweep.order, self.network.len());
        let gram = sweep.solver == SolverKind::Gram || round.audit;
        let layout = EquationLayout::of_stages(
            &self.network,
            if gram { stages.clone() } else { 0..0 },
            gram,
        );
        let rows: usize = self.network.stages()[stages]
            .iter()
            .map(|s| rows_per_shard(s, &sweep, 1) * (s.unknowns() + s.conv.channels))
            .sum();
        let mut sums = vec![f32::NAN; layout.len()];
        let mut rows = vec![f32::NAN; rows];
        let mut residuals = vec![0.0; self.targets.len()];
        let multipliers = vec![0.25; self.targets.len()];
        let input = SweepInput {
            weights: &self.weights,
            images: &self.images,
            targets: &self.targets,
            multipliers: &multipliers,
            positions: &self.positions,
            round,
            key: (5, 0),
        };
        let output = SweepOutput {
            sums: &mut sums,
            residuals: &mut residuals,
            rows: &mut rows,
        };
        let scalars =
            LocalSweep::new(&self.network, PARAMS, sweep, 1).run(&layout, state, &input, output);
        Round {
            scalars,
            layout,
            sums,
            residuals,
            rows,
        }
    }
}

fn close(left: &[f32], right: &[f32]) {
    assert_eq!(left.len(), right.len());
    for (l, r) in left.iter().zip(right) {
        assert!((l - r).abs() < 1e-3 * r.abs().max(1.0), "{l} {r}");
    }
}

#[test]
fn output_first_with_a_reset_in_every_step_is_the_streaming_sweep() {
    for seed in 0..4 {
        let problem = problem(seed);
        let sweep = SweepParams {
            order: Order::OutputFirst,
            reset_every: 1,
            ..SWEEP
        };
        let mut state = ShardState::new(&problem.network, SAMPLES);
        let layout = EquationLayout::new(&problem.network, false);
        let (mut sums, mut residuals) = (vec![0.0; layout.len()], vec![0.0; problem.targets.len()]);
        let input = StepInput {
            images: &problem.images,
            targets: &problem.targets,
            multipliers: &vec![0.25; problem.targets.len()],
            penalty_factor: 1.0,
            key: (5, 0, 0),
        };
        let output = StepOutput {
            sums: &mut sums,
            residuals: &mut residuals,
        };
        let mut step = LocalStep::new(&problem.network, PARAMS);
        step.load(&problem.weights);
        let streaming = step.run(&layout, &input, output);
        // The second visit starts from the same forward pass as the first.
        for step in 0..2 {
            let round = problem.round(
                sweep,
                &mut state,
                SweepRound {
                    step,
                    stage: 0,
                    audit: false,
                },
            );
            close(&round.residuals, &residuals);
            for stage in 0..problem.network.len() {
                let ours: Vec<f32> = round
                    .layout
                    .cross(stage, &round.sums)
                    .iter()
                    .copied()
                    .collect();
                let theirs: Vec<f32> = layout.cross(stage, &sums).iter().copied().collect();
                close(&ours, &theirs);
            }
            let (ours, theirs) = (
                round.scalars.objective(&PARAMS),
                streaming.objective(&PARAMS),
            );
            assert!(
                (ours - theirs).abs() < 1e-3 * theirs.abs(),
                "{ours} {theirs}"
            );
        }
    }
}

/// Runs one step in Taylor's order; returns its objective and how every stage was solved.
fn taylor_step(
    problem: &mut Problem,
    sweep: SweepParams,
    state: &mut ShardState,
    step: u64,
) -> (f64, Vec<StageSolve>) {
    let update = FullUpdate::new(&problem.network, &sweep, SAMPLES, 1e-6);
    let mut solves = Vec::new();
    let stages = problem.network.len();
    let mut total = StepScalars::zeros(stages).to_row();
    for stage in 0..=stages {
        let round = problem.round(
            sweep,
            state,
            SweepRound {
                step,
                stage,
                audit: false,
            },
        );
        for (sum, value) in total.iter_mut().zip(round.scalars.to_row()) {
            *sum += value;
        }
        if let Some(shape) = problem.network.stages().get(stage) {
            let width = shape.unknowns() + shape.conv.channels;
            let rows = ArrayView2::from_shape((round.rows.len() / width, width), &round.rows)
                .expect("whole rows");
            let weights = &mut problem.weights;
            let solve = update.solve(stage, &round.layout, &round.sums, rows, weights);
            solves.push(solve.expect("solvable"));
        }
    }
    let scalars = StepScalars::from_row(&total, stages).expect("length");
    (scalars.objective_forward(&PARAMS), solves)
}

#[test]
fn taylors_order_never_raises_the_objective() {
    for (seed, initial) in [
        (0, InitialState::Forward),
        (1, InitialState::Random),
        (2, InitialState::Random),
    ] {
        for solver in [SolverKind::Gram, SolverKind::PseudoInverse] {
            let mut problem = problem(seed);
            let sweep = SweepParams {
                initial,
                solver,
                ..SWEEP
            };
            let mut state = ShardState::new(&problem.network, SAMPLES);
            let objectives: Vec<f64> = (0..6)
                .map(|step| taylor_step(&mut problem, sweep, &mut state, step).0)
                .collect();
            for pair in objectives.windows(2) {
                assert!(pair[1] <= pair[0] + 1e-3 * pair[0].abs(), "{objectives:?}");
            }
        }
    }
}

#[test]
fn the_pseudo_inverse_and_the_gram_solver_take_the_same_steps() {
    let [gram, inverse] = [SolverKind::Gram, SolverKind::PseudoInverse].map(|solver| {
        let mut problem = problem(3);
        let mut state = ShardState::new(&problem.network, SAMPLES);
        let sweep = SweepParams {
            solver,
            // From a forward pass, the weights that are there fit already.
            initial: InitialState::Random,
            ..SWEEP
        };
        let (_, solves) = taylor_step(&mut problem, sweep, &mut state, 0);
        (problem.weights.stage(0).to_owned(), solves)
    });
    for (a, b) in gram.0.iter().zip(&inverse.0) {
        assert!((a - b).abs() < 1e-2 * b.abs().max(1.0), "{a} {b}");
    }
    let network = problem(3).network;
    for ((gram, inverse), stage) in gram.1.iter().zip(&inverse.1).zip(network.stages()) {
        for solve in [gram, inverse] {
            assert_eq!(solve.rows, SAMPLES * stage.rows(), "{solve:?}");
        }
        for (a, b) in [
            (gram.weight_norm, inverse.weight_norm),
            (gram.step_norm, inverse.step_norm),
        ] {
            assert!((a - b).abs() < 1e-2 * b, "{gram:?} {inverse:?}");
        }
    }
}

#[test]
fn drawn_equations_are_rows_of_the_state_and_screened_ones_differ() {
    let mut problem = problem(4);
    // Every image the same: duplicates abound.
    let image = problem.images[..64].to_vec();
    problem.images = image.repeat(SAMPLES);
    let sweep = SweepParams {
        solver: SolverKind::Sampled,
        equations: 2.0,
        ..SWEEP
    };
    let mut state = ShardState::new(&problem.network, SAMPLES);
    let round = problem.round(
        sweep,
        &mut state,
        SweepRound {
            step: 0,
            stage: 0,
            audit: false,
        },
    );
    let stage = &problem.network.stages()[0];
    let width = stage.unknowns() + stage.conv.channels;
    assert_eq!(round.rows.len(), 4 * stage.unknowns() * width);
    let mut patches: Vec<_> = round
        .rows
        .chunks(width)
        .map(|row| row[..9].iter().map(|v| v.to_bits()).collect::<Vec<_>>())
        .collect();
    for row in round.rows.chunks(width) {
        assert_eq!(row[9], 1.0);
        assert!(row.iter().all(|v| v.is_finite()));
    }
    patches.sort();
    patches.dedup();
    assert!(patches.len() >= 38, "{} distinct rows of 40", patches.len());
}

#[test]
fn a_round_that_does_not_follow_is_refused() {
    let problem = problem(0);
    let mut state = ShardState::new(&problem.network, SAMPLES);
    let mut advance = |step, stage| {
        let round = SweepRound {
            step,
            stage,
            audit: false,
        };
        state.advance(3, Order::Taylor, round, problem.network.len())
    };
    for stage in 0..=3 {
        assert_eq!(advance(0, stage), Ok(()));
    }
    assert_eq!(advance(0, 3).map_err(|lost| lost.shard), Err(3));
    assert_eq!(advance(1, 0), Ok(()));
}
