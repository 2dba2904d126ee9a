//! Classification tasks by name. What a task asks of a dataset is a [`Question`](crate::Question).

use crate::classes::listed;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A classification task.
///
/// ```
/// use lagrange_data::Task;
///
/// assert_eq!("odd-even".parse(), Ok(Task::OddEven));
/// let error = "regression".parse::<Task>().expect_err("no classes");
/// assert!(error.to_string().contains("not supported"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Task {
    /// One output: +1 for classes whose names are odd numbers, -1 for even ones.
    #[default]
    OddEven,
    /// One output per class, one-vs-all: the label's is +1, the others are -1; the largest output wins.
    Classes,
    /// [`Task::Classes`] of MNIST's ten digits.
    Digits,
    /// One output: +1 for the classes that the configuration names, -1 for all others.
    Positive,
}

/// Error of a task, or of a task for the classes of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// No task of that name.
    #[error("unknown task `{0}`: use odd-even, classes, digits or positive")]
    Unknown(String),
    /// Targets that are no classes.
    #[error(
        "the task regression is not supported: targets must be classes; divide the values into ranges and \
         use the task classes"
    )]
    Regression,
    /// The task digits on data with other classes.
    #[error(
        "the task digits needs labels 0 to 9, but the classes of the data are {}; \
         use --task classes or other data",
        listed(classes)
    )]
    NotDigits {
        /// Classes of the data.
        classes: Vec<String>,
    },
    /// The task odd-even on data with a class that is no number.
    #[error(
        "the task odd-even needs classes that are whole numbers, but one is `{name}`; use --task classes, or \
         --positive with the names of the classes to tell from the others"
    )]
    NotANumber {
        /// Name of the class.
        name: String,
    },
    /// Data with less than two classes.
    #[error("the data has {0} classes: a task needs two at least")]
    TooFewClasses(usize),
    /// The task positive without names.
    #[error(
        "task = \"positive\" needs the names of the positive classes: \
         positive = [\"NAME\", ..] or --positive NAME,.."
    )]
    NoPositive,
    /// All classes are positive.
    #[error("positive names all classes of the data: leave out at least one")]
    AllPositive,
    /// Names of positive classes beside another task.
    #[error(
        "positive names classes, but the task is {0}: leave out one of them, or set task = \"positive\""
    )]
    PositiveOfAnother(Task),
    /// A name that is none of the classes.
    #[error(
        "{key}: there is no class `{name}`{}; the classes are {}",
        meant(hint.as_deref()),
        listed(classes)
    )]
    UnknownClass {
        /// Key that names it.
        key: &'static str,
        /// The name.
        name: String,
        /// The class that may have been meant.
        hint: Option<String>,
        /// The classes.
        classes: Vec<String>,
    },
    /// Something that is no weight of a class.
    #[error(
        "class-weights: `{0}` is no weight: use none, balanced, or NAME=WEIGHT,.. with finite numbers above 0"
    )]
    Weight(String),
    /// Data with a class that a model was not trained on.
    #[error(
        "the data has the class `{name}`, which the model does not know; its classes are {}",
        listed(classes)
    )]
    OtherClasses {
        /// Name of the class.
        name: String,
        /// Classes of the data that the model was trained on.
        classes: Vec<String>,
    },
}

fn meant(hint: Option<&str>) -> String {
    hint.map_or_else(String::new, |name| format!(" (did you mean `{name}`?)"))
}

impl Task {
    const ALL: [Self; 4] = [Self::OddEven, Self::Classes, Self::Digits, Self::Positive];

    /// Name of the task.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OddEven => "odd-even",
            Self::Classes => "classes",
            Self::Digits => "digits",
            Self::Positive => "positive",
        }
    }

    /// Whether the task has one output, whose sign tells two classes apart.
    #[must_use]
    pub fn is_binary(self) -> bool {
        matches!(self, Self::OddEven | Self::Positive)
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Task {
    type Err = TaskError;

    fn from_str(name: &str) -> Result<Self, TaskError> {
        let task = Self::ALL.into_iter().find(|task| task.name() == name);
        task.ok_or_else(|| match name {
            "regression" => TaskError::Regression,
            _ => TaskError::Unknown(name.to_owned()),
        })
    }
}

impl TryFrom<String> for Task {
    type Error = TaskError;

    fn try_from(name: String) -> Result<Self, TaskError> {
        name.parse()
    }
}

impl From<Task> for String {
    fn from(task: Task) -> Self {
        task.name().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration_uses_the_displayed_name() {
        use serde::de::IntoDeserializer as _;
        use serde::de::value::{Error, StrDeserializer};
        for task in Task::ALL {
            let name = task.to_string();
            assert_eq!(name.parse(), Ok(task));
            let read: StrDeserializer<'_, Error> = name.as_str().into_deserializer();
            assert_eq!(Task::deserialize(read), Ok(task));
        }
        assert!(matches!("odd".parse::<Task>(), Err(TaskError::Unknown(_))));
    }
}
