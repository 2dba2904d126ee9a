//! The baselines on a small cut of MNIST.
#![cfg(feature = "back-propagation")]

use lagrange_baseline::{
    AdamOptions, Optimiser, Problem, SgdOptions, back_propagation, random_filters,
    ridge_on_features, ridge_on_pixels, vanilla_network,
};
use lagrange_core::network::NetworkSpec;
use lagrange_core::start;
use lagrange_data::{Dataset, Question, Task};

fn problem(task: Task) -> Problem {
    let dataset = Dataset::embedded().expect("embedded");
    let question = Question::new(task, &dataset.classes, &[]).expect("suits");
    Problem::new(&dataset, question, Some(3000), 1000).expect("cut")
}

#[test]
fn kernels_that_are_trained_beat_random_ones_and_those_beat_pixels() {
    let problem = problem(Task::OddEven);
    let network = problem.network(&NetworkSpec::default()).expect("fits");
    let optimiser = Optimiser::Adam(AdamOptions {
        batch: 32,
        epochs: 3,
        ..AdamOptions::default()
    });
    let adam = back_propagation(&problem, &network, &optimiser, 0).expect("trained");
    let random = random_filters(&problem, &network, 0, &[1e-3, 1e-2]).expect("solved");
    let pixels = ridge_on_pixels(&problem, &[1e-2]).expect("solved");
    println!("{:?} {random:?} {pixels:?}", adam.score);
    assert!(adam.score.test_accuracy > 0.95);
    assert!(adam.score.test_accuracy > random[0].test_accuracy);
    assert!(random[0].test_accuracy > pixels[0].test_accuracy);
    let held_out = adam.score.validation_accuracy.expect("held out");
    assert!((held_out - adam.score.test_accuracy).abs() < 0.04);
    // Features of trained kernels are better than those of random ones.
    let refitted = ridge_on_features(&problem, &network, &adam.weights, &[1e-3]).expect("solved");
    assert!(refitted[0].test_accuracy > random[0].test_accuracy);
}

#[test]
fn the_vanilla_network_learns_digits_by_plain_gradient_descent() {
    let problem = problem(Task::Digits);
    let network = problem.network(&vanilla_network()).expect("fits");
    assert_eq!(
        network.describe(),
        "28x28x1 - conv5 16 - pool - relu - conv12 10"
    );
    let options = SgdOptions {
        epochs: 1,
        ..SgdOptions::default()
    };
    let sgd = back_propagation(&problem, &network, &Optimiser::Sgd(options), 0).expect("trained");
    println!("{:?}", sgd.score);
    assert!(sgd.score.test_accuracy > 0.85);
}

#[test]
fn random_filters_are_those_of_the_seed() {
    let problem = problem(Task::Digits);
    let network = problem.network(&vanilla_network()).expect("fits");
    let accuracy =
        |scores: Result<Vec<lagrange_baseline::Score>, _>| scores.expect("solved")[0].test_accuracy;
    let random = accuracy(random_filters(&problem, &network, 7, &[1e-2]));
    let supplied = accuracy(ridge_on_features(
        &problem,
        &network,
        &start::he(&network, 7),
        &[1e-2],
    ));
    assert_eq!(random, supplied);
    assert!(random > 0.9);
}
