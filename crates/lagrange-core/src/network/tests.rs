use super::*;

const MNIST: Shape = Shape {
    height: 28,
    width: 28,
    channels: 1,
};

fn spec(stages: &[(usize, usize, Padding)]) -> NetworkSpec {
    let stage = |&(kernel, channels, padding): &(usize, usize, Padding)| StageSpec {
        kernel,
        channels,
        padding,
    };
    NetworkSpec::of_stages(&stages.iter().map(stage).collect::<Vec<_>>())
}

fn layers(text: &str) -> Result<NetworkSpec, String> {
    toml::from_str(text).map_err(|error| error.message().to_owned())
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
            place: Place {
                list: "stages",
                index: 0
            },
            field: "kernel",
            ..
        }
    ));
    assert!(matches!(
        error(&[(4, 3, Padding::Same)]),
        NetworkError::NoSame { kernel, .. } if kernel == "4"
    ));
    assert!(matches!(
        error(&[(20, 3, Padding::Valid), (9, 3, Padding::Valid)]),
        NetworkError::DoesNotFit { place, .. } if place.index == 1
    ));
    assert!(matches!(
        error(&[(1, 4096, Padding::Valid), (9, 4096, Padding::Valid)]),
        NetworkError::TooLarge { place, .. } if place.index == 1
    ));
    let huge = Shape {
        height: 4096,
        width: 4096,
        channels: 1,
    };
    assert!(matches!(
        Network::resolve(&spec(&[(1, 4, Padding::Valid)]), huge, 1),
        Err(NetworkError::TooLarge { .. })
    ));
}

#[test]
fn layers_of_all_kinds_have_their_shapes() {
    let spec = layers(
        r#"
        [[layers]]
        type = "conv"
        channels = 8
        kernel = [3, 5]
        stride = 2
        padding = 1
        pool = { kind = "max", size = 3 }
        activation = "leaky-relu"
        [[layers]]
        type = "conv"
        channels = 6
        kernel = 3
        padding = "same"
        pool = { kind = "global" }
        activation = "identity"
        [[layers]]
        type = "dense"
        channels = 5
        "#,
    )
    .expect("a network");
    let input = Shape {
        height: 30,
        width: 21,
        channels: 3,
    };
    let network = Network::resolve(&spec, input, 4).expect("fits");
    assert_eq!(
        network.describe(),
        "30x21x3 - conv3x5 8 stride 2 pad 1 - pool3 - leaky-relu \
         - conv3 6 same - global-pool - identity - dense 5 - relu - conv1 4"
    );
    let shapes = network.stages().iter().map(|stage| {
        let of = |shape: Shape| (shape.height, shape.width, shape.channels);
        (of(stage.conv), of(stage.output))
    });
    let expected = [
        ((15, 10, 8), (5, 3, 8)),
        ((5, 3, 6), (1, 1, 6)),
        ((1, 1, 5), (1, 1, 5)),
        ((1, 1, 4), (1, 1, 4)),
    ];
    assert_eq!(shapes.collect::<Vec<_>>(), expected);
}

#[test]
fn stages_stay_stages_and_layers_stay_layers_in_text() {
    let stages =
        layers("stages = [{ kernel = 3, channels = 4 }]\nactivation = \"step\"").expect("stages");
    let text = toml::to_string(&stages).expect("text");
    assert!(
        text.contains("stages") && !text.contains("layers"),
        "{text}"
    );
    assert_eq!(layers(&text), Ok(stages));
    for (name, _) in NETWORK_PRESETS {
        let named = layers(&format!("preset = \"{name}\"")).expect(name);
        let text = toml::to_string(&named).expect("text");
        assert_eq!(layers(&text), Ok(named), "{text}");
    }
    assert_eq!(layers(""), Ok(NetworkSpec::default()));
}

#[test]
fn contradictions_and_slips_are_named() {
    let conv = "[[layers]]\ntype = \"conv\"\nchannels = 4\nkernel = 3\n";
    for (text, words) in [
        (
            &*format!("preset = \"deep\"\n{conv}"),
            "preset and network.layers",
        ),
        (
            &*format!("stages = []\n{conv}"),
            "stages and network.layers",
        ),
        (
            &*format!("activation = \"step\"\n{conv}"),
            "network.activation belongs to stages",
        ),
        (&*format!("{conv}padding = \"half\""), "padding must be"),
        (&*format!("{conv}kernal = 3"), "kernal"),
        (&*format!("{conv}pool = {{ kind = \"median\" }}"), "median"),
        ("preset = \"vgg\"", "use one of default"),
        ("[[layers]]\ntype = \"lstm\"\nchannels = 3", "lstm"),
    ] {
        let error = layers(text).expect_err(text);
        assert!(error.contains(words), "`{words}` in: {error}");
    }
    let refused = |text: &str, words: &str| {
        let spec = layers(text).expect("well formed");
        let error = Network::resolve(&spec, MNIST, 1)
            .expect_err(text)
            .to_string();
        assert!(error.contains(words), "`{words}` in: {error}");
    };
    refused("layers = []", "no hidden layers");
    refused(
        &format!("{conv}stride = 0"),
        "network.layers[0].stride is 0",
    );
    refused(
        &format!("{conv}padding = 3"),
        "network.layers[0].padding is 3",
    );
    refused(
        &format!("{conv}pool = {{ kind = \"max\", size = 9 }}"),
        "pool.size is 9",
    );
    refused(
        &format!("{conv}pool = {{ kind = \"avg\", size = 27 }}"),
        "pooling window 27",
    );
    refused(
        "[[layers]]\ntype = \"dense\"\nchannels = 0",
        "channels is 0",
    );
}
