//! `lagrange evaluate`: accuracy and confusion matrix of a trained model on the test set.

use crate::output::{print as print_text, print_json};
use anyhow::{Result, bail};
use clap::Args;
use lagrange::{Dataset, Model, Split, Task, as_text};
use serde::Serialize;
use std::fmt::Write as _;
use std::path::PathBuf;

/// `lagrange evaluate`
#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// A run folder, or a model.safetensors file.
    pub model: PathBuf,
    /// Directory with the four IDX files of an MNIST-like set of square images [default: the embedded MNIST].
    #[arg(long, value_name = "DIR", env = "LAGRANGE_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Print the result as one line of JSON.
    #[arg(long)]
    pub json: bool,
}

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
    let confusion = model.evaluate(&dataset, Split::Test, 0);
    Ok(Evaluation {
        model: path,
        task: model.task,
        samples: confusion.samples(),
        test_accuracy: confusion.accuracy().unwrap_or_default(),
        confusion: confusion.counts().to_vec(),
    })
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
