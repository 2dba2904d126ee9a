//! `lagrange evaluate`: accuracy and confusion matrix of a trained model on the test set.

use crate::args::EvaluateArgs;
use crate::model::Model;
use crate::output::{print as print_text, print_json};
use crate::run_folder::as_text;
use anyhow::{Result, bail};
use lagrange_core::forward::Forward;
use lagrange_data::{Dataset, Normaliser, Split, Task};
use serde::Serialize;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Images of one forward pass.
const BLOCK: usize = 50;

/// What a model does on the test set.
#[derive(Debug, Clone, Serialize)]
pub struct Evaluation {
    /// The model file.
    #[serde(serialize_with = "as_text")]
    pub model: PathBuf,
    /// What the network is asked.
    pub task: Task,
    /// Test images.
    pub samples: u64,
    /// Share predicted correctly.
    pub test_accuracy: f64,
    /// `confusion[truth][prediction]`
    pub confusion: Vec<Vec<u64>>,
}

/// Runs the command.
///
/// # Errors
/// If model or data cannot be read, or do not fit each other.
pub fn run(args: &EvaluateArgs) -> Result<Evaluation> {
    let path = if args.model.is_dir() {
        args.model.join("model.safetensors")
    } else {
        args.model.clone()
    };
    let model = Model::load(&path)?;
    let dataset = Dataset::load(args.data_dir.as_deref())?;
    let side = model.network.input().height;
    if dataset.side() != side {
        bail!(
            "{} was trained on {side}x{side} images but the data has {d}x{d}; pass the right --data-dir",
            path.display(),
            d = dataset.side()
        );
    }
    model.task.check_labels("test", &dataset.test.labels)?;
    let confusion = confusion(&model, &dataset.test.images.pixels, &dataset.test.labels);
    let correct: u64 = (0..confusion.len())
        .map(|class| confusion[class][class])
        .sum();
    let samples = dataset.test.labels.len() as u64;
    Ok(Evaluation {
        model: path,
        task: model.task,
        samples,
        test_accuracy: correct as f64 / samples as f64,
        confusion,
    })
}

/// Share of a split's images that `model` predicts correctly, `validation` of the training images being held out; none
/// of an empty split.
#[must_use]
pub fn accuracy(model: &Model, dataset: &Dataset, split: Split, validation: usize) -> Option<f64> {
    let (set, from) = match split {
        Split::Test => (&dataset.test, 0),
        Split::Train => (&dataset.train, 0),
        Split::Validation => (
            &dataset.train,
            dataset.train.labels.len().saturating_sub(validation),
        ),
    };
    let labels = &set.labels[from..];
    let pixels = &set.images.pixels[from * model.network.input().len()..];
    let confusion = confusion(model, pixels, labels);
    let correct: u64 = (0..confusion.len())
        .map(|class| confusion[class][class])
        .sum();
    (!labels.is_empty()).then(|| correct as f64 / labels.len() as f64)
}

fn confusion(model: &Model, pixels: &[u8], labels: &[u8]) -> Vec<Vec<u64>> {
    let classes = model.task.classes().len();
    let mut confusion = vec![vec![0; classes]; classes];
    let mut forward = Forward::new(&model.network, BLOCK);
    forward.load(&model.weights);
    let normaliser = Normaliser::new(model.normalisation);
    let image = model.network.input().len();
    let mut inputs = vec![0.0; BLOCK * image];
    let images = pixels.chunks(BLOCK * image);
    for (pixels, labels) in images.zip(labels.chunks(BLOCK)) {
        let inputs = &mut inputs[..pixels.len()];
        normaliser.apply(pixels, inputs);
        forward.run(inputs);
        for (outputs, &label) in forward
            .outputs()
            .chunks_exact(model.network.outputs())
            .zip(labels)
        {
            // Weights were checked to be finite, but their products may still overflow.
            if let Some(prediction) = model.task.predict(outputs) {
                confusion[model.task.class_of(label)][prediction] += 1;
            }
        }
    }
    confusion
}

/// Prints the evaluation: a table for people, or one line of JSON.
///
/// # Errors
/// If stdout does not take it.
pub fn print(evaluation: &Evaluation, json: bool) -> Result<()> {
    if json {
        return print_json(evaluation);
    }
    let mut text = format!(
        "{}: {} test accuracy {:.2} % of {} images\n\ntruth \\ predicted\n{:>8}",
        evaluation.model.display(),
        evaluation.task,
        100.0 * evaluation.test_accuracy,
        evaluation.samples,
        ""
    );
    let classes = evaluation.task.classes();
    // Writing to a string cannot fail.
    for class in classes {
        let _ = write!(text, "{class:>7}");
    }
    for (class, row) in classes.iter().zip(&evaluation.confusion) {
        let _ = write!(text, "\n{class:>8}");
        for count in row {
            let _ = write!(text, "{count:>7}");
        }
    }
    text.push('\n');
    Ok(print_text(&text)?)
}
