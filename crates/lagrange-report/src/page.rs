//! The page.

use crate::certificate;
use crate::chart::short;
use crate::pictures::{address, kernel_addresses};
use crate::sections::sections;
use crate::several::side_by_side;
use crate::{Run, STYLE, Verdict};
use lagrange::Model;
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// Classes up to which every pair is shown.
const MOST_CLASSES: usize = 40;

/// The report of `runs` as HTML. Of a single one, `model` shows its kernels and `verdict` what it makes of a
/// test set.
///
/// ```
/// use lagrange_report::{Run, page};
///
/// let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("config.toml"), "seed = 1")?;
/// let step = r#"{"event":"step","step":1,"loss":0.5}"#;
/// std::fs::write(folder.path().join("metrics.jsonl"), step)?;
/// let html = page(&[Run::read(folder.path())?], None, None);
/// assert!(html.contains("seed = 1") && !html.contains("<script"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn page(runs: &[Run], model: Option<&Model>, verdict: Option<&Verdict>) -> String {
    let title = runs
        .iter()
        .map(|run| run.name.as_str())
        .collect::<Vec<_>>()
        .join(", ");
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " - Lagrange" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (title) }
                @match runs {
                    [run] => (of_one(run, model, verdict)),
                    runs => (side_by_side(runs)),
                }
            }
        }
    };
    page.into_string()
}

fn of_one(run: &Run, model: Option<&Model>, verdict: Option<&Verdict>) -> Markup {
    html! {
        (heading(run, model))
        div.tiles { @for (name, value) in tiles(run) { div.tile { b { (value) } span { (name) } } } }
        @for section in sections(&run.curves()) {
            h2 { (section.title) }
            @if !section.note.is_empty() { p.faint { (section.note) } }
            div.charts { @for chart in section.charts { (chart.draw()) } }
        }
        (certificate::section(run))
        @match (verdict, model) {
            (Some(verdict), _) => (judged(verdict)),
            (None, Some(_)) => p.faint {
                "Figures of every class, the confusion matrix and the worst mistakes are shown by "
                code { "lagrange report RUN_FOLDER --data PATH" } "."
            },
            (None, None) => {},
        }
        @if let Some(model) = model { (drawn(model)) }
        h2 { "Configuration" }
        details { summary { "every key" } pre { (run.configuration) } }
    }
}

fn heading(run: &Run, model: Option<&Model>) -> Markup {
    let text = |key: &str| run.result[key].as_str().unwrap_or_default().to_owned();
    html! {
        p.faint {
            @if let Some(model) = model { (model.network.describe()) br; }
            @if run.result.is_null() { "This run is not complete." } @else {
                "weights " (text("weights_sha256")) br;
                "multipliers " (text("multipliers_sha256"))
            }
        }
    }
}

fn tiles(run: &Run) -> Vec<(&'static str, String)> {
    let percent = |value: f64| format!("{:.2} %", 100.0 * value);
    let plain = |key: &str| run.figure(key).map(|value| format!("{value:.0}"));
    let best = run.result["best"]["validation_accuracy"].as_f64();
    let tiles = [
        ("test accuracy", run.figure("test_accuracy").map(percent)),
        (
            "validation accuracy",
            run.figure("validation_accuracy").map(percent),
        ),
        ("best on validation", best.map(percent)),
        ("seconds", run.figure("seconds").map(short)),
        ("steps", plain("steps")),
        ("epochs", run.figure("epochs").map(short)),
        ("workers", plain("workers")),
        ("seed", plain("seed")),
        (
            "MB on the wire",
            run.figure("bytes_sent").map(|bytes| short(bytes / 1e6)),
        ),
        ("equations", run.figure("equations").map(short)),
        (
            "returns to earlier points",
            Some(run.rollbacks().to_string()),
        ),
    ];
    tiles
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

fn judged(verdict: &Verdict) -> Markup {
    html! {
        h2 { "Classes" }
        div.scroll { (figures(verdict)) }
        @if verdict.classes.len() <= MOST_CLASSES {
            h2 { "Confusion" }
            p.faint { "Rows are the classes of the images, columns what they were taken for." }
            div.scroll { (confusion(verdict)) }
        }
        @if !verdict.mistakes.is_empty() {
            h2 { "Mistakes that the model was most sure of" }
            div.pictures { @for mistake in &verdict.mistakes {
                @if let Some(address) = address(&mistake.picture) {
                    figure {
                        img src=(address) alt=(format!("test image {}", mistake.image));
                        figcaption {
                            "taken for " b { (mistake.prediction) } ", is " b { (mistake.truth) }
                            span.faint { " " (format!("{:.0} %", 100.0 * mistake.probability)) }
                        }
                    }
                }
            } }
        }
    }
}

fn figures(verdict: &Verdict) -> Markup {
    let percent =
        |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{:.2}", 100.0 * value));
    html! {
        table {
            tr { th { "class" } th { "precision %" } th { "recall %" } th { "F1 %" } th { "images" } }
            @for (name, of) in verdict.classes.iter().zip(verdict.confusion.of_classes()) {
                tr {
                    td { (name) } td { (percent(of.precision)) } td { (percent(of.recall)) }
                    td { (percent(of.f1)) } td { (of.support) }
                }
            }
        }
    }
}

fn confusion(verdict: &Verdict) -> Markup {
    let supports: Vec<u64> = verdict
        .confusion
        .of_classes()
        .iter()
        .map(|of| of.support)
        .collect();
    html! {
        table {
            tr { th {} @for name in &verdict.classes { th { (name) } } }
            @for (row, counts) in verdict.confusion.counts().iter().enumerate() {
                tr {
                    th { (verdict.classes[row]) }
                    @for (column, &count) in counts.iter().enumerate() {
                        @let share = count as f64 / supports[row].max(1) as f64;
                        @let kind = if row == column { "right" } else { "wrong" };
                        td class=(kind) style=(format!("--share:{share:.3}")) { (count) }
                    }
                }
            }
        }
    }
}

fn drawn(model: &Model) -> Markup {
    html! {
        h2 { "Kernels of the first stage" }
        p.faint { "Grey is 0; black and white are the largest weights of all." }
        div.pictures.kernels { @for (number, kernel) in kernel_addresses(model).iter().enumerate() {
            figure { img src=(kernel) alt=(format!("kernel {}", number + 1)); }
        } }
    }
}
