use super::*;
use crate::fixture::{evaluation, observed, step, workers};
use lagrange::{Best, Network, NetworkSpec, Shape, Split};
use lagrange_core::weights::Weights;
use lagrange_report::Series;
use std::sync::Arc;

#[test]
fn a_run_is_followed_from_its_beginning_to_its_end() {
    let mut state = RunState::default();
    assert_eq!(state.words(), "reading the data");
    state.begin((0, 8));
    state.event(&observed(0.5, workers(3, 1)));
    assert_eq!(state.words(), "waiting for workers: 1 of 3 are there");
    let round = RunEvent::Start {
        stage: 1,
        round: "cluster",
    };
    state.event(&observed(1.0, workers(1, 2)));
    state.event(&observed(1.0, round));
    assert_eq!(state.words(), "finding the first kernels of stage 2");
    for number in 1..=4 {
        state.event(&observed(1.0 + number as f64, step(number, 8)));
    }
    assert_eq!(
        (state.words().as_str(), state.step, state.total),
        ("training", 4, 8)
    );
    // Three steps in three seconds.
    assert_eq!(state.seconds_left(), Some(4.0));
    let cost = state.pace.cost().expect("steps");
    assert_eq!((cost.bytes_sent, cost.bytes_received), (1e6, 2e6));
    assert!((cost.wait_seconds - 0.03).abs() < 1e-12 && (cost.work_seconds - 0.01).abs() < 1e-12);
    // Who leaves is none of those that are needed.
    state.event(&observed(5.0, workers(3, 3)));
    assert_eq!(state.missing(), 1);
    assert_eq!(
        state.words(),
        "waiting for workers: 3 of at least 3 are there"
    );
    state.end(Ending {
        result: None,
        error: Some("all workers are gone".to_owned()),
    });
    assert_eq!(state.words(), "the run is over: all workers are gone");
    assert_eq!(state.seconds_left(), None);
}

#[test]
fn of_each_split_the_last_evaluation_counts_and_the_best_is_kept() {
    let image = Shape {
        height: 28,
        width: 28,
        channels: 1,
    };
    let network = Network::resolve(&NetworkSpec::default(), image, 1).expect("it fits");
    let weights = Arc::new(Weights::zeros(&network));
    let mut state = RunState::default();
    state.begin((0, 8));
    for (step, split, correct) in [
        (4, Split::Validation, 90),
        (4, Split::Test, 80),
        (8, Split::Validation, 85),
    ] {
        let evaluation = evaluation(step, split, correct);
        state.event(&observed(step as f64, RunEvent::Evaluation(evaluation)));
        if correct == 90 {
            let weights = Arc::clone(&weights);
            let best = Best {
                evaluation,
                weights,
            };
            state.event(&observed(4.0, RunEvent::Best(best)));
        }
    }
    let correct: Vec<u64> = state.evaluations.iter().map(|of| of.correct).collect();
    assert_eq!(correct, [80, 85]);
    assert_eq!(
        state.best.map(|best| (best.step, best.correct)),
        Some((4, 90))
    );
    let curves = state.curves.evaluations("accuracy");
    assert_eq!(curves[0].points().len(), 2);
    assert!(
        state
            .lines
            .iter()
            .any(|line| line.text.starts_with("step 4/8: Test accuracy 80.00 %"))
    );
}

#[test]
fn a_run_that_goes_back_is_shown_where_it_is_and_tells_no_time() {
    let mut state = RunState::default();
    state.begin((6, 8));
    assert_eq!(state.step, 6);
    state.event(&observed(1.0, step(7, 8)));
    state.event(&observed(
        1.5,
        RunEvent::Rollback {
            step: 7,
            to: 2,
            rate_factor: 0.5,
            reason: "the loss came back".to_owned(),
        },
    ));
    state.event(&observed(2.0, step(3, 8)));
    assert_eq!((state.step, state.rollbacks.len()), (3, 1));
    assert_eq!(state.seconds_left(), None);
    let said: Vec<&str> = state.lines.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(
        said,
        [
            "resuming behind step 6/8",
            "step 7/8: the loss came back; going on from step 2 with steps 0.5 times as long"
        ]
    );
}

#[test]
fn a_long_run_takes_no_more_room_than_a_short_one() {
    let mut state = RunState::default();
    let total = 10 * Series::MOST as u64;
    state.begin((0, total));
    for number in 1..=total {
        state.event(&observed(number as f64, step(number, total)));
        if number % 100 == 0 {
            let change = format!("worker {number} joined");
            state.event(&observed(
                number as f64,
                RunEvent::Membership { workers: 1, change },
            ));
        }
    }
    for key in ["loss", "output_residual", "wait_seconds", "bytes_sent"] {
        for curve in state.curves.steps(key) {
            assert!(curve.points().len() <= Series::MOST, "{key}");
            assert!(curve.last().expect("values").x > 0.99 * total as f64);
        }
    }
    // What is no number has no place on a curve.
    assert_eq!(state.curves.steps("dual_residual")[1].points(), []);
    assert!(state.lines.iter().count() <= 200);
}
