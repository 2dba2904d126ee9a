//! A line of the metrics as series of numbers.

use serde_json::Value;

/// Keys of a step, and the series that they belong to.
const OF_STEPS: [(&str, &str); 8] = [
    ("loss", "train/loss"),
    ("objective", "train/objective"),
    ("multiplier_rms", "train/multiplier_rms"),
    ("rate", "train/rate"),
    ("bytes_sent", "cluster/bytes_to_workers"),
    ("bytes_received", "cluster/bytes_from_workers"),
    ("wait_seconds", "seconds/wait"),
    ("work_seconds", "seconds/work"),
];
/// Keys with a value for each stage, and the series that they belong to: `residual/stage1/output`.
const OF_STAGES: [(&str, &str, &str); 4] = [
    ("output_residual", "residual", "output"),
    ("activation_residual", "residual", "activation"),
    ("dual_residual", "residual", "dual"),
    ("condition", "solve", "condition"),
];
/// Keys of an evaluation, which are also the names of their series, behind that of the split.
const OF_EVALUATIONS: [&str; 2] = ["accuracy", "loss"];

/// Steps completed, and name and value of every series that `line` goes on with, if it has any.
pub(super) fn scalars(line: &Value) -> Option<(u64, Vec<(String, f64)>)> {
    let step = line["step"].as_u64()?;
    let values = match line["event"].as_str()? {
        "step" => of_step(line),
        "evaluation" => of_evaluation(line),
        _ => return None,
    };
    Some((step, values))
}

fn of_step(line: &Value) -> Vec<(String, f64)> {
    let of_all = OF_STEPS
        .iter()
        .filter_map(|&(key, tag)| Some((tag.to_owned(), line[key].as_f64()?)));
    let of_stages = OF_STAGES.iter().flat_map(|&(key, group, name)| {
        let stages = line[key].as_array().into_iter().flatten().enumerate();
        stages.filter_map(move |(index, value)| {
            Some((
                format!("{group}/stage{}/{name}", index + 1),
                value.as_f64()?,
            ))
        })
    });
    of_all.chain(of_stages).collect()
}

fn of_evaluation(line: &Value) -> Vec<(String, f64)> {
    let split = match line["split"].as_str() {
        Some("validation") => "val",
        Some(split) => split,
        None => return Vec::new(),
    };
    let values = OF_EVALUATIONS.iter();
    values
        .filter_map(|key| Some((format!("{split}/{key}"), line[*key].as_f64()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn steps_and_evaluations_are_series_and_nothing_else_is() {
        let line = json!({
            "event": "step", "step": 3, "loss": 0.5, "total": 9, "wait_seconds": null,
            "dual_residual": [0.25, null, 0.125],
        });
        let named = |name: &str, value| (name.to_owned(), value);
        let expected = vec![
            named("train/loss", 0.5),
            named("residual/stage1/dual", 0.25),
            named("residual/stage3/dual", 0.125),
        ];
        assert_eq!(scalars(&line), Some((3, expected)));
        let line =
            json!({ "event": "evaluation", "step": 4, "split": "validation", "accuracy": 0.75 });
        let expected = vec![named("val/accuracy", 0.75)];
        assert_eq!(scalars(&line), Some((4, expected)));
        for line in [
            json!({ "event": "best", "step": 4, "split": "validation", "accuracy": 0.75 }),
            json!({ "event": "membership", "workers": 2 }),
            json!(null),
        ] {
            assert_eq!(scalars(&line), None);
        }
    }
}
