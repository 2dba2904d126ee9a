use super::*;

const MNIST: Shape = Shape {
    height: 28,
    width: 28,
    channels: 1,
};

fn spec(stages: &[(usize, usize, Padding)]) -> NetworkSpec {
    NetworkSpec {
        stages: stages
            .iter()
            .map(|&(kernel, channels, padding)| StageSpec {
                kernel,
                channels,
                padding,
            })
            .collect(),
        activation: Activation::Relu,
    }
}

#[test]
fn the_default_network_has_the_designs_shapes() {
    let network = Network::resolve(&NetworkSpec::default(), MNIST, 10).expect("default");
    assert_eq!(
        network.describe(),
        "28x28x1 - conv5 16 - pool - relu - conv5 32 - pool - relu - conv4 10"
    );
    let unknowns: Vec<_> = network.stages().iter().map(Stage::unknowns).collect();
    assert_eq!(unknowns, [26, 401, 513]);
    assert_eq!(network.weights(), 26 * 16 + 401 * 32 + 513 * 10);
}

#[test]
fn odd_sizes_are_pooled_by_dropping_the_border() {
    let network = Network::resolve(&spec(&[(4, 3, Padding::Valid)]), MNIST, 1).expect("fits");
    assert_eq!(network.stages()[0].conv.height, 25);
    assert_eq!(network.stages()[0].output.height, 12);
}

#[test]
fn what_does_not_fit_is_named() {
    let error = |stages: &[(usize, usize, Padding)]| {
        Network::resolve(&spec(stages), MNIST, 1).expect_err("must not fit")
    };
    assert_eq!(error(&[]), NetworkError::NoStages);
    assert!(matches!(
        error(&[(0, 3, Padding::Valid)]),
        NetworkError::OutOfRange {
            stage: 0,
            field: "kernel",
            ..
        }
    ));
    assert!(matches!(
        error(&[(4, 3, Padding::Same)]),
        NetworkError::EvenKernel {
            stage: 0,
            kernel: 4
        }
    ));
    assert!(matches!(
        error(&[(20, 3, Padding::Valid), (9, 3, Padding::Valid)]),
        NetworkError::DoesNotFit { stage: 1, .. }
    ));
    assert!(matches!(
        error(&[(1, 4096, Padding::Valid), (9, 4096, Padding::Valid)]),
        NetworkError::TooLarge { stage: 1, .. }
    ));
    let huge = Shape {
        height: 4096,
        width: 4096,
        channels: 1,
    };
    assert!(matches!(
        Network::resolve(&spec(&[(1, 4, Padding::Valid)]), huge, 1),
        Err(NetworkError::TooLarge { stage: 0 | 1, .. })
    ));
}
