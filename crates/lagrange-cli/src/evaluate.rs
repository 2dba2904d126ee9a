//! `lagrange evaluate`: figures of every class, accuracy and confusion matrix of a trained model on the test
//! set.

use crate::args::SourceArgs;
use crate::output::{print as print_text, print_json, tell};
use crate::trained::{model_at, other_data};
use anyhow::{Context as _, Result};
use clap::Args;
use lagrange::{ClassFigures, Split, Task, as_text};
use serde::Serialize;
use std::fmt::Write as _;
use std::path::PathBuf;

/// `lagrange evaluate`
#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// A run folder, or a model.safetensors file.
    pub model: PathBuf,
    /// The data.
    #[command(flatten)]
    pub data: SourceArgs,
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
    /// Mean recall of the classes.
    pub balanced_accuracy: f64,
    /// Figures of each class.
    pub classes: Vec<ClassRow>,
    /// `confusion[truth][prediction]`
    pub confusion: Vec<Vec<u64>>,
}

/// Figures of one class; those that cannot be told are none.
#[derive(Debug, Clone, Serialize)]
pub struct ClassRow {
    /// Its name.
    pub name: String,
    /// Share of the images predicted to be of the class that are.
    pub precision: Option<f64>,
    /// Share of the class's images that were predicted to be.
    pub recall: Option<f64>,
    /// Harmonic mean of the two.
    pub f1: Option<f64>,
    /// Images of the class.
    pub support: u64,
}

impl ClassRow {
    fn new(name: &str, figures: ClassFigures) -> Self {
        let ClassFigures {
            precision,
            recall,
            f1,
            support,
        } = figures;
        Self {
            name: name.to_owned(),
            precision,
            recall,
            f1,
            support,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// If model or data cannot be read, or do not fit each other.
pub fn run(args: &EvaluateArgs) -> Result<Evaluation> {
    let (path, model) = model_at(&args.model)?;
    let dataset = lagrange::load(args.data.source().as_ref())?;
    let confusion = model.evaluate(&dataset, Split::Test, 0);
    let confusion =
        confusion.with_context(|| format!("{}: pass the right --data", path.display()))?;
    if let Some(words) = other_data(&path, &dataset.sha256()) {
        tell(format_args!("{words}; for its own figures pass its --data"));
    }
    let names = model.question.names().iter();
    let classes = names.zip(confusion.of_classes());
    Ok(Evaluation {
        model: path,
        task: model.question.task(),
        samples: confusion.samples(),
        test_accuracy: confusion.accuracy().unwrap_or_default(),
        balanced_accuracy: confusion.balanced_accuracy().unwrap_or_default(),
        classes: classes.map(|(name, of)| ClassRow::new(name, of)).collect(),
        confusion: confusion.counts().to_vec(),
    })
}

/// Prints the evaluation: tables for people, or one line of JSON.
///
/// # Errors
/// If stdout does not take it.
pub fn print(evaluation: &Evaluation, json: bool) -> Result<()> {
    if json {
        return print_json(evaluation);
    }
    Ok(print_text(&written(evaluation))?)
}

/// Classes of the largest confusion matrix that is printed whole.
const SHOWN: usize = 20;
/// Characters of a name in a table.
const LONGEST_NAME: usize = 24;

fn written(evaluation: &Evaluation) -> String {
    let Evaluation {
        task,
        samples,
        classes,
        ..
    } = evaluation;
    let names: Vec<String> = classes.iter().map(|class| shortened(&class.name)).collect();
    let longest = names.iter().map(|name| name.chars().count()).max();
    let width = longest.unwrap_or(0).max("class".len());
    let model = evaluation.model.display();
    let mut text = format!("{model}: {task} of {samples} test images\n\n");
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "{:<width$} {:>9} {:>9} {:>9} {:>9}",
        "class", "precision", "recall", "f1", "support"
    );
    for (name, class) in names.iter().zip(classes) {
        let [precision, recall, f1] = [class.precision, class.recall, class.f1].map(percent);
        let support = class.support;
        let _ = writeln!(
            text,
            "{name:<width$} {precision:>9} {recall:>9} {f1:>9} {support:>9}"
        );
    }
    let _ = write!(
        text,
        "\ntest accuracy      {:.2} %\nbalanced accuracy  {:.2} %\n",
        100.0 * evaluation.test_accuracy,
        100.0 * evaluation.balanced_accuracy
    );
    matrix(&mut text, &names, width, &evaluation.confusion);
    text
}

/// The confusion matrix, as far as people can read one.
fn matrix(text: &mut String, names: &[String], width: usize, confusion: &[Vec<u64>]) {
    let shown = names.len().min(SHOWN);
    let cell = names[..shown].iter().map(|name| name.chars().count()).max();
    let cell = cell.unwrap_or(0).max(6);
    let _ = write!(text, "\ntruth \\ predicted\n{:width$}", "");
    for name in &names[..shown] {
        let _ = write!(text, " {name:>cell$}");
    }
    for (name, row) in names.iter().zip(confusion).take(shown) {
        let _ = write!(text, "\n{name:<width$}");
        for count in &row[..shown] {
            let _ = write!(text, " {count:>cell$}");
        }
    }
    text.push('\n');
    if shown < names.len() {
        let _ = writeln!(
            text,
            "the first {shown} of {} classes; --json has all",
            names.len()
        );
    }
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.2} %", 100.0 * share))
}

/// A name that leaves room for the figures.
fn shortened(name: &str) -> String {
    match name.char_indices().nth(LONGEST_NAME) {
        None => name.to_owned(),
        Some(_) => name
            .chars()
            .take(LONGEST_NAME - 2)
            .chain("..".chars())
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluation(classes: usize) -> Evaluation {
        let row = |class: usize| ClassRow {
            name: format!("kind {class}"),
            precision: Some(1.0),
            recall: (class > 0).then_some(0.5),
            f1: Some(0.75),
            support: class as u64,
        };
        Evaluation {
            model: "model".into(),
            task: Task::Classes,
            samples: 9,
            test_accuracy: 0.5,
            balanced_accuracy: 0.25,
            classes: (0..classes).map(row).collect(),
            confusion: vec![vec![7; classes]; classes],
        }
    }

    #[test]
    fn the_text_has_a_row_for_every_class_and_the_figures_of_all() {
        let text = written(&evaluation(3));
        for words in [
            "model: classes of 9 test images",
            "kind 0  100.00 %         -   75.00 %         0",
            "kind 2  100.00 %   50.00 %   75.00 %         2",
            "test accuracy      50.00 %",
            "balanced accuracy  25.00 %",
            "kind 1      7      7      7",
        ] {
            assert!(text.contains(words), "`{words}` in:\n{text}");
        }
        assert!(!text.contains("--json"));
    }

    #[test]
    fn a_large_matrix_is_cut_with_a_note() {
        let text = written(&evaluation(25));
        assert!(text.contains("the first 20 of 25 classes"), "{text}");
        let (figures, matrix) = text.split_once("truth").expect("a matrix");
        assert!(figures.contains("kind 24") && !matrix.contains("kind 20"));
    }

    #[test]
    fn long_names_are_cut() {
        assert_eq!(shortened("a name"), "a name");
        assert_eq!(shortened(&"é".repeat(30)).chars().count(), LONGEST_NAME);
    }
}
