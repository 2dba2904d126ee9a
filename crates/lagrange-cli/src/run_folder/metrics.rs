//! What is kept of the metrics of a run that is taken up again.

use lagrange_data::Split;
use serde_json::json;

/// The moment of a run that its metrics are kept up to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Steps completed.
    pub step: u64,
    /// Splits that will be evaluated at this step again.
    pub due: Vec<Split>,
}

impl Kept {
    /// Whether a line of the metrics is of this moment or an earlier one.
    pub(super) fn has(&self, line: &str) -> bool {
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
        let still_due = || self.due.iter().any(|split| line["split"] == json!(split));
        let Some(step) = line["step"].as_u64() else {
            return false;
        };
        step < self.step || (step == self.step && (line["event"] != "evaluation" || !still_due()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_kept_up_to_what_the_checkpoint_holds() {
        let kept = Kept {
            step: 8,
            due: vec![Split::Test],
        };
        for (is_kept, line) in [
            (true, json!({ "event": "step", "step": 8 })),
            (true, json!({ "event": "rollback", "step": 8 })),
            (
                true,
                json!({ "event": "evaluation", "step": 4, "split": "test" }),
            ),
            (
                true,
                json!({ "event": "evaluation", "step": 8, "split": "validation" }),
            ),
            (
                false,
                json!({ "event": "evaluation", "step": 8, "split": "test" }),
            ),
            (false, json!({ "event": "step", "step": 9 })),
            (false, json!({ "event": "membership", "workers": 2 })),
        ] {
            assert_eq!(kept.has(&line.to_string()), is_kept, "{line}");
        }
    }
}
