//! A sweep's settings side by side.

use super::Cell;
use crate::statistics::{Statistics, collapses, percent};
use serde::Serialize;
use std::fmt::Write as _;

/// Every setting, and the best by mean accuracy on the held-out images.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    settings: Vec<SettingResult>,
    /// Name of the best setting: the largest mean validation accuracy among those without a collapse, or among all.
    best: Option<String>,
    /// Test accuracy of the best setting over its seeds, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    best_test: Option<Statistics>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct SettingResult {
    name: String,
    seeds: usize,
    /// On the held-out images, of the runs that ended well.
    validation: Option<Statistics>,
    seconds: Option<Statistics>,
    /// Runs that failed, or tell no more than the commonest class.
    collapses: usize,
}

impl Summary {
    /// Of all cells by setting; `commonest` is the share of the commonest class among the held-out images.
    #[must_use]
    pub fn new(cells: &[(String, Vec<Cell>)], commonest: f64, report_test: bool) -> Self {
        let settings: Vec<SettingResult> = cells
            .iter()
            .map(|(name, cells)| SettingResult::new(name, cells, commonest))
            .collect();
        let mean = |s: &SettingResult| s.validation.map_or(f64::NEG_INFINITY, |v| v.mean);
        let better = |a: &&SettingResult, b: &&SettingResult| {
            let sound = (a.collapses == 0).cmp(&(b.collapses == 0));
            sound.then(mean(a).total_cmp(&mean(b)))
        };
        let best = settings.iter().max_by(better).map(|s| s.name.clone());
        let tested = cells.iter().find(|(name, _)| Some(name) == best.as_ref());
        let best_test = tested
            .filter(|_| report_test)
            .and_then(|(_, cells)| Statistics::of(cells.iter().filter_map(|c| c.test_accuracy)));
        Self {
            settings,
            best,
            best_test,
        }
    }

    /// A table for people.
    #[must_use]
    pub fn to_text(&self) -> String {
        let width = self.settings.iter().map(|s| s.name.len()).max();
        let width = width.unwrap_or(0).max("setting".len());
        let mut text = format!(
            "{:<width$}  seeds   mean    min    max    dev  collapses  seconds  (validation accuracy, %)\n",
            "setting"
        );
        for setting in &self.settings {
            let accuracy = setting.validation.as_ref();
            let seconds = setting
                .seconds
                .map_or_else(|| "-".to_owned(), |s| format!("{:.1}", s.mean));
            let mark = if self.best.as_ref() == Some(&setting.name) {
                "  best"
            } else {
                ""
            };
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{:<width$}  {:>5}  {:>5}  {:>5}  {:>5}  {:>5}  {:>9}  {seconds:>7}{mark}",
                setting.name,
                setting.seeds,
                percent(accuracy, |s| s.mean),
                percent(accuracy, |s| s.min),
                percent(accuracy, |s| s.max),
                percent(accuracy, |s| s.deviation),
                setting.collapses,
            );
        }
        if let (Some(best), Some(test)) = (&self.best, &self.best_test) {
            let _ = writeln!(
                text,
                "test accuracy of {best}: mean {:.2} %, min {:.2} %, max {:.2} %",
                100.0 * test.mean,
                100.0 * test.min,
                100.0 * test.max
            );
        }
        text
    }
}

impl SettingResult {
    fn new(name: &str, cells: &[Cell], commonest: f64) -> Self {
        let of = |value: fn(&Cell) -> Option<f64>| Statistics::of(cells.iter().filter_map(value));
        Self {
            name: name.to_owned(),
            seeds: cells.len(),
            validation: of(|cell| cell.validation_accuracy),
            seconds: of(|cell| cell.validation_accuracy.map(|_| cell.seconds)),
            collapses: collapses(cells.iter().map(|cell| cell.validation_accuracy), commonest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(validation: Option<f64>) -> Cell {
        Cell {
            seed: 0,
            validation_accuracy: validation,
            test_accuracy: validation.map(|v| v - 0.1),
            seconds: 1.0,
            error: None,
        }
    }

    #[test]
    fn the_best_mean_without_a_collapse_wins() {
        let cells = [
            ("a".to_owned(), vec![cell(Some(0.9)), cell(Some(0.92))]),
            ("b".to_owned(), vec![cell(Some(0.99)), cell(None)]),
            ("c".to_owned(), vec![cell(Some(0.8)), cell(Some(0.95))]),
        ];
        let summary = Summary::new(&cells, 0.5, true);
        assert_eq!(summary.best.as_deref(), Some("a"));
        assert_eq!(summary.settings[1].collapses, 1);
        let test = summary.best_test.expect("asked for");
        assert!((test.mean - 0.81).abs() < 1e-12);
        assert!(!Summary::new(&cells, 0.5, false).to_text().contains("test"));
        assert_eq!(Summary::new(&[], 0.5, true).best, None);
    }
}
