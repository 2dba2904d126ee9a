//! What a task asks of a dataset: outputs, targets and predictions, by the names of the dataset's classes.

use crate::classes::{digits, nearest_name, parity};
use crate::{Task, TaskError};
use std::collections::HashMap;

/// A task for the classes of a dataset: number of outputs, targets of labels, and predictions of outputs.
///
/// Labels are indices into the classes of the dataset. The question's own classes are those that outputs tell
/// apart: the dataset's, or two groups of them.
///
/// ```
/// use lagrange_data::{Question, Task};
///
/// let classes = ["cat", "dog", "bird"].map(str::to_owned);
/// let question = Question::new(Task::Classes, &classes, &[])?;
/// assert_eq!((question.outputs(), question.target(1, 1), question.target(1, 2)), (3, 1.0, -1.0));
/// assert_eq!(question.predict(&[-0.5, 0.1, -2.0]), Some(1));
///
/// let bird = Question::new(Task::Positive, &classes, &["bird".to_owned()])?;
/// assert_eq!((bird.outputs(), bird.names()), (1, ["not bird", "bird"].map(str::to_owned).as_slice()));
/// assert_eq!((bird.target(2, 0), bird.class_of(0), bird.predict(&[0.3])), (1.0, 0, Some(1)));
/// # Ok::<(), lagrange_data::TaskError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    task: Task,
    classes: Vec<String>,
    positive: Vec<String>,
    names: Vec<String>,
    class_of: Vec<usize>,
}

impl Question {
    /// The question of `task` to a dataset of these `classes`, where those named by `positive` are the
    /// positive ones of [`Task::Positive`].
    ///
    /// # Errors
    /// [`TaskError`] if the task does not suit the classes, naming the class at fault.
    pub fn new(task: Task, classes: &[String], positive: &[String]) -> Result<Self, TaskError> {
        if classes.len() < 2 {
            return Err(TaskError::TooFewClasses(classes.len()));
        }
        check_positive(task, classes, positive)?;
        let (names, class_of) = match task {
            Task::Digits if classes != digits() => {
                let classes = classes.to_vec();
                return Err(TaskError::NotDigits { classes });
            }
            Task::Digits | Task::Classes => (classes.to_vec(), (0..classes.len()).collect()),
            Task::OddEven => (
                ["even", "odd"].map(str::to_owned).into(),
                parities(classes)?,
            ),
            Task::Positive => {
                let groups = classes
                    .iter()
                    .map(|name| usize::from(positive.contains(name)));
                (group_names(classes, positive), groups.collect())
            }
        };
        Ok(Self {
            task,
            classes: classes.to_vec(),
            positive: positive.to_vec(),
            names,
            class_of,
        })
    }

    /// The task.
    #[must_use]
    pub fn task(&self) -> Task {
        self.task
    }

    /// Names of the dataset's classes, by label.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Names of the positive classes of [`Task::Positive`].
    #[must_use]
    pub fn positive(&self) -> &[String] {
        &self.positive
    }

    /// Names of the question's classes, in the order of [`Question::class_of`].
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Number of outputs O: 1 for two groups of classes, else one per class.
    #[must_use]
    pub fn outputs(&self) -> usize {
        match self.task.is_binary() {
            true => 1,
            false => self.names.len(),
        }
    }

    /// Class of a label: an index into [`Question::names`].
    ///
    /// # Panics
    /// If the dataset has no such label.
    #[must_use]
    pub fn class_of(&self, label: u16) -> usize {
        self.class_of[usize::from(label)]
    }

    /// Target y of one output for a label: +1 or -1.
    ///
    /// # Panics
    /// If the dataset has no such label.
    #[must_use]
    pub fn target(&self, label: u16, output: usize) -> f32 {
        let class = self.class_of(label);
        let hit = match self.task.is_binary() {
            true => class == 1,
            false => class == output,
        };
        if hit { 1.0 } else { -1.0 }
    }

    /// Class predicted by one sample's outputs, `[O]`; `None` if an output is NaN or one is missing.
    ///
    /// Of two groups the second if the output is above 0; else the class of the largest output, the first of
    /// equal ones.
    #[must_use]
    pub fn predict(&self, outputs: &[f32]) -> Option<usize> {
        if outputs.len() != self.outputs() || outputs.iter().any(|output| output.is_nan()) {
            return None;
        }
        if self.task.is_binary() {
            return Some(usize::from(outputs[0] > 0.0));
        }
        let better = |best, next| {
            if outputs[next] > outputs[best] {
                next
            } else {
                best
            }
        };
        (0..outputs.len()).reduce(better)
    }

    /// Whether one sample's outputs predict its label's class.
    ///
    /// # Panics
    /// If the dataset has no such label.
    #[must_use]
    pub fn is_correct(&self, outputs: &[f32], label: u16) -> bool {
        self.predict(outputs) == Some(self.class_of(label))
    }

    /// Class of each label of another dataset with these `classes`, which may be fewer, or in another order.
    ///
    /// # Errors
    /// [`TaskError::OtherClasses`] or [`TaskError::NotANumber`], naming a class that the question has no
    /// answer for.
    pub fn classes_of(&self, classes: &[String]) -> Result<Vec<usize>, TaskError> {
        if self.task == Task::OddEven {
            return parities(classes);
        }
        let names = self.classes.iter().zip(&self.class_of);
        let known: HashMap<&String, usize> = names.map(|(name, &class)| (name, class)).collect();
        let class = |name: &String| {
            let class = known.get(name).copied();
            class.ok_or_else(|| TaskError::OtherClasses {
                name: name.clone(),
                classes: self.classes.clone(),
            })
        };
        classes.iter().map(class).collect()
    }
}

fn check_positive(task: Task, classes: &[String], positive: &[String]) -> Result<(), TaskError> {
    match (task, positive.is_empty()) {
        (Task::Positive, true) => return Err(TaskError::NoPositive),
        (Task::Positive, false) => {}
        (_, true) => return Ok(()),
        (_, false) => return Err(TaskError::PositiveOfAnother(task)),
    }
    if let Some(name) = positive.iter().find(|name| !classes.contains(name)) {
        return Err(unknown_class("positive", name, classes));
    }
    match classes.iter().all(|name| positive.contains(name)) {
        true => Err(TaskError::AllPositive),
        false => Ok(()),
    }
}

pub(crate) fn unknown_class(key: &'static str, name: &str, classes: &[String]) -> TaskError {
    TaskError::UnknownClass {
        key,
        name: name.to_owned(),
        hint: nearest_name(name, classes).cloned(),
        classes: classes.to_vec(),
    }
}

/// Of each class 1 if its name is an odd number, 0 if it is an even one.
fn parities(classes: &[String]) -> Result<Vec<usize>, TaskError> {
    let parity = |name: &String| match parity(name) {
        Some(odd) => Ok(usize::from(odd)),
        None => Err(TaskError::NotANumber { name: name.clone() }),
    };
    classes.iter().map(parity).collect()
}

/// Names of the two groups: that of a single class is its own.
fn group_names(classes: &[String], positive: &[String]) -> Vec<String> {
    let group = |inside: bool| {
        let names = classes
            .iter()
            .filter(|name| positive.contains(name) == inside);
        names.map(String::as_str).collect::<Vec<_>>()
    };
    let positive = group(true).join("|");
    let others = match group(false)[..] {
        [other] => other.to_owned(),
        _ => format!("not {positive}"),
    };
    vec![others, positive]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn question(task: Task) -> Question {
        Question::new(task, &digits(), &[]).expect("digits")
    }

    fn outputs_of(question: &Question, label: u16) -> Vec<f32> {
        let outputs = 0..question.outputs();
        outputs
            .map(|output| question.target(label, output))
            .collect()
    }

    #[test]
    fn the_questions_to_digits_are_those_of_mnist() {
        let (odd, digits) = (question(Task::OddEven), question(Task::Digits));
        assert_eq!((odd.outputs(), digits.outputs()), (1, 10));
        assert_eq!(odd.names(), names(&["even", "odd"]));
        for label in 0..10 {
            assert_eq!(odd.class_of(label), usize::from(label % 2));
            assert_eq!(digits.class_of(label), usize::from(label));
            assert_eq!(
                outputs_of(&digits, label),
                outputs_of(&question(Task::Classes), label)
            );
        }
    }

    #[test]
    fn not_a_number_is_never_correct() {
        assert!(!question(Task::OddEven).is_correct(&[f32::NAN], 2));
        assert!(!question(Task::Digits).is_correct(&[f32::NAN; 10], 0));
        let mut outputs = [-1.0; 10];
        (outputs[3], outputs[8]) = (1.0, f32::NAN);
        assert!(!question(Task::Digits).is_correct(&outputs, 3));
    }

    #[test]
    fn the_first_of_equal_outputs_wins_and_zero_is_even() {
        let digits = question(Task::Digits);
        assert_eq!(digits.predict(&[0.5; 10]), Some(0));
        let mut outputs = [-1.0; 10];
        (outputs[4], outputs[7]) = (2.0, 2.0);
        assert_eq!(digits.predict(&outputs), Some(4));
        assert_eq!(question(Task::OddEven).predict(&[0.0]), Some(0));
    }

    #[test]
    fn outputs_of_another_question_predict_nothing() {
        let (odd, digits) = (question(Task::OddEven), question(Task::Digits));
        assert_eq!((odd.predict(&[]), odd.predict(&[1.0; 10])), (None, None));
        assert_eq!(digits.predict(&[1.0]), None);
    }

    #[test]
    fn tasks_that_do_not_suit_the_classes_are_refused_with_a_way_out() {
        let animals = names(&["cat", "dog", "horse"]);
        let message = |task, classes: &[String], positive: &[&str]| {
            let refused = Question::new(task, classes, &names(positive));
            refused.expect_err("refused").to_string()
        };
        for (found, parts) in [
            (
                message(Task::OddEven, &animals, &[]),
                &["`cat`", "--task classes"][..],
            ),
            (
                message(Task::Digits, &animals, &[]),
                &["labels 0 to 9", "cat, dog", "--task classes"],
            ),
            (message(Task::Positive, &animals, &[]), &["--positive NAME"]),
            (
                message(Task::Positive, &animals, &["hosre"]),
                &["`hosre`", "did you mean `horse`", "cat"],
            ),
            (
                message(Task::Positive, &animals, &["cat", "dog", "horse"]),
                &["all classes"],
            ),
            (
                message(Task::Classes, &animals, &["cat"]),
                &["the task is classes"],
            ),
            (message(Task::Classes, &animals[..1], &[]), &["1 classes"]),
        ] {
            for part in parts {
                assert!(found.contains(part), "`{part}` in: {found}");
            }
        }
    }

    #[test]
    fn groups_are_called_by_their_classes() {
        let animals = names(&["cat", "dog", "horse"]);
        let groups = |positive: &[&str]| {
            let question = Question::new(Task::Positive, &animals, &names(positive));
            question.expect("known").names().to_vec()
        };
        assert_eq!(groups(&["dog"]), names(&["not dog", "dog"]));
        assert_eq!(groups(&["horse", "cat"]), names(&["dog", "cat|horse"]));
    }

    #[test]
    fn classes_of_other_data_are_found_by_name() {
        let animals = Question::new(Task::Classes, &names(&["cat", "dog", "horse"]), &[]);
        let animals = animals.expect("classes");
        assert_eq!(
            animals.classes_of(&names(&["horse", "cat"])),
            Ok(vec![2, 0])
        );
        let error = animals.classes_of(&names(&["cow"])).expect_err("unknown");
        assert!(error.to_string().contains("`cow`"), "{error}");
        let odd = question(Task::OddEven);
        assert_eq!(odd.classes_of(&names(&["16", "17"])), Ok(vec![0, 1]));
        assert!(odd.classes_of(&names(&["cat"])).is_err());
    }

    proptest! {
        #[test]
        fn targets_and_predictions_agree(
            count in 2usize..40, task in prop_oneof![
                Just(Task::OddEven), Just(Task::Classes), Just(Task::Positive)
            ],
        ) {
            let classes: Vec<String> = (0..count).map(|n| n.to_string()).collect();
            let positive = match task {
                Task::Positive => classes[..count / 2].to_vec(),
                _ => Vec::new(),
            };
            let question = Question::new(task, &classes, &positive).expect("suits");
            let by_name = question.classes_of(&classes).expect("its own");
            for label in 0..count as u16 {
                let outputs = outputs_of(&question, label);
                let class = question.class_of(label);
                prop_assert_eq!(question.predict(&outputs), Some(class));
                prop_assert!(question.is_correct(&outputs, label));
                prop_assert_eq!(by_name[usize::from(label)], class);
                prop_assert!(class < question.names().len());
                for other in (0..count as u16).filter(|&l| question.class_of(l) != class) {
                    prop_assert!(!question.is_correct(&outputs, other));
                }
            }
        }
    }
}
