//! Who is connected, and who has which shards.

use crate::state::RunState;
use crate::words::{cut, duration, milliseconds, ranges};
use maud::{Markup, html};

/// Most characters of a worker's name.
const NAME: usize = 48;

pub(super) fn table(state: &RunState, elapsed: f64) -> Markup {
    let workers = &state.workers;
    // What was heard of a worker when it was told of is older by now, unless the run is over.
    let since = (elapsed - workers.told).max(0.0);
    html! {
        @if workers.present.is_empty() { p.faint { "Nobody is connected." } } @else {
            table {
                tr {
                    @for name in ["worker", "name", "address", "threads", "shards", "last answer took", "last heard of"] {
                        th scope="col" { (name) }
                    }
                }
                @for of in &workers.present {
                    tr {
                        th scope="row" { (of.worker) @if of.leaving { ", leaving" } }
                        td { (cut(&of.name, NAME)) }
                        td { (of.address.map_or("-".to_owned(), |address| address.to_string())) }
                        td { (of.threads) }
                        td { @if of.shards.is_empty() { "none" } @else { (ranges(&of.shards)) " (" (of.shards.len()) ")" } }
                        td { (of.answer_seconds.map_or("-".to_owned(), milliseconds)) }
                        td { (heard(of.silent_seconds + since, workers.lease_seconds, state.ending().is_some())) }
                    }
                }
            }
        }
    }
}

/// How long ago a worker was heard of, of how long it may be silent.
fn heard(silent: f64, lease: f64, over: bool) -> Markup {
    html! {
        @if over { "-" } @else if silent < 2.0 { "just now" } @else { (duration(silent)) " ago" }
        @if !over { span.faint { " of " (duration(lease)) } }
    }
}
