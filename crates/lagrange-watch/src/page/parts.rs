//! The parts of the page that change, by their place in it.

use super::{ids, workers};
use crate::state::{Ending, Phase, RunState};
use crate::words::{bytes, duration, milliseconds, percent};
use lagrange::Split;
use lagrange_report::{kernel_addresses, sections, short};
use maud::{Markup, html};
use std::collections::BTreeMap;

/// The HTML in each place of the page.
pub(crate) type Parts = BTreeMap<String, String>;

/// All parts, `elapsed` seconds after the coordinator was ready.
pub(crate) fn parts(state: &RunState, elapsed: f64) -> Parts {
    let fixed = [
        ("title", title(state)),
        ("name", name(state)),
        ("state", html! { (state.words()) }),
        ("progress", progress(state, elapsed)),
        ("tiles", tiles(state)),
        ("result", result(state)),
        ("workers", workers::table(state, elapsed)),
        ("kernels", kernels(state)),
        ("lines", lines(state)),
    ];
    let fixed = fixed.map(|(id, part)| (id.to_owned(), part.into_string()));
    let mut parts = Parts::from(fixed);
    for chart in sections(&state.curves).iter().flat_map(|of| &of.charts) {
        let (drawn, table) = ids(chart);
        parts.insert(drawn, chart.draw().into_string());
        parts.insert(table, chart.table().into_string());
    }
    parts
}

fn title(state: &RunState) -> Markup {
    let done = match state.phase {
        Phase::Over(_) => "over".to_owned(),
        _ => format!("{:.0} %", 100.0 * state.share()),
    };
    html! { (done) " - " (state.name) " - Lagrange" }
}

fn name(state: &RunState) -> Markup {
    let name = match state.name.as_str() {
        "" => "A run that begins",
        name => name,
    };
    html! { (name) }
}

fn progress(state: &RunState, elapsed: f64) -> Markup {
    let left = state.seconds_left();
    html! {
        progress max=(state.total.max(1)) value=(state.step) aria-label="steps completed" {}
        p.faint {
            "step " (state.step) " of " (state.total) ", " (format!("{:.0} %", 100.0 * state.share()))
            "; " (duration(elapsed)) @if state.ending().is_none() { " so far" }
            @if let Some(left) = left { ", " (duration(left)) " left" }
            @if let Some(model) = &state.model { br; (model.network.describe()) }
        }
    }
}

fn tiles(state: &RunState) -> Markup {
    let of = |split| {
        let mut all = state.evaluations.iter();
        let of = all.find(|of| of.split == split);
        of.map(|of| percent(of.accuracy))
    };
    let cost = state.pace.cost();
    let step = |of: fn(&crate::StepCost) -> String| cost.as_ref().map(of);
    let tiles = [
        ("test accuracy", of(Split::Test)),
        ("validation accuracy", of(Split::Validation)),
        (
            "best on validation",
            state.best.map(|of| percent(of.accuracy)),
        ),
        (
            "loss of the batch",
            state.last.as_ref().map(|of| short(of.loss)),
        ),
        (
            "waiting in a step",
            step(|of| milliseconds(of.wait_seconds)),
        ),
        (
            "solving in a step",
            step(|of| milliseconds(of.work_seconds)),
        ),
        ("to workers in a step", step(|of| bytes(of.bytes_sent))),
        (
            "from workers in a step",
            step(|of| bytes(of.bytes_received)),
        ),
        (
            "step length left",
            state
                .last
                .as_ref()
                .map(|of| format!("{:.0} %", 100.0 * of.rate)),
        ),
        ("workers", Some(state.workers.present.len().to_string())),
        (
            "returns to earlier points",
            Some(state.rollbacks.len().to_string()),
        ),
    ];
    html! {
        @for (name, value) in tiles {
            @if let Some(value) = value { div.tile { b { (value) } span { (name) } } }
        }
    }
}

/// What it came to, once it is over.
fn result(state: &RunState) -> Markup {
    let Some(Ending { result, error }) = state.ending() else {
        return html! {};
    };
    html! {
        h2 { "Result" }
        @if let Some(error) = error { p { (error) } }
        @if let Some(result) = result {
            div.scroll { table {
                @if let Some(share) = result.test_accuracy { (row("test accuracy", &percent(share))) }
                @if let Some(share) = result.validation_accuracy { (row("validation accuracy", &percent(share))) }
                @if let Some(best) = result.best {
                    (row("best on validation", &format!("{} at step {}", percent(best.validation_accuracy), best.step)))
                }
                (row("steps", &format!("{} in {}", result.steps, duration(result.seconds))))
                (row("weights", &format!("sha256 {}", result.weights_sha256)))
                (row("multipliers", &format!("sha256 {}", result.multipliers_sha256)))
                (row("wire", &bytes(result.bytes_sent as f64)))
                @if let Some(folder) = &result.run_dir { (row("run folder", &folder.display().to_string())) }
            } }
        }
        p.faint {
            "The coordinator has ended, and this page with it: it stays as long as you leave it open. "
            code { "lagrange report RUN_FOLDER" } " draws the run again."
        }
    }
}

fn row(name: &str, value: &str) -> Markup {
    html! { tr { th scope="row" { (name) } td { (value) } } }
}

fn kernels(state: &RunState) -> Markup {
    let of = state.weights_of.zip(state.model.as_ref());
    html! {
        @match of {
            None => p.faint { "Not known before the first evaluation." },
            Some((step, model)) => {
                p.faint { "After step " (step) ". Grey is 0; black and white are the largest weights of all." }
                div.pictures.kernels { @for (number, kernel) in kernel_addresses(model).iter().enumerate() {
                    figure { img src=(kernel) alt=(format!("kernel {}", number + 1)); }
                } }
            }
        }
    }
}

fn lines(state: &RunState) -> Markup {
    html! {
        ol reversed { @for line in state.lines.iter().rev() {
            li { span.faint { (duration(line.seconds)) } " " (line.text) }
        } }
    }
}
