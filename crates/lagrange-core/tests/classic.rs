//! Whole classic steps: against the streaming sweep, and against the objective that they minimise.

use lagrange_core::activation::ActivationUpdate;
use lagrange_core::check::{Check, Checks};
use lagrange_core::equations::EquationLayout;
use lagrange_core::loss::Loss;
use lagrange_core::network::{Network, NetworkSpec, Padding, Shape, StageSpec};
use lagrange_core::random::{Purpose, stream};
use lagrange_core::residual::StepScalars;
use lagrange_core::schedule::classic::Classic;
use lagrange_core::schedule::streaming::Streaming;
use lagrange_core::schedule::{
    BlockOrder, ClassicParams, Cut, Fit, InitialState, Round, Schedule, ScheduleKind,
    ScheduleParams, ShardInput, ShardOutput, ShardState, SolverKind, StepDone, Totals,
};
use lagrange_core::start::he;
use lagrange_core::weights::Weights;
use rand::RngExt as _;

/// More than one block, the last one not full.
const SAMPLES: usize = 37;

const CUT: Cut = Cut {
    shards: 1,
    samples: SAMPLES,
};

fn params(solver: SolverKind) -> ScheduleParams {
    ScheduleParams {
        kind: ScheduleKind::Classic,
        solver,
        loss: Loss::Squared,
        beta: 1.5,
        gamma: 0.7,
        beta_output: 1.2,
        activation: ActivationUpdate::Exact,
        ridge: 1e-6,
        ..ScheduleParams::default()
    }
}

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
    let spec = NetworkSpec::of_stages(&[stage(3), stage(4)]);
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

/// What a shard gives in a round.
struct Given {
    scalars: StepScalars,
    sums: Vec<f32>,
    residuals: Vec<f32>,
    equations: Vec<f32>,
    checks: Checks,
}

impl Problem {
    fn classic(&self, solver: SolverKind, classic: &ClassicParams) -> Classic {
        Classic::new(&params(solver), classic, &self.network, CUT)
    }

    fn round(
        &self,
        schedule: &dyn Schedule,
        state: Option<&mut ShardState>,
        round: Round,
    ) -> Given {
        let sizes = schedule.sizes(round).expect("a round of the schedule");
        let mut sums = vec![f32::NAN; sizes.sums];
        let mut rows = vec![f32::NAN; sizes.rows_out];
        let mut worker = schedule.worker();
        worker.forward().load(&self.weights);
        let input = ShardInput {
            images: &self.images,
            targets: &self.targets,
            weights: &[],
            multipliers: &vec![0.25; sizes.rows_in],
            positions: &self.positions,
            shared: &vec![1.0; sizes.shared - self.network.weights()],
            loaded: &self.weights,
            key: (5, 0),
        };
        let mut checks = Checks::default();
        let output = ShardOutput {
            sums: &mut sums,
            rows: &mut rows,
            checks: &mut checks,
        };
        let scalars = worker.run(round, &input, state, output);
        let equations = rows.split_off(sizes.rows_in);
        Given {
            scalars,
            sums,
            residuals: rows,
            equations,
            checks,
        }
    }

    /// Runs one step; what it came to.
    fn step(&mut self, schedule: &dyn Schedule, state: &mut ShardState, step: u64) -> StepDone {
        let mut coordinator = schedule.coordinator();
        loop {
            let round = coordinator.round(step);
            let given = self.round(schedule, Some(state), round);
            assert_holds(&given.checks);
            let totals = Totals {
                sums: &given.sums,
                scalars: &given.scalars,
                equations: &[&given.equations],
            };
            let done = coordinator.absorb(round, &totals, 1.0, &mut self.weights);
            if let Some(done) = done.expect("solvable") {
                assert_holds(&done.checks);
                return done;
            }
        }
    }
}

fn assert_holds(checks: &Checks) {
    for tally in checks.tallies() {
        assert_eq!(tally.held, tally.ran, "{tally:?}");
    }
}

fn ran(checks: &Checks, check: Check) -> u64 {
    let of_kind = checks.tallies().iter().filter(|tally| tally.check == check);
    of_kind.map(|tally| tally.ran).sum()
}

fn close(left: &[f32], right: &[f32]) {
    assert_eq!(left.len(), right.len());
    for (l, r) in left.iter().zip(right) {
        assert!((l - r).abs() < 1e-3 * r.abs().max(1.0), "{l} {r}");
    }
}

const FIRST: Round = Round {
    step: 0,
    stage: 0,
    gram: false,
};

#[test]
fn output_first_with_a_reset_in_every_step_is_the_streaming_sweep() {
    for seed in 0..4 {
        let problem = problem(seed);
        let classic = ClassicParams {
            order: BlockOrder::OutputFirst,
            reset_every: 1,
            ..ClassicParams::default()
        };
        let classic = problem.classic(SolverKind::Gram, &classic);
        assert!(!classic.is_stateful());
        let streaming = Streaming::new(&params(SolverKind::Gram), &problem.network, CUT);
        let theirs = problem.round(&streaming, None, FIRST);
        let ours = problem.round(&classic, None, FIRST);
        close(&ours.residuals, &theirs.residuals);
        let layout = EquationLayout::new(&problem.network, false);
        for stage in 0..problem.network.len() {
            let cross = |layout: &EquationLayout, sums| -> Vec<f32> {
                layout.cross(stage, sums).iter().copied().collect()
            };
            close(
                &cross(&classic.layout(FIRST), &ours.sums),
                &cross(&layout, &theirs.sums),
            );
        }
        let penalties = params(SolverKind::Gram).penalties();
        let [ours, theirs] = [ours, theirs].map(|given| given.scalars.objective(&penalties));
        assert!(
            (ours - theirs).abs() < 1e-6 * theirs.abs(),
            "{ours} {theirs}"
        );
    }
}

/// Orders that keep z and a start, at a first visit, where the forward pass leaves them.
#[test]
fn a_first_visit_is_a_forward_reset_in_every_order() {
    let problem = problem(6);
    let reset = |order, fit, reset_every| {
        let classic = ClassicParams {
            order,
            fit,
            reset_every,
            ..ClassicParams::default()
        };
        let schedule = problem.classic(SolverKind::Gram, &classic);
        let mut state = ShardState::new(&problem.network, SAMPLES);
        let mut given = problem.round(&schedule, Some(&mut state), FIRST);
        if reset_every > 0 {
            let second = Round { step: 1, ..FIRST };
            let again = problem.round(&schedule, Some(&mut state), second);
            assert_eq!(
                again.residuals, given.residuals,
                "{order:?}: the second visit as the first"
            );
            given = again;
        }
        given
    };
    for order in [BlockOrder::OutputFirst, BlockOrder::InputFirst] {
        for fit in [Fit::Forward, Fit::Updated] {
            let (once, always) = (reset(order, fit, 0), reset(order, fit, 1));
            assert_eq!(once.residuals, always.residuals);
            close(&once.sums, &always.sums);
        }
    }
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
            let classic = ClassicParams {
                initial,
                ..ClassicParams::default()
            };
            let schedule = problem.classic(solver, &classic);
            let mut state = ShardState::new(&problem.network, SAMPLES);
            let step = |step| problem.step(&schedule, &mut state, step).objective;
            let objectives: Vec<f64> = (0..6).map(step).collect();
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
        // From a forward pass, the weights that are there fit already.
        let classic = ClassicParams {
            initial: InitialState::Random,
            ..ClassicParams::default()
        };
        let done = problem.step(&problem.classic(solver, &classic), &mut state, 0);
        (problem.weights.stage(0).to_owned(), done)
    });
    for (a, b) in gram.0.iter().zip(&inverse.0) {
        assert!((a - b).abs() < 1e-2 * b.abs().max(1.0), "{a} {b}");
    }
    let network = problem(3).network;
    let all: Vec<_> = network
        .stages()
        .iter()
        .map(|stage| SAMPLES * stage.rows())
        .collect();
    assert_eq!((&gram.1.equations, &inverse.1.equations), (&all, &all));
    for (gram, inverse) in gram.1.stages.iter().zip(&inverse.1.stages) {
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
    let params = ScheduleParams {
        equations: 2.0,
        ..params(SolverKind::Sampled)
    };
    let schedule = Classic::new(&params, &ClassicParams::default(), &problem.network, CUT);
    let mut state = ShardState::new(&problem.network, SAMPLES);
    let given = problem.round(&schedule, Some(&mut state), FIRST);
    let stage = &problem.network.stages()[0];
    let width = stage.unknowns() + stage.conv.channels;
    assert_eq!(given.equations.len(), 4 * stage.unknowns() * width);
    let mut patches: Vec<_> = given
        .equations
        .chunks(width)
        .map(|row| row[..9].iter().map(|v| v.to_bits()).collect::<Vec<_>>())
        .collect();
    for row in given.equations.chunks(width) {
        assert_eq!(row[9], 1.0);
        assert!(row.iter().all(|v| v.is_finite()));
    }
    patches.sort();
    patches.dedup();
    assert!(patches.len() >= 38, "{} distinct rows of 40", patches.len());
}

#[test]
fn an_audit_finds_the_distance_of_drawn_solutions_from_those_of_all_rows() {
    let mut problem = problem(5);
    let classic = ClassicParams {
        audit_every: 2,
        initial: InitialState::Random,
        ..ClassicParams::default()
    };
    for (solver, near) in [
        (SolverKind::Sampled, false),
        (SolverKind::PseudoInverse, true),
    ] {
        let schedule = problem.classic(solver, &classic);
        let mut state = ShardState::new(&problem.network, SAMPLES);
        let audited = problem.step(&schedule, &mut state, 0);
        for solve in &audited.solves {
            let distance = solve.distance.expect("audited");
            assert_eq!(distance < 1e-2, near, "{solver:?}: {distance}");
        }
        let plain = problem.step(&schedule, &mut state, 1);
        assert!(plain.solves.iter().all(|solve| solve.distance.is_none()));
    }
}

#[test]
fn a_round_that_does_not_follow_is_refused() {
    let problem = problem(0);
    let schedule = problem.classic(SolverKind::Gram, &ClassicParams::default());
    let mut state = ShardState::new(&problem.network, SAMPLES);
    let mut advance = |step, stage| {
        let round = Round {
            step,
            stage,
            ..FIRST
        };
        state.advance(3, &schedule, round)
    };
    for stage in 0..=3 {
        assert_eq!(advance(0, stage), Ok(()));
    }
    assert_eq!(advance(0, 3).map_err(|lost| lost.shard), Err(3));
    assert_eq!(advance(1, 0), Ok(()));
    assert!(schedule.sizes(Round { stage: 4, ..FIRST }).is_none());
}

/// Every solver and order: the checks that make sense there run, and hold from step to step.
#[test]
fn checks_run_and_hold_in_every_order_with_every_solver() {
    for solver in [
        SolverKind::Gram,
        SolverKind::Sampled,
        SolverKind::PseudoInverse,
    ] {
        for order in [
            BlockOrder::Taylor,
            BlockOrder::InputFirst,
            BlockOrder::OutputFirst,
        ] {
            let mut problem = problem(9);
            let classic = ClassicParams {
                order,
                reset_every: 2,
                ..ClassicParams::default()
            };
            let params = ScheduleParams {
                check_every: 1,
                equations: 4.0,
                ..params(solver)
            };
            let classic = Classic::new(&params, &classic, &problem.network, CUT);
            let mut state = ShardState::new(&problem.network, SAMPLES);
            for step in 0..4 {
                let done = problem.step(&classic, &mut state, step);
                // One system a stage.
                assert_eq!(
                    ran(&done.checks, Check::NormalEquations),
                    3,
                    "{solver:?} {order:?}"
                );
            }
        }
    }
}

/// From a forward pass backwards the objective falls block by block; in the other orders nothing says so.
#[test]
fn the_objective_is_followed_where_a_sweep_lowers_it() {
    for (order, followed) in [
        (BlockOrder::OutputFirst, true),
        (BlockOrder::InputFirst, false),
    ] {
        let classic = ClassicParams {
            order,
            reset_every: 1,
            ..ClassicParams::default()
        };
        let problem = problem(3);
        let schedule = problem.classic(SolverKind::Gram, &classic);
        let mut state = ShardState::new(&problem.network, SAMPLES);
        let given = problem.round(&schedule, Some(&mut state), FIRST);
        assert_holds(&given.checks);
        assert_eq!(ran(&given.checks, Check::OutputProx), 1);
        assert_eq!(
            ran(&given.checks, Check::Sweep),
            if followed { 5 } else { 0 }
        );
        let without = params(SolverKind::Gram).unchecked(&classic);
        assert_eq!(
            without.iter().any(|(check, _)| *check == Check::Sweep),
            !followed
        );
    }
}
