//! Weights of classes in the loss, for sets in which some classes are rare.

use crate::question::unknown_class;
use crate::{Question, TaskError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::str::FromStr;

/// Weights of classes in the loss. Text has `none`, `balanced`, or `NAME=WEIGHT` with commas between them;
/// TOML may also have a table of weights by name.
///
/// ```
/// use lagrange_data::{ClassWeights, Question, Task};
///
/// let classes = ["cat", "dog"].map(str::to_owned);
/// let question = Question::new(Task::Classes, &classes, &[])?;
/// // Three images of cats, one of a dog.
/// let counts = [3, 1];
/// let weights = |text: &str| question.class_weights(&text.parse::<ClassWeights>()?, &counts);
/// assert_eq!(weights("balanced")?, [4.0 / (2.0 * 3.0), 4.0 / (2.0 * 1.0)]);
/// assert_eq!((weights("none")?, weights("dog=2.5")?), (vec![1.0, 1.0], vec![1.0, 2.5]));
/// # Ok::<(), lagrange_data::TaskError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub enum ClassWeights {
    /// 1 for every class.
    #[default]
    None,
    /// n / (K n_c) for a class with n_c of the n training samples, where K classes have any: all classes
    /// count alike, and the mean weight of a sample is 1.
    Balanced,
    /// Weights by name; 1 for classes that are not named.
    Named(BTreeMap<String, f32>),
}

/// Weights in text formats.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "`none`, `balanced`, or a table of weights by class name"
)]
enum Written {
    Text(String),
    Table(BTreeMap<String, f32>),
}

impl TryFrom<Written> for ClassWeights {
    type Error = TaskError;

    fn try_from(written: Written) -> Result<Self, TaskError> {
        match written {
            Written::Text(text) => text.parse(),
            Written::Table(table) => Self::named(table),
        }
    }
}

impl From<ClassWeights> for Written {
    fn from(weights: ClassWeights) -> Self {
        match weights {
            ClassWeights::None => Self::Text("none".to_owned()),
            ClassWeights::Balanced => Self::Text("balanced".to_owned()),
            ClassWeights::Named(table) => Self::Table(table),
        }
    }
}

impl FromStr for ClassWeights {
    type Err = TaskError;

    fn from_str(text: &str) -> Result<Self, TaskError> {
        let pair = |part: &str| {
            let wrong = || TaskError::Weight(part.trim().to_owned());
            // Names may have equals signs, weights have none.
            let (name, weight) = part.rsplit_once('=').ok_or_else(wrong)?;
            let weight: f32 = weight.trim().parse().map_err(|_| wrong())?;
            Ok((name.trim().to_owned(), weight))
        };
        match text.trim() {
            "none" => Ok(Self::None),
            "balanced" => Ok(Self::Balanced),
            pairs => Self::named(
                pairs
                    .split(',')
                    .map(pair)
                    .collect::<Result<_, TaskError>>()?,
            ),
        }
    }
}

impl ClassWeights {
    fn named(table: BTreeMap<String, f32>) -> Result<Self, TaskError> {
        let sound = |weight: f32| weight.is_finite() && weight > 0.0;
        match table.iter().find(|&(_, &weight)| !sound(weight)) {
            Some((name, weight)) => Err(TaskError::Weight(format!("{name}={weight}"))),
            None => Ok(Self::Named(table)),
        }
    }
}

impl Question {
    /// Weight of each of the question's classes, where `counts` has the number of training samples of each of
    /// the data's classes.
    ///
    /// # Errors
    /// [`TaskError::UnknownClass`], naming a class that the question has not.
    ///
    /// # Panics
    /// If there are more counts than the data has classes.
    pub fn class_weights(
        &self,
        weights: &ClassWeights,
        counts: &[usize],
    ) -> Result<Vec<f32>, TaskError> {
        let classes = self.names().len();
        match weights {
            ClassWeights::None => Ok(vec![1.0; classes]),
            ClassWeights::Balanced => {
                let mut sums = vec![0; classes];
                for (label, count) in (0..).zip(counts) {
                    sums[self.class_of(label)] += count;
                }
                Ok(balanced(&sums))
            }
            ClassWeights::Named(table) => {
                let mut resolved = vec![1.0; classes];
                for (name, &weight) in table {
                    let class = self.names().iter().position(|known| known == name);
                    let class =
                        class.ok_or_else(|| unknown_class("class-weights", name, self.names()))?;
                    resolved[class] = weight;
                }
                Ok(resolved)
            }
        }
    }
}

/// n / (K n_c) of every class; 1 of those without samples, where it is of no effect.
fn balanced(counts: &[usize]) -> Vec<f32> {
    let samples: usize = counts.iter().sum();
    let classes = counts.iter().filter(|&&count| count > 0).count();
    let weight = |&count: &usize| match count {
        0 => 1.0,
        count => (samples as f64 / (classes as f64 * count as f64)) as f32,
    };
    counts.iter().map(weight).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Task;
    use proptest::prelude::*;

    fn question() -> Question {
        let classes = ["cat", "dog", "bird"].map(str::to_owned);
        Question::new(Task::Classes, &classes, &[]).expect("classes")
    }

    #[test]
    fn text_and_table_say_the_same() {
        let table = BTreeMap::from([("a=b".to_owned(), 0.5), ("cat".to_owned(), 2.0)]);
        let named = ClassWeights::Named(table);
        assert_eq!("cat=2, a=b = 0.5".parse(), Ok(named.clone()));
        for (weights, json) in [
            (ClassWeights::None, r#""none""#),
            (ClassWeights::Balanced, r#""balanced""#),
            (named, r#"{"a=b":0.5,"cat":2.0}"#),
        ] {
            assert_eq!(serde_json::to_string(&weights).expect("plain"), json);
            let read: ClassWeights = serde_json::from_str(json).expect("its own text");
            assert_eq!(read, weights);
        }
    }

    #[test]
    fn what_is_no_weight_is_named() {
        for (text, part) in [
            ("ballanced", "`ballanced`"),
            ("cat=1,dog", "`dog`"),
            ("cat=x", "`cat=x`"),
            ("cat=0", "`cat=0`"),
            ("cat=-1", "`cat=-1`"),
            ("cat=NaN", "`cat=NaN`"),
            ("cat=inf", "`cat=inf`"),
        ] {
            let message = text.parse::<ClassWeights>().expect_err(text).to_string();
            assert!(message.contains(part), "`{part}` in: {message}");
        }
        assert!(serde_json::from_str::<ClassWeights>(r#"{"cat":0.0}"#).is_err());
        assert!(serde_json::from_str::<ClassWeights>("3").is_err());
        let unknown = "bid=2".parse().expect("weights");
        let error = question()
            .class_weights(&unknown, &[])
            .expect_err("unknown");
        let message = error.to_string();
        assert!(
            message.contains("class-weights") && message.contains("`bird`"),
            "{message}"
        );
    }

    proptest! {
        #[test]
        fn balanced_weights_let_all_classes_count_alike(
            counts in prop::collection::vec(0usize..100, 3).prop_filter("no samples", |c| c.iter().any(|&n| n > 0)),
        ) {
            let weights = question().class_weights(&ClassWeights::Balanced, &counts);
            let weights = weights.expect("no names");
            let totals = counts.iter().zip(weights).map(|(&n, weight)| n as f64 * f64::from(weight));
            let totals: Vec<f64> = totals.filter(|&total| total > 0.0).collect();
            let expected = counts.iter().sum::<usize>() as f64 / totals.len() as f64;
            prop_assert!(totals.iter().all(|total| (total - expected).abs() < 1e-4 * expected));
        }
    }
}
