//! The certificate of a run: which checks of optimality ran, and what they came to.

use crate::Run;
use lagrange::Check;
use maud::{Markup, html};
use serde_json::Value;

/// Amounts as `1.2e-7`; those that are 0 as 0.
fn amount(value: &Value) -> String {
    match value.as_f64() {
        None => "-".to_owned(),
        Some(0.0) => "0".to_owned(),
        Some(value) => format!("{value:.1e}"),
    }
}

fn meaning(name: &Value) -> &'static str {
    let known = Check::ALL.into_iter().find(|check| *name == check.name());
    known.map_or("", Check::meaning)
}

/// Where the worst amount was met.
fn place(entry: &Value) -> String {
    let step = entry["worst_step"].as_u64().unwrap_or_default();
    match (entry["worst"].as_f64(), entry["worst_shard"].as_u64()) {
        (Some(0.0), _) => String::new(),
        (_, Some(shard)) => format!("step {step}, shard {shard}"),
        (_, None) => format!("step {step}"),
    }
}

/// The section; nothing for runs of releases that checked nothing.
pub(crate) fn section(run: &Run) -> Markup {
    let certificate = &run.result["certificate"];
    let count = |key: &str| certificate[key].as_u64().unwrap_or_default();
    let none = Vec::new();
    let list = |key: &str| certificate[key].as_array().unwrap_or(&none);
    if certificate.is_null() {
        return Markup::default();
    }
    html! {
        h2 { "Certificate" }
        p {
            @match (count("ran"), count("failed")) {
                (0, _) => "No check of optimality ran.",
                (ran, 0) => { (ran) " checks of optimality, " b { "all held" } "." }
                (ran, failed) => { (ran) " checks of optimality, " b.bad { (failed) " failed" } "." }
            }
        }
        p.faint {
            "While the run went, every " (count("check_every")) "th step one sample was watched through its sweep, and \
             the weight systems of the step were checked, in f64 and by the definitions of the sub-problems. An amount \
             is by how much a condition was missed, relative to the size of its sub-problem; the tolerance covers the \
             rounding of f32."
        }
        @if count("since_step") > 0 {
            p.faint { "Counted behind step " (count("since_step")) ": an earlier release made the steps before." }
        }
        div.scroll { table {
            tr {
                th { "check" } th { "stage" } th { "ran" } th { "held" } th { "worst" } th { "tolerance" } th { "where" }
                th.words { "what holds" }
            }
            @for entry in list("entries") {
                @let failed = entry["ran"] != entry["held"];
                tr.bad[failed] {
                    td { (entry["check"].as_str().unwrap_or_default()) }
                    td { (entry["stage"].as_u64().unwrap_or_default() + 1) }
                    td { (entry["ran"]) } td { (entry["held"]) }
                    td { (amount(&entry["worst"])) } td { (amount(&entry["tolerance"])) }
                    td { (place(entry)) }
                    td.words { (meaning(&entry["check"])) }
                }
            }
            @for left_out in list("not_run") {
                tr.faint {
                    td { (left_out["check"].as_str().unwrap_or_default()) }
                    td { "-" } td { "0" } td { "0" } td { "-" } td { "-" } td {}
                    td.words { "not run: " (left_out["reason"].as_str().unwrap_or_default()) }
                }
            }
        } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(certificate: &str) -> String {
        let folder = tempfile::tempdir().expect("folder");
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).expect("written");
        };
        write("config.toml", "seed = 1");
        write("metrics.jsonl", "");
        write(
            "result.json",
            &format!("{{\"certificate\": {certificate}}}"),
        );
        section(&Run::read(folder.path()).expect("a run")).into_string()
    }

    #[test]
    fn checks_that_held_failed_and_did_not_run_are_told_apart() {
        let html = run(
            r#"{ "ran": 9, "held": 8, "failed": 1, "check_every": 16, "entries": [
            { "check": "sweep", "stage": 1, "ran": 4, "held": 4, "worst": 0.0, "tolerance": 1e-5, "worst_step": 1, "worst_shard": 2 },
            { "check": "normal-equations", "stage": 0, "ran": 5, "held": 4, "worst": 0.25, "tolerance": 1e-5, "worst_step": 33,
              "worst_shard": null } ], "not_run": [{ "check": "hidden-prox", "reason": "there is none" }] }"#,
        );
        for part in [
            "<b class=\"bad\">1 failed</b>",
            "<td>sweep</td><td>2</td><td>4</td><td>4</td><td>0</td><td>1.0e-5</td><td></td>",
            "<tr class=\"bad\"><td>normal-equations</td><td>1</td><td>5</td><td>4</td><td>2.5e-1</td>",
            "<td>step 33</td>",
            "not run: there is none",
            Check::Sweep.meaning(),
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
        assert!(run(r#"{ "ran": 9, "failed": 0 }"#).contains("<b>all held</b>"));
        assert_eq!(run("null"), "");
    }
}
