//! The curves of a run, grown by the lines of its metrics: of a file, or of a run that is under way.

use crate::series::{Point, Series};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Values of steps that have curves.
const OF_STEPS: [&str; 14] = [
    "loss",
    "objective",
    "output_residual",
    "activation_residual",
    "dual_residual",
    "weight_norm",
    "condition",
    "equations",
    "multiplier_rms",
    "rate",
    "wait_seconds",
    "work_seconds",
    "bytes_sent",
    "bytes_received",
];
/// Values of evaluations that have curves.
const OF_EVALUATIONS: [&str; 2] = ["accuracy", "loss"];
/// Splits that are evaluated, in the order of legends.
const SPLITS: [&str; 2] = ["validation", "test"];

/// The curves of a run. They take up a bounded amount of room.
///
/// ```
/// use lagrange_report::Curves;
/// use serde_json::json;
///
/// let mut curves = Curves::default();
/// curves.add(&json!({ "event": "step", "step": 1, "output_residual": [0.25, 0.5] }));
/// let residuals = curves.steps("output_residual");
/// assert_eq!((residuals[1].name.as_str(), residuals[1].points()[0].y), ("stage 2", 0.5));
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Curves {
    steps: BTreeMap<&'static str, Vec<Series>>,
    evaluations: BTreeMap<(&'static str, &'static str), Series>,
}

impl Curves {
    /// The curves of all `events`.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a Value>) -> Self {
        let mut curves = Self::default();
        events.into_iter().for_each(|event| curves.add(event));
        curves
    }

    /// Takes a line of the metrics. What has no curve is passed over.
    pub fn add(&mut self, event: &Value) {
        let Some(step) = event["step"].as_f64() else {
            return;
        };
        match event["event"].as_str() {
            Some("step") => self.add_step(step, event),
            Some("evaluation") => self.add_evaluation(step, event),
            _ => {}
        }
    }

    fn add_step(&mut self, step: f64, event: &Value) {
        for key in OF_STEPS {
            let (values, listed) = match &event[key] {
                Value::Null => continue,
                Value::Array(values) => (values.as_slice(), true),
                one => (std::slice::from_ref(one), false),
            };
            let series = self.steps.entry(key).or_default();
            for (stage, value) in values.iter().enumerate() {
                if series.len() <= stage {
                    series.push(Series::new(match listed {
                        true => format!("stage {}", stage + 1),
                        false => String::new(),
                    }));
                }
                if let Some(y) = value.as_f64() {
                    series[stage].push(Point { x: step, y });
                }
            }
        }
    }

    fn add_evaluation(&mut self, step: f64, event: &Value) {
        let Some(split) = SPLITS.into_iter().find(|split| event["split"] == *split) else {
            return;
        };
        for key in OF_EVALUATIONS {
            if let Some(y) = event[key].as_f64() {
                let series = self.evaluations.entry((key, split));
                let series = series.or_insert_with(|| Series::new(split));
                series.push(Point { x: step, y });
            }
        }
    }

    /// The steps' values of `key`; where they are lists, a curve for each stage.
    #[must_use]
    pub fn steps(&self, key: &str) -> &[Series] {
        self.steps.get(key).map_or(&[], Vec::as_slice)
    }

    /// Values of `key`, `accuracy` or `loss`, of each split that was evaluated.
    #[must_use]
    pub fn evaluations(&self, key: &str) -> Vec<Series> {
        let of_key = self.evaluations.iter().filter(|((own, _), _)| *own == key);
        let mut series: Vec<Series> = of_key.map(|(_, series)| series.clone()).collect();
        series.sort_by_key(|series| SPLITS.iter().position(|split| *split == series.name));
        series
    }

    /// All of them: `steps` has a list of curves for each value, one for each stage or only one;
    /// `evaluations` has a curve for each value and split. A curve is a list of `[step, value]`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let points = |series: &Series| json!(series.points());
        let steps = self.steps.iter().map(|(key, series)| {
            let series: Vec<Value> = series.iter().map(points).collect();
            ((*key).to_owned(), Value::from(series))
        });
        let mut evaluations = Map::new();
        for key in OF_EVALUATIONS {
            let splits = self.evaluations(key);
            let splits = splits.iter().map(|of| (of.name.clone(), points(of)));
            evaluations.insert(key.to_owned(), Value::Object(splits.collect()));
        }
        json!({ "steps": steps.collect::<Map<_, _>>(), "evaluations": evaluations })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_cut_off_or_of_something_else_change_nothing() {
        let events = [
            json!({ "event": "membership", "workers": 2 }),
            json!({ "event": "step", "loss": 1.0 }),
            json!({ "event": "evaluation", "step": 3, "split": "train", "accuracy": 1.0 }),
            json!({ "event": "best", "step": 3, "split": "test", "accuracy": 1.0 }),
            json!({ "event": "step", "step": 3, "condition": [null] }),
            Value::Null,
        ];
        let curves = Curves::of(&events);
        assert!(curves.evaluations("accuracy").is_empty() && curves.steps("loss").is_empty());
        assert_eq!(curves.steps("condition")[0].points(), []);
    }

    #[test]
    fn as_json_they_are_lists_of_pairs() {
        let events = [
            json!({ "event": "step", "step": 1, "loss": 0.5, "dual_residual": [1.0, 2.0] }),
            json!({ "event": "evaluation", "step": 1, "split": "test", "accuracy": 0.75, "loss": 0.25 }),
            json!({ "event": "evaluation", "step": 1, "split": "validation", "accuracy": 0.5, "loss": 0.5 }),
        ];
        let curves = Curves::of(&events);
        let splits = curves.evaluations("accuracy");
        let splits: Vec<&str> = splits.iter().map(|split| split.name.as_str()).collect();
        assert_eq!(splits, ["validation", "test"]);
        assert_eq!(
            curves.to_json(),
            json!({
                "steps": { "loss": [[[1.0, 0.5]]], "dual_residual": [[[1.0, 1.0]], [[1.0, 2.0]]] },
                "evaluations": {
                    "accuracy": { "test": [[1.0, 0.75]], "validation": [[1.0, 0.5]] },
                    "loss": { "test": [[1.0, 0.25]], "validation": [[1.0, 0.5]] },
                },
            })
        );
    }
}
