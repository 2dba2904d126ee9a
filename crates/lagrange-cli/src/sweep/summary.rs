//! A sweep's settings side by side.

use crate::statistics::{Statistics, percent};
use crate::tally::{Cell, FailedRun, Tally, part_of};
use serde::Serialize;
use std::cmp::Ordering;
use std::fmt::Write as _;

/// Every setting, and the best by mean accuracy on the held-out images.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    settings: Vec<SettingResult>,
    /// Name of the best setting. Those without a failed run are compared, or all where each has some: the
    /// largest mean validation accuracy among those without a collapse, or among all.
    best: Option<String>,
    /// Whether runs of the best setting failed, as of every other one.
    best_is_incomplete: bool,
    /// Test accuracy of the best setting over its seeds, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    best_test: Option<Statistics>,
}

/// One setting's figures over the seeds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct SettingResult {
    name: String,
    seeds: usize,
    /// Runs that finished: the ones behind every mean.
    finished: usize,
    /// On the held-out images.
    validation: Option<Statistics>,
    seconds: Option<Statistics>,
    /// Runs whose training diverged, or that tell no more than the commonest class.
    collapses: usize,
    /// Runs that failed, to be tried again.
    failed: Vec<FailedRun>,
    /// Kept from whoever only selects.
    #[serde(skip)]
    test: Option<Statistics>,
}

impl Summary {
    /// Of all `settings`; with the best one's accuracy on the test set if `report_test`.
    #[must_use]
    pub(super) fn new(settings: Vec<SettingResult>, report_test: bool) -> Self {
        let has_complete = settings.iter().any(|s| s.failed.is_empty());
        let compared = settings
            .iter()
            .filter(|s| s.failed.is_empty() || !has_complete)
            .filter(|s| s.validation.is_some());
        let best = compared.max_by(|a, b| a.compare(b));
        Self {
            best: best.map(|setting| setting.name.clone()),
            best_is_incomplete: best.is_some_and(|setting| !setting.failed.is_empty()),
            best_test: best
                .filter(|_| report_test)
                .and_then(|setting| setting.test),
            settings,
        }
    }

    /// Whether no run failed.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.settings
            .iter()
            .all(|setting| setting.failed.is_empty())
    }

    /// A table for people.
    #[must_use]
    pub fn to_text(&self) -> String {
        let width = self.settings.iter().map(|s| s.name.len()).max();
        let width = width.unwrap_or(0).max("setting".len());
        let mut text = format!(
            "{:<width$}   seeds   mean    min    max    dev  collapses  failed  seconds  (validation accuracy, %)\n",
            "setting"
        );
        for setting in &self.settings {
            let is_best = self.best.as_ref() == Some(&setting.name);
            let mark = if is_best { "  best" } else { "" };
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{:<width$}  {}{mark}",
                setting.name,
                setting.figures()
            );
        }
        self.remarks(&mut text);
        text
    }

    fn remarks(&self, text: &mut String) {
        let best = |s: &&SettingResult| self.best.as_ref() == Some(&s.name);
        if let (Some(best), Some(test)) = (self.settings.iter().find(best), &self.best_test) {
            let _ = writeln!(
                text,
                "test accuracy of {}, {} seeds: mean {:.2} %, min {:.2} %, max {:.2} %",
                best.name,
                part_of(best.finished, best.seeds),
                100.0 * test.mean,
                100.0 * test.min,
                100.0 * test.max
            );
        }
        for setting in &self.settings {
            for FailedRun { seed, reason } in &setting.failed {
                let _ = writeln!(text, "{}, seed {seed}: failed: {reason}", setting.name);
            }
        }
        if self.best_is_incomplete {
            *text += "every setting has runs that failed: the best one is that of the others\n";
        }
        if !self.is_complete() {
            *text += "the same command tries again what failed\n";
        }
    }
}

impl SettingResult {
    /// Of the runs of a setting; `commonest` is the share of the commonest class among the held-out images.
    pub(super) fn new(name: &str, cells: &[Cell], commonest: f64) -> Self {
        let tally = Tally::new(cells, |figures| figures.validation_accuracy, commonest);
        let figures = cells.iter().filter_map(|cell| cell.outcome.figures());
        Self {
            name: name.to_owned(),
            seeds: cells.len(),
            finished: tally.finished,
            validation: tally.accuracy,
            seconds: tally.seconds,
            collapses: tally.collapses,
            failed: tally.failed,
            test: Statistics::of(figures.filter_map(|figures| figures.test_accuracy)),
        }
    }

    /// Which of two settings is better.
    fn compare(&self, other: &Self) -> Ordering {
        let mean = |s: &Self| s.validation.map_or(f64::NEG_INFINITY, |v| v.mean);
        let sound = (self.collapses == 0).cmp(&(other.collapses == 0));
        sound.then(mean(self).total_cmp(&mean(other)))
    }

    fn figures(&self) -> String {
        let accuracy = self.validation.as_ref();
        let seconds = self.seconds.map(|s| format!("{:.1}", s.mean));
        format!(
            "{:>6}  {:>5}  {:>5}  {:>5}  {:>5}  {:>9}  {:>6}  {:>7}",
            part_of(self.finished, self.seeds),
            percent(accuracy, |s| s.mean),
            percent(accuracy, |s| s.min),
            percent(accuracy, |s| s.max),
            percent(accuracy, |s| s.deviation),
            self.collapses,
            self.failed.len(),
            seconds.unwrap_or_else(|| "-".to_owned()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::tests::{diverged, failed, finished};

    fn summary(settings: &[(&str, &[Cell])], report_test: bool) -> Summary {
        let results = settings
            .iter()
            .map(|(name, cells)| SettingResult::new(name, cells, 0.5));
        Summary::new(results.collect(), report_test)
    }

    #[test]
    fn the_best_mean_without_a_collapse_wins() {
        let settings: [(&str, &[Cell]); 3] = [
            ("a", &[finished(0, 0.9), finished(1, 0.92)]),
            ("b", &[finished(0, 0.99), diverged(1)]),
            ("c", &[finished(0, 0.8), finished(1, 0.95)]),
        ];
        let with_test = summary(&settings, true);
        assert_eq!(with_test.best.as_deref(), Some("a"));
        assert_eq!(with_test.settings[1].collapses, 1);
        assert!(with_test.is_complete() && !with_test.best_is_incomplete);
        let test = with_test.best_test.expect("asked for");
        assert!((test.mean - 0.91).abs() < 1e-12);
        assert!(!summary(&settings, false).to_text().contains("test"));
        assert_eq!(summary(&[], true).best, None);
        assert_eq!(summary(&[("a", &[diverged(0)])], true).best, None);
    }

    #[test]
    fn a_setting_with_failed_runs_is_not_the_best_while_another_has_all_of_its_runs() {
        let cells: [&[Cell]; 2] = [
            &[finished(0, 0.99), failed(1)],
            &[finished(0, 0.7), diverged(1)],
        ];
        let found = summary(&[("a", cells[0]), ("b", cells[1])], true);
        assert_eq!(found.best.as_deref(), Some("b"));
        assert!(!found.is_complete() && !found.best_is_incomplete);
        let text = found.to_text();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].starts_with("a        1 of 2  99.00"), "{text}");
        assert!(
            lines[2].ends_with("best") && !lines[1].ends_with("best"),
            "{text}"
        );
        assert!(text.contains("test accuracy of b, 1 of 2 seeds"), "{text}");
        assert!(
            text.contains("a, seed 1: failed: killed by signal 9"),
            "{text}"
        );
        assert!(text.contains("tries again what failed"), "{text}");
        assert!(!text.contains("every setting"), "{text}");
    }

    #[test]
    fn where_no_setting_has_all_of_its_runs_the_summary_says_so() {
        let cells: [&[Cell]; 3] = [
            &[finished(0, 0.7), failed(1)],
            &[failed(0), finished(1, 0.8)],
            &[failed(0), failed(1)],
        ];
        let found = summary(&[("a", cells[0]), ("b", cells[1]), ("c", cells[2])], false);
        assert_eq!(found.best.as_deref(), Some("b"));
        assert!(found.best_is_incomplete);
        assert!(
            found
                .to_text()
                .contains("every setting has runs that failed")
        );
        let nothing = summary(&[("c", cells[2])], true);
        assert_eq!((&nothing.best, nothing.best_is_incomplete), (&None, false));
        assert_eq!(nothing.settings[0].collapses, 0);
        let hopeless: &[Cell] = &[diverged(0), diverged(1)];
        let found = summary(&[("a", cells[0]), ("d", hopeless)], false);
        assert_eq!(found.best, None, "neither can be named");
    }
}
