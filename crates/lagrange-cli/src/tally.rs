//! Runs that differ in nothing but their seed, summed up: which finished, which collapsed, and which failed.

use crate::child::{Figures, RunOutcome};
use crate::statistics::{Statistics, is_collapse};
use serde::Serialize;

/// One run.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// Its seed.
    pub seed: u64,
    /// How it ended.
    pub outcome: RunOutcome,
}

/// A run that failed: it counts in no figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FailedRun {
    /// Its seed.
    pub seed: u64,
    /// What kept it from its end.
    pub reason: String,
}

/// Figures over the runs of one setting, or of one system.
#[derive(Debug, Clone, PartialEq)]
pub struct Tally {
    /// Of the runs that finished.
    pub accuracy: Option<Statistics>,
    /// Of the runs that finished.
    pub seconds: Option<Statistics>,
    /// How many that are.
    pub finished: usize,
    /// Runs that diverged, or tell no more than the commonest class.
    pub collapses: usize,
    /// Runs that failed.
    pub failed: Vec<FailedRun>,
}

impl Tally {
    /// Of `cells`, judged by one `accuracy` of each; `commonest` is the share of the commonest class there.
    #[must_use]
    pub fn new(cells: &[Cell], accuracy: fn(&Figures) -> Option<f64>, commonest: f64) -> Self {
        let figures = || cells.iter().filter_map(|cell| cell.outcome.figures());
        let accuracies = || figures().filter_map(accuracy);
        let collapsed = |cell: &&Cell| match &cell.outcome {
            RunOutcome::Finished(figures) => {
                accuracy(figures).is_some_and(|accuracy| is_collapse(accuracy, commonest))
            }
            RunOutcome::Diverged(_) => true,
            RunOutcome::Failed(_) => false,
        };
        let failed = cells.iter().filter_map(|cell| match &cell.outcome {
            RunOutcome::Failed(reason) => Some(FailedRun {
                seed: cell.seed,
                reason: reason.clone(),
            }),
            _ => None,
        });
        Self {
            accuracy: Statistics::of(accuracies()),
            seconds: Statistics::of(figures().map(|figures| figures.seconds)),
            finished: accuracies().count(),
            collapses: cells.iter().filter(collapsed).count(),
            failed: failed.collect(),
        }
    }
}

/// How many of `all` a figure is of: `2 of 3`, or only `3` where it is of all.
#[must_use]
pub fn part_of(part: usize, all: usize) -> String {
    match part == all {
        true => all.to_string(),
        false => format!("{part} of {all}"),
    }
}

/// One line about how a run ended, whose accuracy is called `name`.
#[must_use]
pub fn told(outcome: &RunOutcome, name: &str, accuracy: fn(&Figures) -> Option<f64>) -> String {
    match outcome {
        RunOutcome::Finished(figures) => format!(
            "{name} {:.2} % in {:.1} s",
            100.0 * accuracy(figures).unwrap_or(f64::NAN),
            figures.seconds
        ),
        RunOutcome::Diverged(words) => format!("collapse: {words}"),
        RunOutcome::Failed(reason) => format!("failed: {reason}"),
    }
}

/// Outcomes of runs for the tests of those who count them.
#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A run with this accuracy on the test images and on those held out.
    pub(crate) fn finished(seed: u64, accuracy: f64) -> Cell {
        let figures = Figures {
            test_accuracy: Some(accuracy),
            validation_accuracy: Some(accuracy),
            seconds: 2.0,
            equations: Some(10),
            bytes_sent: None,
        };
        Cell {
            seed,
            outcome: RunOutcome::Finished(figures),
        }
    }

    pub(crate) fn diverged(seed: u64) -> Cell {
        Cell {
            seed,
            outcome: RunOutcome::Diverged("training diverged".to_owned()),
        }
    }

    pub(crate) fn failed(seed: u64) -> Cell {
        Cell {
            seed,
            outcome: RunOutcome::Failed("killed by signal 9 (SIGKILL)".to_owned()),
        }
    }

    #[test]
    fn a_divergence_is_a_collapse_and_a_failed_run_is_nothing_but_failed() {
        let cells = [finished(0, 0.9), finished(1, 0.5), diverged(2), failed(3)];
        let tally = Tally::new(&cells, |figures| figures.test_accuracy, 0.51);
        assert_eq!((tally.finished, tally.collapses), (2, 2));
        assert_eq!(
            tally.accuracy.map(|a| (a.mean, a.min, a.max)),
            Some((0.7, 0.5, 0.9))
        );
        assert_eq!(tally.seconds.map(|s| s.mean), Some(2.0));
        let [failed] = tally.failed.as_slice() else {
            panic!("{:?}", tally.failed)
        };
        assert_eq!(failed.seed, 3);
        assert!(failed.reason.contains("SIGKILL"));
    }

    #[test]
    fn a_figure_says_of_how_many_runs_it_is() {
        assert_eq!(part_of(2, 3), "2 of 3");
        assert_eq!(part_of(3, 3), "3");
    }
}
