//! The state machine under faults, without sockets: whatever happens to workers, the result has the same bits.

use lagrange_core::activation::ActivationUpdate;
use lagrange_data::Split;
use lagrange_tests::memory::{Faults, run};
use lagrange_tests::{bars, small_config};
use std::sync::Arc;

fn hashes(outcome: &lagrange_coordinator::Outcome) -> (String, String) {
    (
        outcome.weights_sha256.clone(),
        outcome.multipliers_sha256.clone(),
    )
}

#[test]
fn the_small_cluster_learns() {
    let dataset = Arc::new(bars(400, 100));
    let outcome = run(&small_config(8), &dataset, 3, Faults::default(), 0).expect("ends");
    let accuracy = outcome.evaluation(Split::Test).expect("evaluated").accuracy;
    assert!(accuracy > 0.95, "{accuracy}");
    assert_eq!(outcome.steps, 24);
}

#[test]
fn deaths_joins_delays_and_duplicates_change_nothing() {
    let dataset = Arc::new(bars(150, 40));
    // Five shards: the tree has a lone branch.
    let config = small_config(5);
    let baseline = run(&config, &dataset, 1, Faults::default(), 0).expect("ends");
    let mut deaths = 0;
    for seed in 0..60 {
        let faults = Faults {
            death: seed as u32 % 4 * 8,
            join: 10,
            duplicate: 20,
        };
        deaths += faults.death;
        let workers = 1 + seed % 5;
        let outcome = run(&config, &dataset, workers, faults, seed).expect("ends");
        assert_eq!(hashes(&outcome), hashes(&baseline), "seed {seed}");
    }
    assert!(deaths > 0, "the faults must fire");
}

#[test]
fn every_choice_is_independent_of_the_number_of_workers_and_changes_the_result() {
    let dataset = Arc::new(bars(200, 40));
    let mut base = small_config(8);
    // Long enough for margins beyond 1, where losses differ, and for steps that do not refresh the Gram matrices.
    base.schedule.epochs = 8;
    let mut seen = vec![];
    let mut check = |change: &dyn Fn(&mut lagrange_cli::config::Config)| {
        let mut config = base.clone();
        change(&mut config);
        let one = run(&config, &dataset, 1, Faults::default(), 0).expect("ends");
        let three = run(&config, &dataset, 3, Faults::default(), 1).expect("ends");
        assert_eq!(hashes(&one), hashes(&three));
        assert!(
            !seen.contains(&one.weights_sha256),
            "a setting without effect"
        );
        seen.push(one.weights_sha256.clone());
    };
    check(&|_| {});
    check(&|c| c.seed = 1);
    check(&|c| c.task = lagrange_data::Task::Digits);
    check(&|c| c.start.kind = lagrange_coordinator::StartKind::He);
    check(&|c| c.schedule.activation = ActivationUpdate::Exact);
    check(&|c| c.schedule.loss = lagrange_core::loss::Loss::Squared);
    check(&|c| c.schedule.loss = lagrange_core::loss::Loss::Hinge);
    check(&|c| c.schedule.dual_step = 0.0);
    check(&|c| c.schedule.gram_every = 1);
    check(&|c| c.network.stages[0].padding = lagrange_core::network::Padding::Same);
    check(&|c| c.validation = 40);
}

#[test]
fn multipliers_are_zero_only_when_switched_off() {
    let dataset = Arc::new(bars(200, 40));
    let multipliers = |dual_step| {
        let mut config = small_config(4);
        config.schedule.dual_step = dual_step;
        run(&config, &dataset, 2, Faults::default(), 0)
            .expect("ends")
            .multipliers_sha256
    };
    let zeros = lagrange_coordinator::sha256_of(vec![0.0f32; 200].iter());
    assert_eq!(multipliers(0.0), zeros);
    assert_ne!(multipliers(1.0), zeros);
}

#[test]
fn an_interrupted_run_without_workers_ends_at_once_with_what_there_is() {
    use lagrange_coordinator::{Command, Event, Plan, Training};
    let dataset = bars(150, 40);
    let run = small_config(5).plan(dataset.side()).expect("plan");
    let partition = lagrange_data::Partition::new(&dataset, 5, 0, None).expect("partition");
    let plan = || Plan::new(run.clone(), partition).expect("plan");
    let ended = |commands: &[Command]| matches!(commands, [.., Command::End(Ok(outcome))] if outcome.interrupted);
    let joined = || Event::Joined {
        worker: 1,
        threads: 1,
    };
    let lost = || Event::Lost {
        worker: 1,
        reason: "killed".to_owned(),
    };

    let mut training = Training::new("a".to_owned(), plan(), 1);
    training.handle(joined());
    assert!(!ended(&training.handle(Event::Interrupted)));
    assert!(ended(&training.handle(lost())));

    let mut training = Training::new("b".to_owned(), plan(), 1);
    training.handle(joined());
    let grace = training.handle(lost());
    assert!(matches!(grace.last(), Some(Command::StartGrace)));
    assert!(ended(&training.handle(Event::Interrupted)));
    assert!(
        training.handle(joined()).is_empty(),
        "an ended run stays ended"
    );
}
