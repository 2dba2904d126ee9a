//! Classification tasks: odd or even, or which digit.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A classification task over digit labels.
///
/// ```
/// use lagrange_data::Task;
///
/// assert_eq!("odd-even".parse(), Ok(Task::OddEven));
/// assert_eq!((Task::OddEven.target(7, 0), Task::OddEven.predict(&[0.3])), (1.0, Some(1)));
/// let mut outputs = [-1.0; 10];
/// outputs[7] = 0.2;
/// assert!(Task::Digits.is_correct(&outputs, 7));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// One output: +1 for odd labels, -1 for even ones.
    #[default]
    OddEven,
    /// Ten outputs, one-vs-all: the label's is +1, the others are -1; the largest output wins.
    Digits,
}

/// Error of a task's name or labels.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// No task of that name.
    #[error("unknown task `{0}`: use odd-even or digits")]
    Unknown(String),
    /// A label that the task has no output for.
    #[error(
        "label {label} of the {part} set: the task digits needs labels 0 to 9; use --task odd-even or other data"
    )]
    Label {
        /// `training` or `test`.
        part: &'static str,
        /// The label.
        label: u8,
    },
}

impl Task {
    /// Number of outputs O.
    #[must_use]
    pub fn outputs(self) -> usize {
        match self {
            Self::OddEven => 1,
            Self::Digits => 10,
        }
    }

    /// Target y of one output for a label: +1 or -1.
    #[must_use]
    pub fn target(self, label: u8, output: usize) -> f32 {
        let hit = match self {
            Self::OddEven => label % 2 == 1,
            Self::Digits => usize::from(label) == output,
        };
        if hit { 1.0 } else { -1.0 }
    }

    /// Names of the classes, in the order of [`Task::class_of`].
    #[must_use]
    pub fn classes(self) -> &'static [&'static str] {
        match self {
            Self::OddEven => &["even", "odd"],
            Self::Digits => &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
        }
    }

    /// Class of a label.
    #[must_use]
    pub fn class_of(self, label: u8) -> usize {
        match self {
            Self::OddEven => usize::from(label % 2),
            Self::Digits => usize::from(label),
        }
    }

    /// Class predicted by one sample's outputs, `[O]`; `None` if an output is NaN or one is missing.
    ///
    /// Odd if the output is above 0; the digit of the largest output, the first of equal ones.
    #[must_use]
    pub fn predict(self, outputs: &[f32]) -> Option<usize> {
        if outputs.len() != self.outputs() || outputs.iter().any(|output| output.is_nan()) {
            return None;
        }
        match self {
            Self::OddEven => Some(usize::from(outputs[0] > 0.0)),
            Self::Digits => {
                let better = |best, next| {
                    if outputs[next] > outputs[best] {
                        next
                    } else {
                        best
                    }
                };
                (0..outputs.len()).reduce(better)
            }
        }
    }

    /// Whether one sample's outputs predict its label's class.
    #[must_use]
    pub fn is_correct(self, outputs: &[f32], label: u8) -> bool {
        self.predict(outputs) == Some(self.class_of(label))
    }

    /// Checks that the task has an output for every label.
    ///
    /// # Errors
    /// [`TaskError::Label`], naming the first label without one.
    pub fn check_labels(self, part: &'static str, labels: &[u8]) -> Result<(), TaskError> {
        match labels
            .iter()
            .find(|&&label| self == Self::Digits && label > 9)
        {
            Some(&label) => Err(TaskError::Label { part, label }),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OddEven => "odd-even",
            Self::Digits => "digits",
        })
    }
}

impl FromStr for Task {
    type Err = TaskError;

    fn from_str(name: &str) -> Result<Self, TaskError> {
        [Self::OddEven, Self::Digits]
            .into_iter()
            .find(|task| task.to_string() == name)
            .ok_or_else(|| TaskError::Unknown(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_and_predictions_agree() {
        for task in [Task::OddEven, Task::Digits] {
            assert_eq!(task.to_string().parse(), Ok(task));
            for label in 0..10 {
                let outputs: Vec<f32> =
                    (0..task.outputs()).map(|o| task.target(label, o)).collect();
                assert!(task.is_correct(&outputs, label));
                assert!(!task.is_correct(&outputs, label + 1));
            }
        }
        assert!("odd".parse::<Task>().is_err());
    }

    #[test]
    fn not_a_number_is_never_correct() {
        assert!(!Task::OddEven.is_correct(&[f32::NAN], 2));
        assert!(!Task::Digits.is_correct(&[f32::NAN; 10], 0));
        let mut outputs = [-1.0; 10];
        (outputs[3], outputs[8]) = (1.0, f32::NAN);
        assert!(!Task::Digits.is_correct(&outputs, 3));
    }

    #[test]
    fn labels_beyond_nine_suit_only_odd_even() {
        assert_eq!(Task::OddEven.check_labels("test", &[3, 40]), Ok(()));
        let error = Task::Digits.check_labels("test", &[3, 40]);
        assert_eq!(
            error,
            Err(TaskError::Label {
                part: "test",
                label: 40
            })
        );
    }

    #[test]
    fn the_first_of_equal_digits_wins_and_zero_is_even() {
        assert_eq!(Task::Digits.predict(&[0.5; 10]), Some(0));
        let mut outputs = [-1.0; 10];
        (outputs[4], outputs[7]) = (2.0, 2.0);
        assert_eq!(Task::Digits.predict(&outputs), Some(4));
        assert_eq!(Task::OddEven.predict(&[0.0]), Some(0));
    }

    #[test]
    fn outputs_of_another_task_predict_nothing() {
        assert_eq!(Task::OddEven.predict(&[]), None);
        assert_eq!(Task::OddEven.predict(&[1.0; 10]), None);
        assert_eq!(Task::Digits.predict(&[1.0]), None);
    }

    #[test]
    fn configuration_uses_the_displayed_name() {
        use serde::de::IntoDeserializer as _;
        use serde::de::value::{Error, StrDeserializer};
        for task in [Task::OddEven, Task::Digits] {
            let name = task.to_string();
            let read: StrDeserializer<'_, Error> = name.as_str().into_deserializer();
            assert_eq!(Task::deserialize(read), Ok(task));
        }
    }
}
