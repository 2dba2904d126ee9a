//! Several runs beside each other: a table of their results, and their curves in one chart each.

use crate::chart::{Scale, chart, short, swatch};
use crate::series::Series;
use crate::{Comparison, Curves, Row, Run};
use maud::{Markup, html};
use serde_json::Value;

/// Columns of the results: title, key, and how a value is written.
type Column = (&'static str, &'static str, fn(f64) -> String);
const COLUMNS: [Column; 6] = [
    ("test accuracy %", "test_accuracy", percent),
    ("validation accuracy %", "validation_accuracy", percent),
    ("seconds", "seconds", short),
    ("steps", "steps", short),
    ("workers", "workers", short),
    ("MB sent", "bytes_sent", megabytes),
];

fn percent(share: f64) -> String {
    format!("{:.2}", 100.0 * share)
}

fn megabytes(bytes: f64) -> String {
    format!("{:.1}", bytes / 1e6)
}

/// Curves of several runs, each in one colour and with its own dashes, and tables of their results and of what
/// differs in their configurations.
pub(crate) fn side_by_side(runs: &[Run]) -> Markup {
    let compared = Comparison::of(runs);
    html! {
        h2 { "Results" }
        div.scroll { (results(runs)) }
        h2 { "Configuration" }
        @if compared.configuration.is_empty() {
            p.faint { "Every key is the same in all runs." }
        } @else {
            div.scroll { (configuration(&compared)) }
        }
        h2 { "Curves" }
        div.charts { (curves(runs)) }
    }
}

fn results(runs: &[Run]) -> Markup {
    html! {
        table {
            tr { th { "run" } @for (title, ..) in COLUMNS { th { (title) } } th { "weights" } }
            @for (index, run) in runs.iter().enumerate() {
                tr {
                    td { (swatch(index)) " " (run.name) }
                    @for (_, key, write) in COLUMNS { td { (run.figure(key).map_or("-".to_owned(), write)) } }
                    td { (weights(run)) }
                }
            }
        }
    }
}

/// The keys that differ, each in a column.
fn configuration(compared: &Comparison) -> Markup {
    let value = |row: &Row, run: usize| match &row.values[run] {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    html! {
        table {
            tr { th { "run" } @for row in &compared.configuration { th { (row.key) } } }
            @for (index, name) in compared.runs.iter().enumerate() {
                tr {
                    td { (swatch(index)) " " (name) }
                    @for row in &compared.configuration { td { (value(row, index)) } }
                }
            }
        }
    }
}

/// The beginning of the hash of a run's weights.
fn weights(run: &Run) -> String {
    let hash = run.result["weights_sha256"].as_str().unwrap_or("-");
    hash.chars().take(12).collect()
}

fn curves(runs: &[Run]) -> Markup {
    let all: Vec<Curves> = runs.iter().map(Run::curves).collect();
    // A run without a value keeps its place, and so its colour.
    let of_each = |series: &dyn Fn(&Curves) -> Option<Series>| -> Vec<Series> {
        let named = |(run, curves): (&Run, &Curves)| {
            let series = series(curves).unwrap_or_else(|| Series::new(""));
            series.named(run.name.clone())
        };
        runs.iter().zip(&all).map(named).collect()
    };
    let evaluated = |key: &str| of_each(&|curves| curves.evaluations(key).into_iter().next());
    let stepped =
        |key: &str, stage: usize| of_each(&|curves| curves.steps(key).get(stage).cloned());
    let of_stages = |key: &str, title: &'static str, unit: &str| -> Vec<Markup> {
        let stages = all.iter().map(|curves| curves.steps(key).len()).max();
        let charts = (0..stages.unwrap_or(0)).map(|stage| {
            let unit = format!("{unit}, stage {}", stage + 1);
            chart(title, unit, Scale::Logarithmic, stepped(key, stage)).draw()
        });
        charts.collect()
    };
    html! {
        (chart("Accuracy", splits(&all), Scale::Linear, evaluated("accuracy")).draw())
        (chart("Loss", "of the batch", Scale::Logarithmic, stepped("loss", 0)).draw())
        (chart("Augmented objective", "mean of a sample", Scale::Logarithmic, stepped("objective", 0)).draw())
        (chart("Multipliers", "root mean square", Scale::Linear, stepped("multiplier_rms", 0)).draw())
        @for chart in of_stages("output_residual", "Primal residual of outputs", "|z - W a|") { (chart) }
        @for chart in of_stages("dual_residual", "Dual residual", "beta |T(a) dW|") { (chart) }
    }
}

/// What the accuracies are of: validation images where a run has some.
fn splits(all: &[Curves]) -> String {
    let first = |curves: &Curves| Some(curves.evaluations("accuracy").into_iter().next()?.name);
    let mut names: Vec<String> = all.iter().filter_map(first).collect();
    names.sort_unstable();
    names.dedup();
    format!("share of {} images, by step", names.join(" or "))
}
