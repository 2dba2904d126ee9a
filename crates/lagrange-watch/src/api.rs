//! The state of a run as JSON.

use crate::state::{Phase, RunState};
use serde_json::{Value, json};

/// What `/api/run` answers, `elapsed` seconds after the coordinator was ready.
///
/// ```
/// use lagrange_watch::{RunState, run_json};
///
/// let mut state = RunState::default();
/// state.begin((0, 936));
/// let run = run_json(&state, 2.5);
/// assert_eq!((run["phase"].as_str(), run["total"].as_u64()), (Some("waiting"), Some(936)));
/// ```
#[must_use]
pub fn run_json(state: &RunState, elapsed: f64) -> Value {
    let phase = match &state.phase {
        Phase::Preparing => "preparing",
        Phase::Waiting => "waiting",
        Phase::Starting { .. } => "starting",
        Phase::Training => "training",
        Phase::Over(_) => "over",
    };
    let ending = state.ending();
    let lines = state.lines.iter();
    let lines = lines.map(|line| json!({ "seconds": line.seconds, "text": line.text }));
    let rollbacks = state.rollbacks.iter().map(|back| {
        json!({ "step": back.step, "to": back.to, "rate_factor": back.rate_factor, "reason": back.reason })
    });
    let cost = state.pace.cost().map(|cost| {
        json!({
            "wait_seconds": cost.wait_seconds,
            "work_seconds": cost.work_seconds,
            "bytes_sent": cost.bytes_sent,
            "bytes_received": cost.bytes_received,
        })
    });
    json!({
        "lagrange": env!("CARGO_PKG_VERSION"),
        "name": state.name,
        "network": state.model.as_ref().map(|model| model.network.describe()),
        "phase": phase,
        "words": state.words(),
        "step": state.step,
        "total": state.total,
        "seconds": elapsed,
        "seconds_left": state.seconds_left(),
        "evaluations": state.evaluations,
        "best": state.best,
        "last_step": state.last,
        "step_cost": cost,
        "rollbacks": rollbacks.collect::<Vec<_>>(),
        "listening": state.listening,
        "workers": {
            "wanted": state.workers.wanted,
            "lease_seconds": state.workers.lease_seconds,
            "present": state.workers.present,
        },
        "lines": lines.collect::<Vec<_>>(),
        "result": ending.and_then(|ending| ending.result.as_ref()),
        "error": ending.and_then(|ending| ending.error.as_ref()),
    })
}
