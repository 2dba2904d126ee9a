use super::*;
use crate::problem::digits;
use crate::vanilla_network;
use candle_core::{Device, Tensor};
use lagrange_core::network::{Activation, NetworkSpec, Padding, Shape, StageSpec};
use lagrange_core::random::{Purpose, stream};
use lagrange_data::Task;
use ndarray::Array2;
use rand::RngExt as _;

fn samples(n: usize, side: usize) -> Samples {
    let mut random = stream(5, Purpose::Rows, 0, n as u64);
    Samples {
        images: Array2::from_shape_fn((n, side * side), |_| random.random_range(-1.0..1.0)),
        labels: (0..n).map(|i| (i % 10) as u16).collect(),
    }
}

fn problem(task: Task) -> Problem {
    Problem {
        question: digits(task),
        shape: Shape {
            height: 9,
            width: 9,
            channels: 1,
        },
        train: samples(20, 9),
        validation: samples(0, 9),
        test: samples(10, 9),
    }
}

fn small_network(problem: &Problem) -> Network {
    let spec = NetworkSpec::of_stages(&[StageSpec {
        kernel: 3,
        channels: 2,
        padding: Padding::Same,
    }]);
    problem.network(&spec).expect("fits")
}

/// Weights of the start, biases of their own and a last stage of ordinary size.
fn any_weights(network: &Network) -> Weights {
    let mut random = stream(6, Purpose::Rows, 0, 0);
    let values = start::he(network, 3)
        .as_slice()
        .iter()
        .map(|w| w + random.random_range(-0.1..0.1))
        .collect();
    Weights::from_flat(network, values).expect("length")
}

fn images(samples: &Samples, side: usize) -> Tensor {
    let pixels: Vec<f32> = samples.images.iter().copied().collect();
    Tensor::from_vec(pixels, (samples.len(), side, side, 1), &Device::Cpu).expect("shape")
}

#[test]
fn candle_and_the_trainer_see_the_same_network() {
    let same = |kernel, channels| StageSpec {
        kernel,
        channels,
        padding: Padding::Same,
    };
    let odd = // 18 - same - 18 - pool 9 - same - 9 - pool 4: the second pooling drops a row and a column.
        NetworkSpec::of_stages(&[same(5, 6), same(3, 4)]);
    for (spec, side, outputs) in [(NetworkSpec::default(), 28, 10), (odd, 18, 1)] {
        let input = Shape {
            height: side,
            width: side,
            channels: 1,
        };
        let network = Network::resolve(&spec, input, outputs).expect("fits");
        let weights = any_weights(&network);
        let samples = samples(3, side);
        let mut forward = Forward::new(&network, 3);
        forward.load(&weights);
        forward.run(samples.images.as_slice().expect("contiguous"));
        let net = ConvNet::new(&network, &weights).expect("candle");
        let outputs = net.forward(&images(&samples, side)).expect("candle");
        let outputs = outputs
            .flatten_all()
            .expect("flat")
            .to_vec1::<f32>()
            .expect("f32");
        assert_eq!(outputs.len(), forward.outputs().len());
        for (candle, trainer) in outputs.iter().zip(forward.outputs()) {
            assert!(
                (candle - trainer).abs() < 1e-4 * trainer.abs().max(1.0),
                "{candle} {trainer}"
            );
        }
        assert_eq!(net.values().expect("candle"), weights.as_slice());
    }
}

#[test]
fn a_seed_gives_the_same_weights_again() {
    let problem = problem(Task::Digits);
    let network = small_network(&problem);
    let weights = |seed| {
        let options = AdamOptions {
            batch: 7,
            epochs: 2,
            ..AdamOptions::default()
        };
        let optimiser = Optimiser::Adam(options);
        train(&problem, &network, &optimiser, seed).expect("trained")
    };
    assert_eq!(weights(1), weights(1));
    assert_ne!(weights(1), weights(2));
}

/// The loss of the trainer's outputs, in f64 and from the definition.
fn loss_of(problem: &Problem, network: &Network, weights: &Weights) -> f64 {
    let Samples { images, labels } = &problem.train;
    let mut forward = Forward::new(network, labels.len());
    forward.load(weights);
    forward.run(images.as_slice().expect("contiguous"));
    let loss = |(outputs, &label): (&[f32], &u16)| match problem.question.task() {
        Task::OddEven => {
            let agreement = f64::from(problem.question.target(label, 0) * outputs[0]);
            (-agreement).exp().ln_1p()
        }
        _ => {
            let sum: f64 = outputs.iter().map(|&z| f64::from(z).exp()).sum();
            sum.ln() - f64::from(outputs[usize::from(label)])
        }
    };
    forward
        .outputs()
        .chunks_exact(network.outputs())
        .zip(labels)
        .map(loss)
        .sum::<f64>()
        / labels.len() as f64
}

#[test]
fn a_step_goes_down_the_slope_of_the_trainers_outputs() {
    for task in [Task::OddEven, Task::Digits] {
        let problem = problem(task);
        let network = small_network(&problem);
        let weights = start::he(&network, 3);
        let rate = 1e-3;
        let options = SgdOptions {
            rate,
            batch: problem.train.len(),
            epochs: 1,
        };
        // The whole set is one batch: one step of plain SGD reveals the gradient.
        let moved = train(&problem, &network, &Optimiser::Sgd(options), 3).expect("trained");
        for index in 0..network.weights() {
            let slope = {
                let at = |shift: f32| {
                    let mut values = weights.as_slice().to_vec();
                    values[index] += shift;
                    let weights = Weights::from_flat(&network, values).expect("length");
                    loss_of(&problem, &network, &weights)
                };
                (at(1e-3) - at(-1e-3)) / 2e-3
            };
            let gradient = f64::from(weights.as_slice()[index] - moved.as_slice()[index]) / rate;
            assert!(
                (gradient - slope).abs() < 2e-3,
                "weight {index}: {gradient} for {slope}"
            );
        }
    }
}

#[test]
fn settings_out_of_range_are_typed_errors() {
    let problem = problem(Task::OddEven);
    let network = small_network(&problem);
    let error =
        |optimiser| back_propagation(&problem, &network, &optimiser, 0).expect_err("refused");
    for rate in [f64::NAN, 0.0, -1.0, f64::INFINITY] {
        let adam = AdamOptions {
            rate,
            ..AdamOptions::default()
        };
        let sgd = SgdOptions {
            rate,
            ..SgdOptions::default()
        };
        for optimiser in [Optimiser::Adam(adam), Optimiser::Sgd(sgd)] {
            assert!(matches!(
                error(optimiser),
                BaselineError::Option { option: "rate", .. }
            ));
        }
    }
    let adam = |batch, epochs| {
        Optimiser::Adam(AdamOptions {
            batch,
            epochs,
            ..AdamOptions::default()
        })
    };
    assert!(matches!(
        error(adam(0, 1)),
        BaselineError::Option {
            option: "batch",
            ..
        }
    ));
    assert!(matches!(
        error(adam(5, 0)),
        BaselineError::Option {
            option: "epochs",
            ..
        }
    ));
    assert!(matches!(
        error(adam(21, 1)),
        BaselineError::BatchTooLarge {
            batch: 21,
            train: 20
        }
    ));
}

#[test]
fn networks_that_cannot_be_trained_are_refused() {
    let problem = problem(Task::OddEven);
    let optimiser = Optimiser::Adam(AdamOptions::default());
    let digits = small_network(&super::tests::problem(Task::Digits));
    let options = Optimiser::Adam(AdamOptions {
        batch: 5,
        ..AdamOptions::default()
    });
    assert!(matches!(
        back_propagation(&problem, &digits, &optimiser, 0),
        Err(BaselineError::Mismatch { outputs: 1, .. })
    ));
    let spec = vanilla_network().with_activation(Activation::Step);
    let step = problem.network(&spec).expect("fits");
    assert!(matches!(
        back_propagation(&problem, &step, &options, 0),
        Err(BaselineError::Link { link }) if link.activation == Activation::Step
    ));
}

#[test]
fn divergence_is_an_error_and_not_a_silent_nan() {
    let problem = problem(Task::Digits);
    let network = small_network(&problem);
    let options = SgdOptions {
        rate: 1e30,
        batch: 5,
        epochs: 3,
    };
    let result = back_propagation(&problem, &network, &Optimiser::Sgd(options), 0);
    assert!(
        matches!(result, Err(BaselineError::Diverged { .. })),
        "{result:?}"
    );
}
