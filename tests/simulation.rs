//! The state machine under faults, without sockets: whatever happens to workers, the result has the same
//! bits.

use lagrange::Config;
use lagrange_coordinator::{Command, Event, Snapshot, Training, TrainingError};
use lagrange_core::activation::ActivationUpdate;
use lagrange_core::network::{Activation, NetworkSpec, Padding, StageSpec};
use lagrange_core::schedule::{
    BlockOrder, ClassicUpdate, Fit, HiddenStep, InitialState, Metric, ScheduleKind, SolverKind,
};
use lagrange_core::start::StartKind;
use lagrange_data::{Dataset, Split};
use lagrange_tests::hostile::tiny_runs;
use lagrange_tests::memory::{Counts, Faults, run};
use lagrange_tests::{Prepared, bars, small_config};
use std::sync::Arc;
use std::time::Duration;

fn hashes(outcome: &lagrange_coordinator::Outcome) -> (String, String) {
    (
        outcome.weights_sha256.clone(),
        outcome.multipliers_sha256.clone(),
    )
}

/// Simulated clusters with faults; each is replayed by its number.
const SEEDS: u64 = 1000;

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
    let outcome = run(&small_config(8), &dataset, 3, Faults::default(), 0)
        .result
        .expect("ends");
    let accuracy = outcome.evaluation(Split::Test).expect("evaluated").accuracy;
    assert!(accuracy > 0.95, "{accuracy}");
    assert_eq!(outcome.steps, 24);
}

/// Faults of all kinds; those that must not happen together with the schedule are left to the caller.
fn faults(seed: u64) -> Faults {
    Faults {
        death: seed as u32 % 4 * 3,
        freeze: seed as u32 % 3 * 2,
        slow: 4,
        leave: 2,
        join: 6,
        duplicate: 20,
        garbage: seed as u32 % 2,
        crash: seed as u32 % 5 * 2,
    }
}

fn total(counts: &[Counts], of: fn(&Counts) -> u32) -> u32 {
    counts.iter().map(of).sum()
}

#[test]
fn deaths_freezes_slowness_joins_duplicates_and_restarts_change_nothing() {
    let dataset = Arc::new(bars(150, 40));
    // Five shards: the tree has a lone branch.
    let mut config = small_config(5);
    config.schedule.check_every = 3;
    let baseline = run(&config, &dataset, 1, Faults::default(), 0);
    assert_eq!(baseline.counts, Counts::default());
    let baseline = baseline.result.expect("ends");
    let certificate = &baseline.certificate;
    assert!(certificate.ran() > 100 && certificate.failed() == 0);
    let mut counts = Vec::new();
    for seed in 0..SEEDS {
        let simulated = run(&config, &dataset, 1 + seed % 5, faults(seed), seed);
        let outcome = simulated
            .result
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert_eq!(hashes(&outcome), hashes(&baseline), "seed {seed}");
        assert_eq!(&outcome.certificate, certificate, "seed {seed}");
        counts.push(simulated.counts);
    }
    for (name, of) in [
        ("deaths", (|c| c.deaths) as fn(&Counts) -> u32),
        ("expelled", |c| c.expelled),
        ("released", |c| c.released),
        ("repeated", |c| c.repeated),
        ("crashes", |c| c.crashes),
    ] {
        let count = total(&counts, of);
        println!("{SEEDS} seeds: {count} {name}");
        assert!(count > SEEDS as u32 / 10, "too few {name}: {count}");
    }
}

#[test]
fn the_classic_schedule_has_what_was_lost_done_over() {
    let dataset = Arc::new(bars(150, 40));
    let mut config = small_config(5);
    config.schedule.kind = ScheduleKind::Classic;
    let taylor = config.clone();
    config.classic.order = BlockOrder::OutputFirst;
    config.classic.update = ClassicUpdate::Step;
    config.classic.reset_every = 2;
    let mut counts = Vec::new();
    for (config, seeds) in [(&taylor, 0..30), (&config, 30..60)] {
        let baseline = run(config, &dataset, 1, Faults::default(), 0);
        let baseline = baseline.result.expect("ends");
        for seed in seeds {
            let faults = Faults {
                garbage: 0,
                ..faults(seed)
            };
            let simulated = run(config, &dataset, 1 + seed % 4, faults, seed);
            let outcome = simulated
                .result
                .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            assert_eq!(hashes(&outcome), hashes(&baseline), "seed {seed}");
            assert_eq!(outcome.certificate, baseline.certificate, "seed {seed}");
            counts.push(simulated.counts);
        }
    }
    assert!(
        total(&counts, |c| c.replayed) > 100,
        "nothing was done over"
    );
}

#[test]
fn a_slow_answer_is_computed_elsewhere_too() {
    let dataset = Arc::new(bars(150, 40));
    let config = small_config(8);
    let slow = Faults {
        slow: 5,
        ..Faults::default()
    };
    let simulated = run(&config, &dataset, 4, slow, 1);
    assert!(simulated.counts.repeated > 0 && simulated.counts.expelled == 0);
    simulated.result.expect("ends");
}

#[test]
fn too_few_workers_end_a_run_with_their_number() {
    use lagrange_coordinator::{Event, Rules, TrainingError};
    let rules = Rules {
        workers: 2,
        minimum: 2,
        ..Rules::default()
    };
    let mut training = Prepared::new(&small_config(5), &bars(150, 40)).begin(rules);
    let second = std::time::Duration::from_secs(1);
    for worker in [1, 2] {
        training.handle(second, Event::Joined { worker, threads: 1 });
    }
    let reason = "pulled the plug".to_owned();
    training.handle(2 * second, Event::Lost { worker: 2, reason });
    let mut now = 2 * second;
    let error = loop {
        training.handle(now, Event::Heard { worker: 1 });
        now = training.deadline();
        let commands = training.handle(now, Event::Tick);
        if let Some(lagrange_coordinator::Command::End(Err(error))) =
            commands.into_iter().next_back()
        {
            break error;
        }
    };
    assert_eq!(now, 2 * second + rules.grace);
    assert!(
        matches!(
            &error,
            TrainingError::ShortHanded {
                present: 1,
                minimum: 2,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(error.to_string().contains("pulled the plug"));
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
        let one = run(&config, &self.dataset, 1, Faults::default(), 0)
            .result
            .expect("ends");
        let three = run(&config, &self.dataset, 3, Faults::default(), 1)
            .result
            .expect("ends");
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
    // Long enough for margins beyond 1, where losses differ, and for steps that do not refresh the Gram
    // matrices.
    base.schedule.epochs = 8.0;
    let mut choices = Choices::new(base, dataset);
    let mut check = |change: &dyn Fn(&mut Config)| choices.check(change);
    check(&|_| {});
    check(&|c| c.seed = 1);
    check(&|c| c.task = lagrange_data::Task::Digits);
    check(&|c| c.start.kind = StartKind::He);
    check(&|c| c.schedule.activation = ActivationUpdate::Exact);
    check(&|c| c.schedule.loss = lagrange_core::loss::Loss::Squared);
    check(&|c| c.schedule.loss = lagrange_core::loss::Loss::Hinge);
    check(&|c| c.schedule.dual_step = 0.0);
    check(&|c| c.schedule.gram_every = 1);
    check(&|c| {
        let (mut stages, _) = c.network.stages().expect("stages");
        stages[0].padding = Padding::Same;
        c.network = NetworkSpec::of_stages(&stages);
    });
    check(&|c| c.validation = lagrange_data::HeldOut::Count(40));
    check(&|c| {
        // Three hidden stages of 3x3 kernels: 12, 6 and 3 pixels wide.
        c.network = NetworkSpec::of_stages(&[3, 4, 5].map(same_3x3));
    });
    check(&|c| c.augment.shift = 1.0);
    check(&|c| c.network = c.network.clone().with_activation(Activation::Step));
    check(&|c| c.network = c.network.clone().with_activation(Activation::QuantisedRelu));
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
    check(&|c| c.classic.order = BlockOrder::OutputFirst);
    check(&|c| c.classic.order = BlockOrder::InputFirst);
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
    check(&|c| step(c, BlockOrder::OutputFirst));
    check(&|c| step(c, BlockOrder::InputFirst));
    check(&|c| {
        step(c, BlockOrder::OutputFirst);
        c.classic.fit = Fit::Updated;
    });
    check(&|c| {
        step(c, BlockOrder::OutputFirst);
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
    let plain = run(&config, &dataset, 2, Faults::default(), 0)
        .result
        .expect("ends");
    config.classic.audit_every = 1;
    let audited = run(&config, &dataset, 2, Faults::default(), 0)
        .result
        .expect("ends");
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
        run(&config, &dataset, 2, Faults::default(), 0)
            .result
            .expect("ends")
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
            .result
            .expect("ends")
            .multipliers_sha256
    };
    let zeros = lagrange_coordinator::sha256_of(vec![0.0f32; 200].iter());
    assert_eq!(multipliers(0.0), zeros);
    assert_ne!(multipliers(1.0), zeros);
}

/// A run that has done its first step, and whose only worker has come or gone.
fn taken_up() -> impl Fn() -> Training {
    let run = &tiny_runs()[0];
    let snapshot = Snapshot::from_bytes(&run.checkpoint(1)).expect("a checkpoint");
    move || run.resume(&snapshot).expect("of this run")
}

const JOINED: Event = Event::Joined {
    worker: 1,
    threads: 1,
};

fn lost() -> Event {
    Event::Lost {
        worker: 1,
        reason: "killed".to_owned(),
    }
}

#[test]
fn an_interrupted_run_without_workers_ends_at_once_with_what_there_is() {
    let training = taken_up();
    let ended = |commands: &[Command]| matches!(commands, [.., Command::End(Ok(outcome))] if outcome.interrupted);
    let now = Duration::ZERO;

    let mut first = training();
    first.handle(now, JOINED);
    assert!(!ended(&first.handle(now, Event::Interrupted)));
    assert!(ended(&first.handle(now, lost())));

    let mut second = training();
    second.handle(now, JOINED);
    assert!(!ended(&second.handle(now, lost())));
    assert!(ended(&second.handle(now, Event::Interrupted)));
    assert!(
        second.handle(now, JOINED).is_empty(),
        "an ended run stays ended"
    );
}

#[test]
fn an_interrupt_before_the_first_step_has_nothing_to_save() {
    let early = |commands: &[Command]| {
        matches!(
            commands,
            [.., Command::End(Err(TrainingError::InterruptedEarly))]
        )
    };
    let begin = || tiny_runs()[0].begin();
    assert!(early(&begin().handle(Duration::ZERO, Event::Interrupted)));
    let mut training = begin();
    training.handle(Duration::ZERO, JOINED);
    assert!(early(&training.handle(Duration::ZERO, Event::Interrupted)));
}

#[test]
fn an_abandoned_run_ends_with_a_checkpoint_once_its_last_worker_is_gone() {
    let training = taken_up();
    let abandoned = || Event::Abandoned {
        reason: "no more of them".to_owned(),
    };
    let ended = |commands: &[Command]| match commands {
        [.., Command::Checkpoint(snapshot), Command::End(Err(error))] => {
            assert_eq!(error.to_string(), "no more of them");
            snapshot.facts.steps().0 == 1
        }
        _ => false,
    };
    let now = Duration::ZERO;
    let mut first = training();
    first.handle(now, JOINED);
    assert!(
        first.handle(now, abandoned()).is_empty(),
        "somebody is there"
    );
    assert!(ended(&first.handle(now, lost())));
    assert!(ended(&training().handle(now, abandoned())));
}
