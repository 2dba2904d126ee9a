//! Files of a run folder that are made of the others when the run ends: a table of its evaluations, and a model
//! card.

use super::RunResult;
use crate::Model;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Columns of the table behind step, epoch and seconds.
const COLUMNS: [&str; 5] = [
    "train/loss",
    "val/accuracy",
    "val/loss",
    "test/accuracy",
    "test/loss",
];

/// `metrics.csv` of `metrics.jsonl`: a row for each step at which something was evaluated, with the mean loss
/// of the batches since the row before. What was not evaluated is empty.
pub(super) fn table(metrics: &str, epochs: f64) -> String {
    let mut rows: BTreeMap<u64, [Option<f64>; 5]> = BTreeMap::new();
    let mut seconds = BTreeMap::new();
    let (mut losses, mut total) = (Vec::new(), 0.0);
    for line in metrics.lines() {
        let event: Value = serde_json::from_str(line).unwrap_or_default();
        let (Some(step), number) = (event["step"].as_u64(), |key: &str| event[key].as_f64()) else {
            continue;
        };
        if event["event"] == "step" {
            losses.extend(number("loss"));
            total = number("total").unwrap_or(total);
        }
        let column = match (event["event"].as_str(), event["split"].as_str()) {
            (Some("evaluation"), Some("validation")) => 1,
            (Some("evaluation"), Some("test")) => 3,
            _ => continue,
        };
        let row = rows.entry(step).or_default();
        if !losses.is_empty() {
            row[0] = Some(losses.iter().sum::<f64>() / losses.len() as f64);
            losses.clear();
        }
        (row[column], row[column + 1]) = (number("accuracy"), number("loss"));
        seconds.insert(step, number("seconds").unwrap_or_default());
    }
    let mut text = format!("step,epoch,seconds,{}\n", COLUMNS.join(","));
    for (step, values) in rows {
        let epoch = epochs * step as f64 / f64::max(total, 1.0);
        // Writing to a string cannot fail.
        let _ = write!(text, "{step},{epoch:.4},{:.3}", seconds[&step]);
        for value in values {
            let _ = match value {
                Some(value) => write!(text, ",{value}"),
                None => write!(text, ","),
            };
        }
        text.push('\n');
    }
    text
}

/// The model card `README.md`, with the head that the Hugging Face Hub reads.
pub(super) fn card(model: &Model, result: &RunResult) -> String {
    let name = format!("{}-seed{}", result.task, result.seed);
    let quoted = |text: &str| Value::from(text).to_string();
    let classes = model.question.names().iter().map(|name| quoted(name));
    let input = model.network.input();
    let mut head = format!(
        "---\nlibrary_name: lagrange\npipeline_tag: image-classification\ntags:\n- admm\n- gradient-free\n\
         metrics:\n- accuracy\nmodel-index:\n- name: {name}\n  results:"
    );
    match result.test_accuracy {
        None => head.push_str(" []\n"),
        Some(accuracy) => {
            let _ = write!(
                head,
                "\n  - task:\n      type: image-classification\n    dataset:\n      name: {task}\n      type: images\n    \
                 metrics:\n    - type: accuracy\n      value: {accuracy}\n",
                task = result.task,
            );
        }
    }
    format!(
        "{head}---\n\n# {name}\n\nA convolutional network, trained by [ADMM](https://arxiv.org/abs/1605.02026) without \
         back-propagation.\n\n| | |\n|---|---|\n| network | `{}` |\n| input | {} x {} pixels, {} |\n| classes | {} |\n\
         | test accuracy | {} |\n| certificate | {} |\n| steps | {} in {:.1} s |\n| weights | SHA-256 `{}` |\n| data | SHA-256 `{}` |\n\
         | lagrange | {} |\n\n```sh\nlagrange predict . picture.png\nlagrange export . --out model.onnx\n```\n",
        model.network.describe(),
        input.height,
        input.width,
        if input.channels == 1 { "grey" } else { "RGB" },
        classes.collect::<Vec<_>>().join(", "),
        result
            .test_accuracy
            .map_or("not evaluated".to_owned(), |a| format!(
                "{:.2} %",
                100.0 * a
            )),
        result.certificate,
        result.steps,
        result.seconds,
        result.weights_sha256,
        result.dataset_sha256,
        env!("CARGO_PKG_VERSION"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_row_for_each_evaluation() {
        let lines = [
            r#"{"event":"membership","workers":1,"seconds":0.1}"#,
            r#"{"event":"step","step":1,"total":4,"loss":0.5,"seconds":1}"#,
            r#"{"event":"step","step":2,"total":4,"loss":0.3,"seconds":2}"#,
            r#"{"event":"evaluation","step":2,"split":"validation","accuracy":0.75,"loss":0.4,"seconds":2.5}"#,
            r#"{"event":"best","step":2,"split":"validation","accuracy":0.75,"loss":0.4,"seconds":2.5}"#,
            r#"{"event":"step","step":4,"total":4,"loss":0.2,"seconds":3}"#,
            r#"{"event":"evaluation","step":4,"split":"validation","accuracy":0.8,"loss":0.3,"seconds":3.25}"#,
            r#"{"event":"evaluation","step":4,"split":"test","accuracy":0.7,"loss":0.35,"seconds":3.5}"#,
            r#"{"event":"evaluation","st"#,
        ];
        assert_eq!(
            table(&lines.join("\n"), 2.0),
            "step,epoch,seconds,train/loss,val/accuracy,val/loss,test/accuracy,test/loss\n\
             2,1.0000,2.500,0.4,0.75,0.4,,\n\
             4,2.0000,3.500,0.2,0.8,0.3,0.7,0.35\n"
        );
    }
}
