//! What differs between runs.

use crate::Run;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Figures of a result that runs are compared by.
const FIGURES: [&str; 15] = [
    "test_accuracy",
    "validation_accuracy",
    "seconds",
    "steps",
    "interrupted",
    "workers",
    "rollbacks",
    "equations",
    "bytes_to_workers",
    "bytes_from_workers",
    "weights_sha256",
    "multipliers_sha256",
    "dataset_sha256",
    "kernels",
    "version",
];

/// Runs beside each other, by what they were told and what they came to. Every row has a value for each run, null
/// where a run has none.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Names of the runs.
    pub runs: Vec<String>,
    /// Keys of the configuration that are not the same in all runs.
    pub configuration: Vec<Row>,
    /// Figures that at least one run has.
    pub figures: Vec<Row>,
}

/// A key with its value in each run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Its name.
    pub key: String,
    /// Its values, in the order of the runs.
    pub values: Vec<Value>,
}

impl Comparison {
    /// Compares `runs`.
    ///
    /// ```
    /// use lagrange_report::{Comparison, Run};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let run = |seed: u64| {
    ///     let path = folder.path().join(format!("seed{seed}"));
    ///     std::fs::create_dir(&path)?;
    ///     std::fs::write(path.join("config.toml"), format!("seed = {seed}\n[schedule]\ntrust = 0.02"))?;
    ///     std::fs::write(path.join("metrics.jsonl"), "")?;
    ///     Ok::<_, Box<dyn std::error::Error>>(Run::read(&path)?)
    /// };
    /// let comparison = Comparison::of(&[run(1)?, run(2)?]);
    /// assert_eq!(comparison.configuration.len(), 1);
    /// assert_eq!(comparison.configuration[0].key, "seed");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn of(runs: &[Run]) -> Self {
        let configurations: Vec<BTreeMap<String, Value>> =
            runs.iter().map(|run| keys(&run.configuration)).collect();
        let all = configurations.iter().flat_map(BTreeMap::keys);
        let mut all: Vec<&String> = all.collect();
        all.sort_unstable();
        all.dedup();
        let row = |key: &String| Row {
            key: key.clone(),
            values: configurations
                .iter()
                .map(|keys| keys.get(key).cloned().unwrap_or_default())
                .collect(),
        };
        let differs = |row: &Row| row.values.iter().any(|value| *value != row.values[0]);
        let figure = |key: &str| Row {
            key: key.to_owned(),
            values: runs.iter().map(|run| run.result[key].clone()).collect(),
        };
        let is_known = |row: &Row| row.values.iter().any(|value| !value.is_null());
        Self {
            runs: runs.iter().map(|run| run.name.clone()).collect(),
            configuration: all.into_iter().map(row).filter(differs).collect(),
            figures: FIGURES.map(figure).into_iter().filter(is_known).collect(),
        }
    }
}

/// Every key of a configuration with its value: `schedule.trust`, and of lists `network.layers.1.channels`,
/// counted from 1.
fn keys(configuration: &str) -> BTreeMap<String, Value> {
    let mut keys = BTreeMap::new();
    let table: toml::Table = configuration.parse().unwrap_or_default();
    flatten(String::new(), toml::Value::Table(table), &mut keys);
    keys
}

fn flatten(key: String, value: toml::Value, keys: &mut BTreeMap<String, Value>) {
    let below = |part: &str| match key.as_str() {
        "" => part.to_owned(),
        key => format!("{key}.{part}"),
    };
    match value {
        toml::Value::Table(table) => {
            for (part, value) in table {
                flatten(below(&part), value, keys);
            }
        }
        toml::Value::Array(values) if values.iter().any(toml::Value::is_table) => {
            for (index, value) in values.into_iter().enumerate() {
                flatten(below(&(index + 1).to_string()), value, keys);
            }
        }
        value => {
            keys.insert(key, serde_json::to_value(value).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn run(name: &str, configuration: &str, result: Value) -> Run {
        Run {
            name: name.to_owned(),
            result,
            configuration: configuration.to_owned(),
            events: Vec::new(),
            path: name.into(),
        }
    }

    #[test]
    fn what_differs_is_a_row_and_what_is_alike_is_none() {
        let one = "seed = 0\n[[network.layers]]\nchannels = 8\nkernel = [3, 5]";
        let other =
            "seed = 0\n[[network.layers]]\nchannels = 16\nkernel = [3, 5]\n[augment]\nflip = true";
        let compared = Comparison::of(&[
            run("a", one, json!({ "seconds": 2.5, "version": "1" })),
            run("b", other, Value::Null),
        ]);
        let row = |key: &str, one, other| Row {
            key: key.to_owned(),
            values: vec![one, other],
        };
        assert_eq!(
            compared.configuration,
            [
                row("augment.flip", Value::Null, json!(true)),
                row("network.layers.1.channels", json!(8), json!(16)),
            ]
        );
        assert_eq!(
            compared.figures,
            [
                row("seconds", json!(2.5), Value::Null),
                row("version", json!("1"), Value::Null),
            ]
        );
    }
}
