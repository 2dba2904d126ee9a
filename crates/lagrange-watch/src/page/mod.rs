//! The live page: a shell that stays, and parts of it that change.

mod parts;
mod workers;

pub(crate) use parts::{Parts, parts};

use crate::state::RunState;
use lagrange_report::{Chart, Section, sections};
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// Style: that of reports, and what only a live page has.
pub(crate) const STYLE: [&str; 2] = [lagrange_report::STYLE, include_str!("live.css")];
/// What puts changed parts in their places.
pub(crate) const SCRIPT: &str = include_str!("live.js");

/// The whole page as it is now. Without scripts it is loaded again every few seconds.
pub(crate) fn page(state: &RunState, parts: &Parts) -> String {
    let part = |id| part(parts, id);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title id="title" { (part("title")) }
                link rel="stylesheet" href="style.css";
                link rel="icon" href="data:,";
                script src="live.js" defer {}
                @if state.ending().is_none() { noscript { meta http-equiv="refresh" content="5"; } }
            }
            body {
                header {
                    h1 id="name" { (part("name")) }
                    p.state id="state" role="status" { (part("state")) }
                    p.lost id="lost" role="alert" hidden {
                        "The connection to the coordinator is lost: it has ended, or is out of reach. What you see \
                         is what came last; this page goes on by itself when the coordinator is there again."
                    }
                    div id="progress" { (part("progress")) }
                }
                main {
                    div.tiles id="tiles" { (part("tiles")) }
                    div id="result" { (part("result")) }
                    @for section in sections(&state.curves) { (charts(&section, parts)) }
                    section aria-labelledby="of-workers" {
                        h2 id="of-workers" { "Workers and shards" }
                        div.scroll tabindex="0" role="region" aria-labelledby="of-workers" id="workers" { (part("workers")) }
                    }
                    section aria-labelledby="of-kernels" {
                        h2 id="of-kernels" { "Kernels of the first stage" }
                        div id="kernels" { (part("kernels")) }
                    }
                    section aria-labelledby="of-lines" {
                        h2 id="of-lines" { "What was said" }
                        div.lines tabindex="0" role="region" aria-labelledby="of-lines" id="lines" { (part("lines")) }
                    }
                }
                footer { p.faint {
                    "For programs: " a href="api/run" { "api/run" } ", " a href="api/curves" { "api/curves" } "."
                } }
            }
        }
    };
    page.into_string()
}

/// What belongs in the place of that name.
fn part<'a>(parts: &'a Parts, id: &str) -> PreEscaped<&'a str> {
    PreEscaped(parts.get(id).map_or("", String::as_str))
}

fn charts(section: &Section, parts: &Parts) -> Markup {
    let slug = slug(section.title);
    html! {
        section aria-labelledby=(slug) {
            h2 id=(slug) { (section.title) }
            @if !section.note.is_empty() { p.faint { (section.note) } }
            div.charts { @for chart in &section.charts {
                @let (drawn, table) = ids(chart);
                div.view {
                    div.drawn id=(drawn) { (part(parts, &drawn)) }
                    details {
                        summary { (chart.title) " in numbers" }
                        div.scroll tabindex="0" role="region" aria-label=(format!("{} in numbers", chart.title)) id=(table) {
                            (part(parts, &table))
                        }
                    }
                }
            } }
        }
    }
}

/// Names of the places of a chart and of its table.
fn ids(chart: &Chart) -> (String, String) {
    let slug = slug(chart.title);
    (format!("chart-{slug}"), format!("table-{slug}"))
}

fn slug(title: &str) -> String {
    title
        .to_lowercase()
        .replace(|of: char| !of.is_ascii_alphanumeric(), "-")
}

/// What those are told who have not shown the run's token.
pub(crate) fn door() -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Lagrange: token" }
                link rel="stylesheet" href="style.css";
            }
            body {
                h1 { "This run has a token" }
                form method="get" {
                    p { label for="token" { "Token (the file of --token-file, or the file token of --tls)" } }
                    p { input type="password" id="token" name="token" autocomplete="off" required; " " button { "Show the run" } }
                }
            }
        }
    };
    page.into_string()
}

#[cfg(test)]
mod tests;
