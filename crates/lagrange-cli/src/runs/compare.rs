//! `lagrange runs compare`: what differs between runs.

use crate::output::{print, print_json};
use anyhow::Result;
use clap::Args;
use lagrange_report::{Comparison, Row, Run, tell_apart};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::PathBuf;

/// `lagrange runs compare`
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// Run folders.
    #[arg(required = true, num_args = 2.., value_name = "RUN_FOLDER")]
    pub runs: Vec<PathBuf>,
    /// Print the comparison as one line of JSON.
    #[arg(long)]
    pub json: bool,
}

/// Characters of a hash that are shown.
const HASH: usize = 12;
/// Characters of any other value that are shown.
const LONGEST: usize = 28;

/// Runs the command.
///
/// # Errors
/// If a folder has no run.
pub(super) fn run(args: &CompareArgs) -> Result<()> {
    let runs = args.runs.iter().map(|path| Run::read(path));
    let mut runs: Vec<Run> = runs.collect::<Result<_, _>>()?;
    tell_apart(&mut runs);
    let comparison = Comparison::of(&runs);
    match args.json {
        true => print_json(&comparison),
        false => Ok(print(&table(&comparison))?),
    }
}

/// The names of the runs with their numbers, and below their numbers what differs.
fn table(comparison: &Comparison) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    for (index, name) in comparison.runs.iter().enumerate() {
        let _ = writeln!(text, "{:>2}  {name}", index + 1);
    }
    let numbers = (1..=comparison.runs.len()).map(|number| number.to_string());
    let mut rows = vec![(String::new(), numbers.collect::<Vec<_>>())];
    rows.extend(comparison.configuration.iter().map(shown));
    if comparison.configuration.is_empty() {
        rows.push(("configurations are the same".to_owned(), Vec::new()));
    }
    rows.push((String::new(), Vec::new()));
    rows.extend(comparison.figures.iter().map(shown));
    let name = rows.iter().map(|(name, _)| name.chars().count()).max();
    let columns: Vec<usize> = (0..comparison.runs.len())
        .map(|run| {
            let values = rows.iter().filter_map(|(_, values)| values.get(run));
            values.map(|value| value.chars().count()).max().unwrap_or(0)
        })
        .collect();
    text.push('\n');
    for (key, values) in &rows {
        let mut line = format!("{key:<width$}", width = name.unwrap_or(0));
        for (value, width) in values.iter().zip(&columns) {
            let _ = write!(line, "  {value:>width$}");
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// A row for people.
fn shown(row: &Row) -> (String, Vec<String>) {
    let key = row.key.as_str();
    let (name, unit): (_, fn(&Value) -> Option<String>) = if key.ends_with("_accuracy") {
        (key.replace('_', " ") + " %", |value| {
            Some(format!("{:.2}", 100.0 * value.as_f64()?))
        })
    } else if key.starts_with("bytes_") {
        (
            key.replacen("bytes_", "MB ", 1).replace('_', " "),
            |value| Some(format!("{:.1}", value.as_f64()? / 1e6)),
        )
    } else if key == "seconds" {
        (key.to_owned(), |value| {
            Some(format!("{:.1}", value.as_f64()?))
        })
    } else if let Some(name) = key.strip_suffix("_sha256") {
        (name.to_owned(), |value| {
            Some(value.as_str()?.chars().take(HASH).collect())
        })
    } else {
        (key.to_owned(), |value| Some(plain(value)))
    };
    let value = |value: &Value| unit(value).unwrap_or_else(|| plain(value));
    (name, row.values.iter().map(value).collect())
}

fn plain(value: &Value) -> String {
    let text = match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_table_has_a_column_for_each_run() {
        let row = |key: &str, one: Value, other: Value| Row {
            key: key.to_owned(),
            values: vec![one, other],
        };
        let comparison = Comparison {
            runs: vec!["a".to_owned(), "b".to_owned()],
            configuration: vec![row("schedule.trust", json!(0.01), json!(0.02))],
            figures: vec![
                row("test_accuracy", json!(0.994), Value::Null),
                row("bytes_to_workers", json!(12_340_000), json!(0)),
                row("weights_sha256", json!("0123456789abcdef"), json!("ff")),
            ],
        };
        let expected = " 1  a
 2  b

                            1     2
schedule.trust           0.01  0.02

test accuracy %         99.40     -
MB to workers            12.3   0.0
weights          0123456789ab    ff
";
        assert_eq!(table(&comparison), expected);
    }
}
