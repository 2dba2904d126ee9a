use super::*;
use crate::network::{NetworkSpec, Padding, Shape, StageSpec};
use crate::start::he;
use crate::toeplitz::tests::draw;

fn network() -> Network {
    let input = Shape {
        height: 6,
        width: 6,
        channels: 1,
    };
    let stage = StageSpec {
        kernel: 3,
        channels: 2,
        padding: Padding::Valid,
    };
    Network::resolve(&NetworkSpec::of_stages(&[stage]), input, 2).expect("fits")
}

/// Sums with the Gram matrices of random rows; `rows` batches' worth.
fn sums(layout: &EquationLayout, network: &Network, seeds: &[u64], scale: f32) -> Vec<f32> {
    let mut sums = draw(9, layout.len());
    for (index, stage) in network.stages().iter().enumerate() {
        let d = stage.unknowns();
        let mut gram = Array2::zeros((d, d));
        for &seed in seeds {
            let rows = Array2::from_shape_vec((3, d), draw(seed, 3 * d)).expect("shape");
            gram += &rows.t().dot(&rows);
        }
        crate::equations::pack_triangle(
            (gram * scale).view(),
            layout.triangle_mut(index, &mut sums),
        );
    }
    sums
}

fn moved(network: &Network, all_sums: &[Vec<f32>]) -> Weights {
    let layout = EquationLayout::new(network, true);
    let params = ScheduleParams {
        momentum: 0.0,
        ..ScheduleParams::default()
    };
    let mut update = WeightUpdate::new(network, &params, 4, Some(3));
    let mut weights = he(network, 1);
    for sums in all_sums {
        weights = he(network, 1);
        update
            .step(
                &layout,
                sums,
                1.0,
                &mut weights,
                &mut SolveChecks::default(),
            )
            .expect("solvable");
    }
    weights
}

/// One batch's rows do not span what the next batch needs: early systems must be a plain mean, not a decaying
/// one.
#[test]
fn the_first_gram_matrices_are_averaged() {
    let network = network();
    let layout = EquationLayout::new(&network, true);
    let one_by_one = [1, 2, 3].map(|seed| sums(&layout, &network, &[seed], 1.0));
    let at_once = [sums(&layout, &network, &[1, 2, 3], 1.0 / 3.0)];
    let (left, right) = (moved(&network, &one_by_one), moved(&network, &at_once));
    for (l, r) in left.as_slice().iter().zip(right.as_slice()) {
        assert!((l - r).abs() < 1e-4 * r.abs().max(1.0), "{l} {r}");
    }
}

/// Norms are updated from step to step and must agree with a product with G.
#[test]
fn norms_between_refreshes_are_those_of_the_gram_matrix() {
    let network = network();
    let [plain, refreshing] = [false, true].map(|gram| EquationLayout::new(&network, gram));
    for metric in [Metric::Gram, Metric::Identity] {
        let params = ScheduleParams {
            trust: 0.2,
            metric,
            ..ScheduleParams::default()
        };
        let mut update = WeightUpdate::new(&network, &params, 4, Some(3));
        let mut weights = he(&network, 1);
        let first = sums(&refreshing, &network, &[1, 2], 1.0);
        update
            .step(
                &refreshing,
                &first,
                1.0,
                &mut weights,
                &mut SolveChecks::default(),
            )
            .expect("solvable");
        for seed in 0..8 {
            let before = weights.clone();
            let report = update
                .step(
                    &plain,
                    &draw(seed, plain.len()),
                    1.0,
                    &mut weights,
                    &mut SolveChecks::default(),
                )
                .expect("solvable");
            for (index, report) in report.iter().enumerate() {
                let gram = &update.stages[index].gram;
                let norm = gram_norm(gram, before.stage(index));
                let step = &weights.stage(index) - &before.stage(index);
                let length = gram_norm(gram, step.view());
                assert!((report.weight_norm - norm).abs() < 1e-3 * norm);
                assert!((report.step_norm - length).abs() < 1e-3 * length);
            }
        }
    }
}

#[test]
fn a_factor_that_waits_is_that_of_the_next_step_whoever_makes_it() {
    let network = network();
    let layout = EquationLayout::new(&network, true);
    let all: Vec<_> = (1..6)
        .map(|seed| sums(&layout, &network, &[seed], 1.0))
        .collect();
    let run = |behind: bool, settled: bool| {
        let update = WeightUpdate::new(&network, &ScheduleParams::default(), 4, Some(3));
        let mut update = if behind {
            update.factorise_behind(2)
        } else {
            update
        };
        let mut weights = he(&network, 1);
        let mut path = Vec::new();
        for sums in &all {
            update
                .step(
                    &layout,
                    sums,
                    1.0,
                    &mut weights,
                    &mut SolveChecks::default(),
                )
                .expect("solvable");
            if settled {
                update.settle(&weights).expect("solvable");
            }
            path.push(weights.clone());
        }
        path
    };
    let (at_once, behind) = (run(false, false), run(true, false));
    assert_eq!(behind, run(true, true));
    assert_eq!(at_once[..2], behind[..2]);
    assert_ne!(at_once[2], behind[2]);
}

#[test]
fn hidden_stages_move_by_the_trust_region_and_nothing_moves_on_bad_sums() {
    let network = network();
    let layout = EquationLayout::new(&network, true);
    let params = ScheduleParams::default();
    let mut update = WeightUpdate::new(&network, &params, 4, Some(3));
    let mut weights = he(&network, 1);
    let good = sums(&layout, &network, &[1], 1.0);
    let report = update
        .step(
            &layout,
            &good,
            0.5,
            &mut weights,
            &mut SolveChecks::default(),
        )
        .expect("solvable");
    let relative = report[0].step_norm / report[0].weight_norm;
    assert!((relative - 0.5 * params.trust).abs() < 1e-5, "{relative}");
    for at in [0, layout.len() - 1] {
        let before = weights.clone();
        let mut bad = good.clone();
        bad[at] = f32::NAN;
        let error = update
            .step(
                &layout,
                &bad,
                0.5,
                &mut weights,
                &mut SolveChecks::default(),
            )
            .expect_err("refused");
        assert!(matches!(error, SolveError::NotFinite { .. }), "{error}");
        assert_eq!(weights, before);
    }
}

/// Sums of a step: cross moments at random, Gram matrices positive definite.
fn sound_sums(network: &Network, layout: &EquationLayout, seed: u64) -> Vec<f32> {
    let mut sums = draw(seed, layout.len());
    for stage in 0..if layout.has_gram() { network.len() } else { 0 } {
        let triangle = layout.triangle_mut(stage, &mut sums);
        triangle.iter_mut().for_each(|value| *value *= 0.01);
        for row in 0..network.stages()[stage].unknowns() {
            triangle[row * (row + 3) / 2] = 30.0;
        }
    }
    sums
}

#[test]
fn what_is_restored_goes_on_with_the_same_bits_from_any_step() {
    let network = network();
    let layouts = [false, true].map(|gram| EquationLayout::new(&network, gram));
    let new = || {
        WeightUpdate::new(&network, &ScheduleParams::default(), 64, Some(256)).factorise_behind(2)
    };
    let memory = |update: &WeightUpdate| {
        let mut memory = Memory::default();
        update.save(&mut memory);
        memory
    };
    let (mut update, mut weights) = (new(), he(&network, 1));
    for step in 0..7u64 {
        let mut other = new();
        other.restore(&memory(&update)).expect("its own memory");
        let mut other_weights = weights.clone();
        let layout = &layouts[usize::from(step % 2 == 0)];
        let sums = sound_sums(&network, layout, step);
        let report = update
            .step(
                layout,
                &sums,
                0.5,
                &mut weights,
                &mut SolveChecks::default(),
            )
            .expect("step");
        let other_report = other.step(
            layout,
            &sums,
            0.5,
            &mut other_weights,
            &mut SolveChecks::default(),
        );
        assert_eq!(weights, other_weights, "step {step}");
        assert_eq!(Ok(report), other_report);
        assert_eq!(memory(&update), memory(&other));
    }
}

#[test]
fn a_foreign_memory_is_refused_by_name() {
    let network = network();
    let mut update = WeightUpdate::new(&network, &ScheduleParams::default(), 64, Some(256));
    let mut memory = Memory::default();
    update.save(&mut memory);
    let mut refused = |change: &dyn Fn(&mut Memory)| {
        let mut memory = memory.clone();
        change(&mut memory);
        update.restore(&memory).expect_err("foreign").to_string()
    };
    let shorter = |memory: &mut Memory| {
        let velocity = memory.arrays.get_mut("1.velocity").expect("there");
        velocity.pop();
    };
    assert!(refused(&shorter).contains("1.velocity"));
    let not_finite =
        |memory: &mut Memory| memory.arrays.get_mut("0.gram").expect("there")[5] = f32::NAN;
    assert!(refused(&not_finite).contains("0.gram"));
    assert!(refused(&|memory| memory.numbers.clear()).contains("is missing"));
}
