//! The comparison as a table.

use super::{Cell, Row};
use crate::statistics::{Statistics, collapses, percent};
use anyhow::{Context as _, Result};
use lagrange_data::Task;
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
    /// Of the runs that ended well.
    accuracy: Option<Statistics>,
    seconds: Option<Statistics>,
    equations: Option<Statistics>,
    bytes: Option<Statistics>,
    /// Runs that failed, or tell no more than the commonest class.
    collapses: usize,
    cells: Vec<Cell>,
}

impl RowResult {
    pub(super) fn new(row: Row, cells: Vec<Cell>, commonest: f64) -> Self {
        let of = |value: fn(&Cell) -> Option<f64>| Statistics::of(cells.iter().filter_map(value));
        Self {
            name: row.name,
            what: row.what,
            accuracy: of(|cell| cell.accuracy),
            seconds: of(|cell| cell.accuracy.map(|_| cell.seconds)),
            equations: of(|cell| cell.equations.map(|n| n as f64)),
            bytes: of(|cell| cell.bytes.map(|n| n as f64)),
            collapses: collapses(cells.iter().map(|cell| cell.accuracy), commonest),
            cells,
        }
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
        text +=
            "| system | what | mean | min | max | collapses | seconds | equations | MB sent |\n";
        text += "|---|---|---|---|---|---|---|---|---|\n";
        for row in &self.rows {
            let figure = |value: Option<f64>| {
                value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"))
            };
            let accuracy = row.accuracy.as_ref();
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} of {} | {} | {} | {} |",
                row.name,
                row.what,
                percent(accuracy, |s| s.mean),
                percent(accuracy, |s| s.min),
                percent(accuracy, |s| s.max),
                row.collapses,
                row.cells.len(),
                figure(row.seconds.map(|s| s.mean)),
                row.equations
                    .map_or_else(|| "-".to_owned(), |s| format!("{:.1e}", s.mean)),
                figure(row.bytes.map(|s| s.mean / 1e6)),
            );
        }
        text
    }

    /// Writes `compare.json` and `compare.md`.
    pub(super) fn save(&self, folder: &Path) -> Result<()> {
        let failed = || format!("--out {}: cannot be written", folder.display());
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        std::fs::write(folder.join("compare.json"), json).with_context(failed)?;
        std::fs::write(folder.join("compare.md"), self.to_markdown()).with_context(failed)
    }
}

/// One line about a run that has just ended.
pub(super) fn progress(row: Row, cell: &Cell) -> String {
    match (cell.accuracy, &cell.error) {
        (Some(accuracy), _) => format!(
            "{row} seed {}: {:.2} % in {:.1} s",
            cell.seed,
            100.0 * accuracy,
            cell.seconds
        ),
        (None, Some(error)) => format!("{row} seed {}: {error}", cell.seed),
        (None, None) => format!("{row} seed {}: not evaluated", cell.seed),
    }
}

#[cfg(test)]
mod tests {
    use super::super::ROWS;
    use super::*;

    #[test]
    fn failed_runs_count_as_collapses_and_not_in_the_mean() {
        let cell = |seed, accuracy| Cell {
            seed,
            accuracy,
            seconds: 2.0,
            equations: Some(10),
            bytes: None,
            error: None,
        };
        let cells = vec![cell(0, Some(0.9)), cell(1, Some(0.5)), cell(2, None)];
        let row = RowResult::new(ROWS[0], cells, 0.51);
        assert_eq!(row.collapses, 2);
        assert_eq!(row.accuracy.map(|s| s.mean), Some(0.7));
        let mut table = Table::new(Task::OddEven, 100, &[0, 1, 2]);
        table.push(row);
        let text = table.to_markdown();
        assert!(
            text.contains("| 70.00 | 50.00 | 90.00 | 2 of 3 | 2.0 | 1.0e1 | - |"),
            "{text}"
        );
    }
}
