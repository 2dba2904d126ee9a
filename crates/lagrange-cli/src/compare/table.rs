//! The comparison as a table.

use super::Row;
use crate::child::RunOutcome;
use crate::statistics::{Statistics, percent};
use crate::tally::{Cell, FailedRun, Tally, part_of};
use anyhow::Result;
use lagrange::{Task, write_file};
use serde::Serialize;
use std::fmt::Write as _;
use std::path::Path;

/// All rows so far.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Table {
    task: Task,
    train_images: usize,
    seeds: Vec<u64>,
    rows: Vec<RowResult>,
}

/// One system's figures over the seeds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct RowResult {
    name: &'static str,
    what: &'static str,
    /// Runs that finished: the ones behind every mean.
    finished: usize,
    accuracy: Option<Statistics>,
    seconds: Option<Statistics>,
    equations: Option<Statistics>,
    bytes: Option<Statistics>,
    /// Runs whose training diverged, or that tell no more than the commonest class.
    collapses: usize,
    /// Runs that failed, which count nowhere.
    failed: Vec<FailedRun>,
    cells: Vec<Entry>,
}

/// One run in the table's JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Entry {
    seed: u64,
    /// Share of the test images predicted correctly; none of a run that diverged or failed.
    accuracy: Option<f64>,
    seconds: Option<f64>,
    equations: Option<u64>,
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diverged: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<String>,
}

impl Entry {
    fn new(cell: &Cell) -> Self {
        let figures = cell.outcome.figures();
        let (diverged, failed) = match &cell.outcome {
            RunOutcome::Finished(_) => (None, None),
            RunOutcome::Diverged(words) => (Some(words.clone()), None),
            RunOutcome::Failed(reason) => (None, Some(reason.clone())),
        };
        Self {
            seed: cell.seed,
            accuracy: figures.and_then(|f| f.test_accuracy),
            seconds: figures.map(|f| f.seconds),
            equations: figures.and_then(|f| f.equations),
            bytes: figures.and_then(|f| f.bytes_sent),
            diverged,
            failed,
        }
    }
}

impl RowResult {
    pub(super) fn new(row: Row, cells: &[Cell], commonest: f64) -> Self {
        let tally = Tally::new(cells, |figures| figures.test_accuracy, commonest);
        let entries: Vec<Entry> = cells.iter().map(Entry::new).collect();
        let of = |count: fn(&Entry) -> Option<u64>| {
            Statistics::of(entries.iter().filter_map(count).map(|n| n as f64))
        };
        Self {
            name: row.name,
            what: row.what,
            finished: tally.finished,
            accuracy: tally.accuracy,
            seconds: tally.seconds,
            equations: of(|entry| entry.equations),
            bytes: of(|entry| entry.bytes),
            collapses: tally.collapses,
            failed: tally.failed,
            cells: entries,
        }
    }

    fn to_markdown(&self) -> String {
        let figure = |value: Option<f64>| {
            value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"))
        };
        let equations = self.equations.map(|s| format!("{:.1e}", s.mean));
        let accuracy = self.accuracy.as_ref();
        format!(
            "| {} | {} | {} | {} | {} | {} | {} of {} | {} | {} | {} |\n",
            self.name,
            self.what,
            percent(accuracy, |s| s.mean),
            percent(accuracy, |s| s.min),
            percent(accuracy, |s| s.max),
            part_of(self.finished, self.cells.len()),
            self.collapses,
            self.cells.len() - self.failed.len(),
            figure(self.seconds.map(|s| s.mean)),
            equations.unwrap_or_else(|| "-".to_owned()),
            figure(self.bytes.map(|s| s.mean / 1e6)),
        )
    }
}

impl Table {
    pub(super) fn new(task: Task, train_images: usize, seeds: &[u64]) -> Self {
        Self {
            task,
            train_images,
            seeds: seeds.to_vec(),
            rows: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, row: RowResult) {
        self.rows.push(row);
    }

    /// The table in Markdown.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut text = format!(
            "{}, {} training images, {} seeds, test accuracy in %\n\n",
            self.task,
            self.train_images,
            self.seeds.len()
        );
        text += "| system | what | mean | min | max | seeds | collapses | seconds | equations | MB sent |\n";
        text += "|---|---|---|---|---|---|---|---|---|---|\n";
        for row in &self.rows {
            text += &row.to_markdown();
        }
        if !self.is_complete() {
            text.push('\n');
        }
        for row in &self.rows {
            for FailedRun { seed, reason } in &row.failed {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "{}, seed {seed}: failed: {reason}", row.name);
            }
        }
        text
    }

    /// Whether no run failed.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.rows.iter().all(|row| row.failed.is_empty())
    }

    /// Writes `compare.json` and `compare.md`, each whole or not at all.
    pub(super) fn save(&self, folder: &Path) -> Result<()> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        write_file(&folder.join("compare.json"), &json)?;
        Ok(write_file(
            &folder.join("compare.md"),
            self.to_markdown().as_bytes(),
        )?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::ROWS;
    use super::*;
    use crate::tally::tests::{diverged, failed, finished};

    fn table(cells: &[Cell]) -> Table {
        let mut table = Table::new(Task::OddEven, 100, &[0, 1, 2]);
        table.push(RowResult::new(ROWS[0], cells, 0.51));
        table
    }

    #[test]
    fn a_divergence_counts_as_a_collapse_and_not_in_the_mean() {
        let table = table(&[finished(0, 0.9), finished(1, 0.5), diverged(2)]);
        assert!(table.is_complete());
        let text = table.to_markdown();
        assert!(
            text.contains("| 70.00 | 50.00 | 90.00 | 2 of 3 | 2 of 3 | 2.0 | 1.0e1 | - |"),
            "{text}"
        );
        let json = serde_json::to_value(&table).expect("JSON");
        assert_eq!(json["rows"][0]["collapses"], 2);
        assert_eq!(json["rows"][0]["cells"][2]["diverged"], "training diverged");
    }

    #[test]
    fn a_failed_run_counts_nowhere_and_is_named_with_its_reason() {
        let table = table(&[finished(0, 0.9), failed(1), finished(2, 0.8)]);
        assert!(!table.is_complete());
        let text = table.to_markdown();
        assert!(
            text.contains("| 85.00 | 80.00 | 90.00 | 2 of 3 | 0 of 2 | 2.0 | 1.0e1 | - |"),
            "{text}"
        );
        let line = format!("{}, seed 1: failed: killed by signal 9 (SIGKILL)", ROWS[0]);
        assert!(text.ends_with(&format!("\n\n{line}\n")), "{text}");
        let json = serde_json::to_value(&table).expect("JSON");
        let row = &json["rows"][0];
        assert_eq!(
            (&row["finished"], &row["collapses"]),
            (&2.into(), &0.into())
        );
        assert_eq!(row["failed"][0]["seed"], 1);
        assert!(row["cells"][1]["accuracy"].is_null());
    }
}
