//! Files that a user names.

use super::runs::tiny_runs;
use lagrange::{Config, DatasetFacts, Model, RunSpec, SourceError, Sources};
use lagrange_coordinator::Plan;
use lagrange_core::finite::all_finite;
use lagrange_data::{read_images, read_labels};

/// A file of images, of labels, or of neither.
pub fn idx(bytes: &[u8]) {
    if let Ok(images) = read_images(bytes) {
        let values = images.len() * images.height * images.width;
        assert_eq!(images.pixels.len(), values);
    }
    if let Ok(labels) = read_labels(bytes) {
        assert!(!labels.is_empty());
    }
}

/// A model: what is read holds numbers only and can be written again.
pub fn model(bytes: &[u8]) {
    if let Ok(model) = Model::from_bytes(bytes) {
        assert!(all_finite(model.weights.as_slice()));
        let again = model.to_bytes().expect("written");
        let again = Model::from_bytes(&again).expect("its own file");
        assert_eq!(again.weights, model.weights);
    }
}

/// Networks beyond this are sound, but take long to prepare.
const MANY_WEIGHTS: usize = 20_000;

/// A configuration file, and its lines as values of `--set`, up to the point where a run begins.
pub fn configuration(bytes: &[u8]) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), bytes).expect("written");
    let text = String::from_utf8_lossy(bytes);
    let set = text.lines().filter(|line| line.contains('=')).take(4);
    let mut set = set.map(str::to_owned);
    let from_file = Sources::default().file(file.path());
    let from_lines = set.try_fold(Sources::default(), |sources, line| sources.set(&line));
    for sources in [from_file, from_lines] {
        match sources
            .and_then(|sources: Sources| -> Result<Config, SourceError> { sources.resolve() })
        {
            Ok(config) => plan(config),
            Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
        }
    }
}

fn plan(config: Config) {
    let summary = &tiny_runs()[0].summary;
    let Ok(spec) = RunSpec::new(config, DatasetFacts::of(summary)) else {
        return;
    };
    let weights = spec.network().weights();
    if weights < MANY_WEIGHTS {
        let job = Plan::new(spec).next_job();
        let job = job.expect("the first round").expect("a round");
        assert!(job.1.shared >= weights);
    }
}
