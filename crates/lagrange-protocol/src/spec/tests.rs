//! Texts of runs, and every field that is checked.

use super::*;
use lagrange_core::schedule::{BlockOrder, ScheduleKind};
use lagrange_data::HeldOut;
use proptest::prelude::*;

fn spec() -> RunSpec {
    let mut config = Config {
        seed: 5,
        train_limit: Some(1000),
        validation: HeldOut::Count(10),
        ..Config::default()
    };
    config.schedule.kind = ScheduleKind::Classic;
    config.schedule.trust = 0.012_345_678;
    config.classic.order = BlockOrder::OutputFirst;
    config.classic.growth = 1.1;
    config.augment.scale = 0.1;
    let dataset = DatasetFacts {
        normalisation: Normalisation::new(0.286, 0.353).expect("sound"),
        ..DatasetFacts::mnist()
    };
    RunSpec::new(config, dataset).expect("a run")
}

#[test]
fn a_spec_survives_its_text() {
    let copy = RunSpec::from_text(&spec().to_text()).expect("its own text");
    assert_eq!(copy, spec());
    assert_eq!(copy.sha256(), spec().sha256());
    let mut other = spec();
    other.0.run.seed = 6;
    assert_ne!(other.sha256(), spec().sha256());
}

#[test]
fn each_bad_field_is_named() {
    let refused = |from: &str, to: &str| {
        let text = spec().to_text();
        assert!(text.contains(from), "{from} in {text}");
        RunSpec::from_text(&text.replacen(from, to, 1))
            .expect_err(to)
            .to_string()
    };
    for (from, to, name) in [
        ("height = 28", "height = 0", "dataset.height"),
        ("width = 28", "width = 5000", "dataset.width"),
        ("channels = 1", "channels = 2", "dataset.channels"),
        ("channels = 1", "channels = 3", "dataset.channels"),
        ("\"7\"", "\"seven\"", "`seven`"),
        ("\"odd-even\"", "\"positive\"", "--positive"),
        ("\"odd-even\"", "\"regression\"", "not supported"),
        ("mean = 0.286", "mean = 2.0", "mean"),
        (
            "standard-deviation = 0.353",
            "standard-deviation = nan",
            "deviation",
        ),
        ("shards = 16", "shards = 0", "data.shards"),
        ("shards = 16", "shards = 5000", "data.shards"),
        ("shards = 16", "shards = 15", "multiple of data.shards"),
        ("batch = 256", "batch = 1600", "batch"),
        ("train-limit = 1000", "train-limit = 3", "16 shards of 3"),
        ("validation = 10", "validation = 60000", "holds out all"),
        ("beta = 1.0", "beta = -1.0", "schedule.beta"),
        ("growth = 1.1", "growth = 100.0", "classic.growth"),
        ("scale = 0.1", "scale = 7.0", "augment.scale"),
        ("kernel = 5", "kernel = 500", "network.stages[0].kernel"),
        ("loss = \"squared-hinge\"", "loss = \"cubic\"", "cubic"),
        ("seed = 5", "seed = 5\nsede = 6", "sede"),
        (
            "kind = \"classic\"",
            "kind = \"streaming\"",
            "[classic] needs",
        ),
    ] {
        let message = refused(from, to);
        assert!(message.contains(name), "`{name}` in: {message}");
    }
}

#[test]
fn the_network_takes_the_shape_and_classes_of_the_data() {
    let mut config = Config {
        task: lagrange_data::Task::Classes,
        ..Config::default()
    };
    let dataset = DatasetFacts {
        height: 32,
        width: 32,
        channels: 3,
        classes: ["cat", "dog", "bird"].map(str::to_owned).into(),
        counts: vec![30_000, 20_000, 10_000],
        validation: 100,
        normalisation: Normalisation::per_channel(&[0.4; 3], &[0.2; 3]).expect("sound"),
        ..DatasetFacts::mnist()
    };
    let spec = RunSpec::new(config.clone(), dataset.clone()).expect("a run");
    let network = spec.network();
    assert_eq!((network.input(), network.outputs()), (dataset.shape(), 3));
    assert!(spec.has_validation());
    assert_eq!(RunSpec::from_text(&spec.to_text()).as_ref(), Ok(&spec));
    config.class_weights = "dgo=2".parse().expect("weights");
    let refused = RunSpec::new(config.clone(), dataset.clone());
    assert!(matches!(
        refused,
        Err(SpecError::Task(TaskError::UnknownClass { .. }))
    ));
    config.class_weights = "dog=2".parse().expect("weights");
    config.task = lagrange_data::Task::Positive;
    config.positive = vec!["dog".to_owned()];
    let spec = RunSpec::new(config, dataset).expect("a run");
    assert_eq!(spec.network().outputs(), 1);
    assert_eq!(RunSpec::from_text(&spec.to_text()).as_ref(), Ok(&spec));
}

proptest! {
    /// A worker reads any text: it may refuse it, but must not panic.
    #[test]
    fn no_text_does_harm(text in "\\PC{0,200}", cut in 0usize..2000) {
        let _ = RunSpec::from_text(&text);
        let whole = spec().to_text();
        let _ = RunSpec::from_text(&whole[..cut.min(whole.len())]);
    }
}
