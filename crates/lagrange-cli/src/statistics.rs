//! Figures over several runs, and what counts as a collapse.

use serde::Serialize;

/// A run has collapsed when its training diverged, or when its accuracy is within this of always naming the
/// commonest class.
pub const COLLAPSE_MARGIN: f64 = 0.05;

/// Mean, extremes and spread of some values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Statistics {
    /// Arithmetic mean.
    pub mean: f64,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// Sample standard deviation; 0 for a single value.
    pub deviation: f64,
}

impl Statistics {
    /// Those of `values`; `None` of nothing.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let values: Vec<f64> = values.into_iter().collect();
        let count = values.len() as f64;
        if values.is_empty() {
            return None;
        }
        let mean = values.iter().sum::<f64>() / count;
        let square: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        Some(Self {
            mean,
            min: values.iter().copied().fold(f64::INFINITY, f64::min),
            max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            deviation: if values.len() > 1 {
                (square / (count - 1.0)).sqrt()
            } else {
                0.0
            },
        })
    }
}

/// The median of `values`, the upper one of an even number; not a number of nothing.
#[must_use]
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// One figure of accuracies, in %; a dash where there are none.
#[must_use]
pub fn percent(accuracy: Option<&Statistics>, pick: fn(&Statistics) -> f64) -> String {
    accuracy.map_or_else(|| "-".to_owned(), |s| format!("{:.2}", 100.0 * pick(s)))
}

/// Whether an accuracy tells no more than the share of the commonest class does; see [`COLLAPSE_MARGIN`].
#[must_use]
pub fn is_collapse(accuracy: f64, commonest: f64) -> bool {
    // Written so that what is not a number counts as a collapse.
    !matches!(
        accuracy.partial_cmp(&(commonest + COLLAPSE_MARGIN)),
        Some(std::cmp::Ordering::Greater)
    )
}

/// Share of the commonest of `classes`.
#[must_use]
pub fn commonest_share(classes: impl Iterator<Item = usize>) -> f64 {
    let mut counts = std::collections::BTreeMap::<usize, u64>::new();
    classes.for_each(|class| *counts.entry(class).or_default() += 1);
    let total: u64 = counts.values().sum();
    counts.values().copied().max().unwrap_or(0) as f64 / total.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_those_of_the_textbook() {
        let found = Statistics::of([1.0, 2.0, 4.0, 5.0]).expect("values");
        assert_eq!((found.mean, found.min, found.max), (3.0, 1.0, 5.0));
        assert!((found.deviation - (10.0f64 / 3.0).sqrt()).abs() < 1e-12);
        assert_eq!(Statistics::of([7.0]).map(|s| s.deviation), Some(0.0));
        assert_eq!(Statistics::of([]), None);
    }

    #[test]
    fn naming_one_class_is_a_collapse_and_so_is_no_number() {
        let share = commonest_share([0, 1, 1, 0, 1].into_iter());
        assert_eq!(share, 0.6);
        assert!(is_collapse(0.6, share) && is_collapse(f64::NAN, share));
        assert!(!is_collapse(0.7, share));
    }

    #[test]
    fn the_median_does_not_depend_on_order_or_outliers() {
        assert_eq!(median([3.0, 1e9, 1.0]), 3.0);
        assert_eq!(median([4.0, 1.0]), 4.0);
        assert!(median([]).is_nan());
    }
}
