//! The state machine under faults, without sockets: whatever happens to workers, the result has the same bits.

use lagrange_cli::config::{Config, ScheduleKind};
use lagrange_coordinator::ClassicUpdate;
use lagrange_core::activation::ActivationUpdate;
use lagrange_core::network::{Activation, Padding, StageSpec};
use lagrange_core::schedule::classic::{Fit, InitialState, Order, SolverKind};
use lagrange_core::schedule::streaming::{HiddenStep, Metric};
use lagrange_data::{Dataset, Split};
use lagrange_tests::memory::{Faults, run};
use lagrange_tests::{bars, small_config};
use std::sync::Arc;

fn hashes(outcome: &lagrange_coordinator::Outcome) -> (String, String) {
    (
        outcome.weights_sha256.clone(),
        outcome.multipliers_sha256.clone(),
    )
}

fn same_3x3(channels: usize) -> StageSpec {
    StageSpec {
        kernel: 3,
        channels,
        padding: Padding::Same,
    }
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

/// Configurations that must each have a result of their own, whatever the number of workers.
struct Choices {
    base: Config,
    dataset: Arc<Dataset>,
    seen: Vec<String>,
}

impl Choices {
    fn new(base: Config, dataset: Arc<Dataset>) -> Self {
        Self {
            base,
            dataset,
            seen: Vec::new(),
        }
    }

    fn check(&mut self, change: &dyn Fn(&mut Config)) {
        let mut config = self.base.clone();
        change(&mut config);
        let one = run(&config, &self.dataset, 1, Faults::default(), 0).expect("ends");
        let three = run(&config, &self.dataset, 3, Faults::default(), 1).expect("ends");
        assert_eq!(hashes(&one), hashes(&three));
        assert!(
            !self.seen.contains(&one.weights_sha256),
            "a setting without effect"
        );
        self.seen.push(one.weights_sha256);
    }
}

#[test]
fn every_choice_is_independent_of_the_number_of_workers_and_changes_the_result() {
    let dataset = Arc::new(bars(200, 40));
    let mut base = small_config(8);
    // Long enough for margins beyond 1, where losses differ, and for steps that do not refresh the Gram matrices.
    base.schedule.epochs = 8.0;
    let mut choices = Choices::new(base, dataset);
    let mut check = |change: &dyn Fn(&mut Config)| choices.check(change);
    check(&|_| {});
    check(&|c| c.seed = 1);
    check(&|c| c.task = lagrange_data::Task::Digits);
    check(&|c| c.start.kind = lagrange_coordinator::StartKind::He);
    check(&|c| c.schedule.activation = ActivationUpdate::Exact);
    check(&|c| c.schedule.loss = lagrange_core::loss::Loss::Squared);
    check(&|c| c.schedule.loss = lagrange_core::loss::Loss::Hinge);
    check(&|c| c.schedule.dual_step = 0.0);
    check(&|c| c.schedule.gram_every = 1);
    check(&|c| c.network.stages[0].padding = Padding::Same);
    check(&|c| c.validation = 40);
    check(&|c| {
        // Three hidden stages of 3x3 kernels: 12, 6 and 3 pixels wide.
        c.network.stages = [3, 4, 5].map(same_3x3).to_vec();
    });
    check(&|c| c.augment.shift = 1.0);
    check(&|c| c.network.activation = Activation::Step);
    check(&|c| c.network.activation = Activation::QuantisedRelu);
    check(&|c| c.schedule.metric = Metric::Identity);
    check(&|c| c.schedule.hidden_step = HiddenStep::LeastSquares);
    check(&|c| c.schedule.warm_start = 8);
    check(&|c| c.schedule.balance = 2.0);
    check(&|c| c.schedule.solver = SolverKind::Sampled);
}

#[test]
fn every_choice_of_the_classic_schedule_is_independent_of_the_number_of_workers_and_changes_the_result()
 {
    let dataset = Arc::new(bars(200, 40));
    let mut base = small_config(8);
    base.schedule.kind = ScheduleKind::Classic;
    base.schedule.batch = 0;
    base.schedule.epochs = 4.0;
    base.schedule.ridge = 1e-3;
    let mut choices = Choices::new(base, dataset);
    let mut check = |change: &dyn Fn(&mut Config)| choices.check(change);
    let step = |c: &mut Config, order| {
        c.classic.update = ClassicUpdate::Step;
        c.classic.order = order;
        c.schedule.batch = 32;
    };
    check(&|_| {});
    check(&|c| c.schedule.warm_start = 2);
    check(&|c| c.classic.initial = InitialState::Random);
    check(&|c| c.classic.growth = 1.5);
    check(&|c| c.classic.reset_every = 2);
    check(&|c| c.classic.order = Order::OutputFirst);
    check(&|c| c.classic.order = Order::InputFirst);
    check(&|c| c.schedule.solver = SolverKind::PseudoInverse);
    check(&|c| c.schedule.solver = SolverKind::Sampled);
    check(&|c| {
        c.schedule.solver = SolverKind::Sampled;
        c.classic.screen = false;
    });
    check(&|c| {
        c.schedule.solver = SolverKind::Sampled;
        c.schedule.equations = 3.0;
    });
    check(&|c| step(c, Order::OutputFirst));
    check(&|c| step(c, Order::InputFirst));
    check(&|c| {
        step(c, Order::OutputFirst);
        c.classic.fit = Fit::Updated;
    });
    check(&|c| {
        step(c, Order::OutputFirst);
        c.classic.reset_every = 2;
    });
}

/// An audit only looks.
#[test]
fn an_audit_changes_nothing() {
    let dataset = Arc::new(bars(200, 40));
    let mut config = small_config(4);
    config.schedule.kind = ScheduleKind::Classic;
    config.schedule.batch = 0;
    config.schedule.solver = SolverKind::Sampled;
    let plain = run(&config, &dataset, 2, Faults::default(), 0).expect("ends");
    config.classic.audit_every = 1;
    let audited = run(&config, &dataset, 2, Faults::default(), 0).expect("ends");
    assert_eq!(hashes(&plain), hashes(&audited));
}

#[test]
fn a_diverging_run_goes_back_and_still_learns() {
    let dataset = Arc::new(bars(400, 100));
    let mut config = small_config(8);
    config.schedule.loss = lagrange_core::loss::Loss::Squared;
    config.schedule.epochs = 12.0;
    let trained = |output_rate| {
        let mut config = config.clone();
        config.schedule.output_rate = output_rate;
        run(&config, &dataset, 2, Faults::default(), 0).expect("ends")
    };
    assert_eq!(trained(0.1).rollbacks, 0);
    let rough = trained(8.0);
    assert!(rough.rollbacks > 0, "it must diverge");
    let accuracy = rough.evaluation(Split::Test).expect("evaluated").accuracy;
    assert!(accuracy > 0.9, "{accuracy}");
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
    let run = small_config(5)
        .plan(dataset.side(), dataset.train.labels.len())
        .expect("plan");
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
