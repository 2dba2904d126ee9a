//! Images become inputs by the mean and deviation of their own training set, wherever they are looked at.

use lagrange_core::forward::Forward;
use lagrange_core::start::he;
use lagrange_data::{Normalisation, Normaliser, Split};
use lagrange_protocol::{DatasetFacts, Job, RunSpec, Work, WorkHeader};
use lagrange_tests::hostile::{TinyRun, tiny_runs};
use lagrange_tests::{RUN, bars};

#[test]
fn a_run_has_the_figures_of_its_training_set() {
    let run = &tiny_runs()[0];
    let pixels = bars(24, 6).train.images.pixels;
    let count = pixels.len() as f64;
    let values = || pixels.iter().map(|&pixel| f64::from(pixel) / 255.0);
    let mean = values().sum::<f64>() / count;
    let variance = values().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    let found = &run.spec().dataset().normalisation;
    assert!((f64::from(found.means()[0]) - mean).abs() < 0.51e-4);
    assert!((f64::from(found.standard_deviations()[0]) - variance.sqrt()).abs() < 0.51e-4);
    // Validation and train-limit leave it as it is: it is that of all training images.
    assert!(run.spec().held_out() > 0);
}

/// Summed loss of the test set by a worker of `spec`, with random weights.
fn loss_by_worker(run: &TinyRun, spec: &RunSpec) -> f64 {
    let worker = run.worker_of(spec.clone()).expect("a worker");
    let shards: Vec<u32> = (0..spec.shards() as u32).collect();
    let payload = he(worker.network(), 1).as_slice().to_vec();
    let header = WorkHeader {
        run: RUN.to_owned(),
        round: 1,
        attempt: 0,
        job: Job::Evaluate { split: Split::Test },
        shards,
        payload_floats: payload.len() as u64,
        replay: false,
    };
    let answer = worker.answer(&Work { header, payload }).expect("answered");
    answer.header.nodes.iter().map(|node| node.scalars[2]).sum()
}

/// The same in few words.
fn loss_by_hand(spec: &RunSpec) -> f64 {
    let (set, config) = (bars(24, 6).test, spec.config());
    let (network, question) = (spec.network(), spec.question());
    let mut inputs = vec![0.0; set.images.pixels.len()];
    Normaliser::new(&spec.dataset().normalisation).apply(&set.images.pixels, &mut inputs);
    let mut forward = Forward::new(&network, set.labels.len());
    forward.load(&he(&network, 1));
    forward.run(&inputs);
    let outputs = forward.outputs().chunks_exact(network.outputs());
    let of_image = |(outputs, &label): (&[f32], &u16)| {
        let targets = (0..outputs.len()).map(|o| question.target(label, o));
        let loss = config.schedule.loss;
        loss.value(outputs, &targets.collect::<Vec<_>>())
    };
    outputs.zip(&set.labels).map(of_image).sum()
}

#[test]
fn workers_normalise_as_the_run_says() {
    lagrange_core::blas::use_one_thread();
    let run = &tiny_runs()[0];
    let own = run.spec().clone();
    let dataset = DatasetFacts {
        normalisation: Normalisation::MNIST,
        ..own.dataset().clone()
    };
    let mnist = RunSpec::new(own.config().clone(), dataset).expect("a run");
    for spec in [&own, &mnist] {
        let (found, expected) = (loss_by_worker(run, spec), loss_by_hand(spec));
        assert!(
            (found - expected).abs() < 1e-4 * expected,
            "{found} {expected}"
        );
    }
    let (own, mnist) = (loss_by_hand(&own), loss_by_hand(&mnist));
    assert!((own - mnist).abs() > 1e-2 * own, "{own} {mnist}");
}
