//! Whole clusters with the workers as tasks of this process, and gRPC over memory.

use lagrange::{
    Check, Cluster, Config, DataSource, Dataset, Observed, Replay, RunDir, RunEvent, RunResult,
    Split,
};
use lagrange_core::schedule::{BlockOrder, ClassicUpdate, ScheduleKind, SolverKind};
use lagrange_core::start::StartKind;
use lagrange_tests::{bars, colours, small_config};
use std::path::{Path, PathBuf};
use std::sync::Arc;

async fn train(
    config: &Config,
    dataset: &Arc<Dataset>,
    workers: usize,
    threads: usize,
    folder: &Path,
) -> RunResult {
    let run_dir = folder.join(format!("{}-{workers}-{threads}", config.task));
    let cluster = Cluster::in_process(workers)
        .threads(threads)
        .run_dir(RunDir::At(run_dir));
    let run = cluster.train(config.clone(), Arc::clone(dataset)).await;
    run.expect("the run ends").result
}

fn metrics_of(result: &RunResult) -> PathBuf {
    let run_dir = result.run_dir.as_ref().expect("a folder was asked for");
    run_dir.join("metrics.jsonl")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_result_has_the_same_bits_for_any_number_of_workers_and_threads() {
    let folder = tempfile::tempdir().expect("folder");
    let dataset = Arc::new(bars(400, 100));
    let config = small_config(8);
    let baseline = train(&config, &dataset, 1, 1, folder.path()).await;
    assert!(baseline.test_accuracy > Some(0.95), "{baseline:?}");
    for (workers, threads) in [(1, 3), (2, 1), (3, 2), (5, 1), (9, 1)] {
        let result = train(&config, &dataset, workers, threads, folder.path()).await;
        assert_eq!(
            result.weights_sha256, baseline.weights_sha256,
            "{workers} workers"
        );
        assert_eq!(
            result.multipliers_sha256, baseline.multipliers_sha256,
            "{workers} workers"
        );
        assert_eq!(result.test_accuracy, baseline.test_accuracy);
    }
}

fn two_thousand_digits() -> Config {
    let mut config = Config {
        task: lagrange_data::Task::Digits,
        train_limit: Some(2048),
        ..Config::default()
    };
    config.schedule.epochs = 2.0;
    config
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_digits_are_learnt_from_two_thousand_images() {
    let folder = tempfile::tempdir().expect("folder");
    let dataset = Arc::new(Dataset::embedded().expect("embedded"));
    let config = two_thousand_digits();
    let result = train(&config, &dataset, 2, 1, folder.path()).await;
    // Linear regression on all 60,000 images reaches 86 %.
    assert!(result.test_accuracy > Some(0.93), "{result:?}");
    assert_eq!(result.steps, 16);
    assert!(result.bytes_to_workers > 0 && result.bytes_from_workers > result.bytes_to_workers);
}

/// Squared loss from random kernels diverged while early steps relied on the Gram matrix of one batch: 70 %
/// here, 10 % on all images.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_stage_survives_its_first_steps_from_random_kernels() {
    let folder = tempfile::tempdir().expect("folder");
    let dataset = Arc::new(Dataset::embedded().expect("embedded"));
    let mut config = two_thousand_digits();
    config.schedule.loss = lagrange_core::loss::Loss::Squared;
    config.start.kind = StartKind::He;
    let result = train(&config, &dataset, 2, 1, folder.path()).await;
    assert!(result.test_accuracy > Some(0.9), "{result:?}");
}

/// Toeplitz rows that each stage of each step was fitted to, by the metrics.
fn equations_by_step(result: &RunResult) -> Vec<Vec<u64>> {
    let text = std::fs::read_to_string(metrics_of(result)).expect("metrics");
    let lines = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    let steps = lines.filter(|line: &serde_json::Value| line["event"] == "step");
    steps
        .map(|line| serde_json::from_value(line["equations"].clone()).expect("a list"))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_metrics_count_the_rows_that_weights_were_fitted_to_whatever_the_solver() {
    let dataset = Arc::new(bars(200, 40));
    // Of the network for bars: rows of a sample, and unknowns, of each stage.
    let all = |batch: u64| vec![100 * batch, 16 * batch, batch];
    let drawn = |share: u64| vec![10 * share, 17 * share, 25 * share];
    let classic = |solver| {
        move |config: &mut Config| {
            config.schedule.kind = ScheduleKind::Classic;
            config.schedule.solver = solver;
            config.schedule.batch = 0;
        }
    };
    type Change = Box<dyn Fn(&mut Config)>;
    let cases: [(&str, Change, Vec<u64>); 6] = [
        ("streaming", Box::new(|_| {}), all(16)),
        (
            "streaming, sampled",
            Box::new(|config| {
                config.schedule.solver = SolverKind::Sampled;
                config.schedule.equations = 1.0;
                config.schedule.batch = 100;
            }),
            vec![12, 20, 28],
        ),
        ("gram", Box::new(classic(SolverKind::Gram)), all(200)),
        (
            "pseudo-inverse",
            Box::new(classic(SolverKind::PseudoInverse)),
            all(200),
        ),
        (
            "sampled",
            Box::new(move |config| {
                classic(SolverKind::Sampled)(config);
                config.schedule.equations = 2.0;
            }),
            drawn(2),
        ),
        (
            "steps",
            Box::new(move |config| {
                classic(SolverKind::Gram)(config);
                config.classic.order = BlockOrder::OutputFirst;
                config.classic.update = ClassicUpdate::Step;
            }),
            all(200),
        ),
    ];
    for (name, change, expected) in cases {
        let folder = tempfile::tempdir().expect("folder");
        let mut config = small_config(4);
        config.schedule.epochs = 1.0;
        change(&mut config);
        let result = train(&config, &dataset, 2, 1, folder.path()).await;
        let steps = equations_by_step(&result);
        assert_eq!(steps.len() as u64, result.steps, "{name}");
        assert!(
            steps.iter().all(|step| *step == expected),
            "{name}: {steps:?}"
        );
        let total: u64 = steps.iter().flatten().sum();
        assert_eq!(total, result.equations, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_without_a_folder_tells_its_observers_and_gives_its_model() {
    let dataset = Arc::new(bars(200, 40));
    let (seen, reports) = std::sync::mpsc::channel();
    let cluster = Cluster::in_process(2).observe(|_: &Observed| panic!("out of order"));
    let cluster = cluster.observe(move |observed: &Observed| {
        if let RunEvent::Step(step) = &observed.event {
            seen.send(step.step).expect("somebody counts");
        }
    });
    let run = cluster.train(small_config(4), Arc::clone(&dataset)).await;
    let run = run.expect("the run ends");
    assert_eq!(run.result.run_dir, None);
    assert!(reports.iter().eq(1..=run.result.steps));
    let confusion = run.model.evaluate(&dataset, Split::Test, 0);
    let confusion = confusion.expect("its own data");
    assert_eq!(confusion.accuracy(), run.result.test_accuracy);
    let predicted = run
        .model
        .predict(&dataset.test.images)
        .expect("whole images");
    let labels = dataset.test.labels.iter();
    let right = predicted
        .iter()
        .zip(labels)
        .filter(|&(&class, &label)| class == Some(run.model.question.class_of(label)));
    assert_eq!(right.count() as u64, confusion.correct());
    let mut cut = dataset.test.images.clone();
    cut.pixels.pop();
    assert!(run.model.predict(&cut).is_err(), "no whole image");
    cut.width += 1;
    assert!(run.model.predict(&cut).is_err(), "another shape");
    // Whoever calls: other cores of OpenBLAS would give other bits.
    assert_eq!(lagrange_core::blas::portable_core(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn colour_images_of_named_classes_are_learnt_and_judged_on_their_own_validation_split() {
    let dataset = Arc::new(colours(360, 60, 90));
    let mut config = Config {
        task: lagrange_data::Task::Classes,
        ..small_config(4)
    };
    let folder = tempfile::tempdir().expect("folder");
    let run_dir = folder.path().join("run");
    config.augment.flip = 0.5;
    let cluster = Cluster::in_process(2).run_dir(RunDir::At(run_dir.clone()));
    let run = cluster.train(config.clone(), Arc::clone(&dataset)).await;
    let run = run.expect("the run ends");
    assert!(run.result.test_accuracy > Some(0.9), "{:?}", run.result);
    let model = lagrange::Model::load(&run_dir.join("model.safetensors")).expect("saved");
    assert_eq!(model.question.names(), ["blue", "green", "red"]);
    let accuracy = |split| model.evaluate(&dataset, split, 0).map(|c| c.accuracy());
    let validation = accuracy(Split::Validation).expect("its own data");
    assert_eq!(validation, run.result.validation_accuracy);
    assert!(validation > Some(0.9), "{validation:?}");
    // The classes in another order, which their names tell.
    let mut other = Dataset::clone(&dataset);
    other.classes.reverse();
    for label in &mut other.test.labels {
        *label = 2 - *label;
    }
    let confusion = model.evaluate(&other, Split::Test, 0);
    let confusion = confusion.expect("its own classes");
    assert_eq!(confusion.accuracy(), run.result.test_accuracy);
    other.classes[0] = "violet".to_owned();
    let error = model.evaluate(&other, Split::Test, 0).expect_err("unknown");
    assert!(error.to_string().contains("`violet`"), "{error}");

    config.task = lagrange_data::Task::Positive;
    config.positive = vec!["red".to_owned()];
    let run = Cluster::in_process(1).train(config.clone(), Arc::clone(&dataset));
    let run = run.await.expect("the run ends");
    assert_eq!(run.model.question.names(), ["not red", "red"]);
    assert!(run.result.test_accuracy > Some(0.9), "{:?}", run.result);
    config.positive = vec!["rde".to_owned()];
    let refused = Cluster::in_process(1).train(config, dataset).await;
    let message = refused.expect_err("no such class").to_string();
    assert!(
        message.contains("`rde`") && message.contains("green"),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_was_stopped_goes_on_with_the_same_bits() {
    let folder = tempfile::tempdir().expect("folder");
    let dataset = Arc::new(bars(400, 100));
    let mut config = small_config(8);
    config.schedule.check_every = 2;
    let whole = train(&config, &dataset, 2, 1, folder.path()).await;
    let run_dir = folder.path().join("stopped");
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let mut stop = Some(stop);
    let cluster = Cluster::in_process(2)
        .run_dir(RunDir::At(run_dir.clone()))
        .observe(move |observed: &Observed| {
            if matches!(&observed.event, RunEvent::Step(step) if step.step == 3) {
                stop.take().map(|stop| stop.send(()));
            }
        })
        .stop_when(async { stopped.await.unwrap_or_default() });
    let run = cluster.train(config, Arc::clone(&dataset)).await;
    let stopped = run.expect("what there is").result;
    assert!(
        stopped.interrupted && stopped.steps < whole.steps,
        "{stopped:?}"
    );
    let again = Cluster::in_process(3).resume(&run_dir, None, Arc::clone(&dataset));
    let again = again.await.expect("the run ends").result;
    assert_eq!(again.weights_sha256, whole.weights_sha256);
    assert_eq!(again.multipliers_sha256, whole.multipliers_sha256);
    assert_eq!(again.certificate, whole.certificate);
    assert!(again.certificate.ran > stopped.certificate.ran);
}

/// Whatever the schedule: as many checks, the same worst amounts, and the bits of a run without any.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_the_same_for_any_number_of_workers_and_costs_no_bit() {
    let dataset = Arc::new(bars(400, 100));
    for kind in [ScheduleKind::Streaming, ScheduleKind::Classic] {
        let mut config = small_config(8);
        config.schedule.kind = kind;
        let mut results = Vec::new();
        for (check_every, workers) in [(1, 1), (1, 3), (0, 2)] {
            config.schedule.check_every = check_every;
            let run = Cluster::in_process(workers).train(config.clone(), Arc::clone(&dataset));
            results.push(run.await.expect("the run ends").result);
        }
        let certificates: Vec<_> = results.iter().map(|result| &result.certificate).collect();
        assert_eq!(certificates[0], certificates[1]);
        assert_eq!(
            (certificates[0].failed, certificates[2].ran),
            (0, 0),
            "{certificates:?}"
        );
        let ran = |check| {
            certificates[0]
                .entries
                .iter()
                .any(|entry| entry.tally.check == check)
        };
        let left_out = |check| {
            certificates[0]
                .not_run
                .iter()
                .any(|left| left.check == check)
        };
        for check in Check::ALL {
            assert_ne!(ran(check), left_out(check), "{kind:?} {check}");
        }
        assert_eq!(left_out(Check::Sweep), kind == ScheduleKind::Classic);
        for result in &results {
            assert_eq!(result.weights_sha256, results[0].weights_sha256);
        }
    }
}

/// A step of a run done again: from the beginning, from a checkpoint, of both schedules, and where the run
/// was made longer meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steps_done_again_are_those_of_the_run() {
    let dataset = Arc::new(bars(400, 100));
    let data = DataSource::from(Arc::clone(&dataset));
    for kind in [ScheduleKind::Streaming, ScheduleKind::Classic] {
        let folder = tempfile::tempdir().expect("folder");
        let mut config = small_config(8);
        config.schedule.kind = kind;
        let short = train(&config, &dataset, 3, 1, folder.path()).await;
        let run_dir = short.run_dir.expect("a folder was asked for");
        let longer = Cluster::in_process(2).resume(&run_dir, Some(3.0), Arc::clone(&dataset));
        let steps = longer.await.expect("the run ends").result.steps;
        assert_eq!(steps, 36);
        for (step, shard, threads) in [
            (1, Some(7), 1),
            (24, None, 2),
            (25, Some(0), 1),
            (36, None, 2),
        ] {
            let replay = Replay {
                step,
                shard,
                threads,
            };
            let replayed = replay.run(&run_dir, &data).expect("done again");
            assert!(
                replayed.agrees() && replayed.first_difference.is_none(),
                "{replayed:?}"
            );
            assert!(replayed.has_same_kernels());
            assert_eq!((replayed.step, replayed.from_step), (step, 0));
            assert_eq!(replayed.shards.len(), if shard.is_some() { 1 } else { 8 });
        }
    }
}
