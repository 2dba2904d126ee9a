//! Names of classes, splits and files.

use crate::Split;
use std::collections::HashMap;
use std::path::Path;

pub(crate) use lagrange_data::natural_order as natural;

/// Number of files that a message names.
pub(crate) const NAMED: usize = 5;

/// A path for a message: on one line, whatever its bytes are.
pub(crate) fn shown(path: &Path) -> String {
    tidy(&path.to_string_lossy())
}

/// A name for a message: on one line.
pub(crate) fn tidy(name: &str) -> String {
    name.replace(char::is_control, "\u{fffd}")
}

/// The first of `count` things, and how many more there are.
pub(crate) fn at_most(count: usize, first: &[String]) -> String {
    let list = first.join(", ");
    match count.saturating_sub(first.len()) {
        0 => list,
        more => format!("{list} and {more} more"),
    }
}

/// So many pictures, for a message.
pub(crate) fn pictures(count: usize) -> String {
    match count {
        1 => "1 picture".to_owned(),
        _ => format!("{} pictures", thousands(count)),
    }
}

/// A number with its digits in groups of three.
pub(crate) fn thousands(count: usize) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// The split that the first or last word of a file's name gives, its extension and numbers aside:
/// `train-00000-of-00002.parquet`, `mnist_test.csv`.
pub(crate) fn split_of_file(path: &Path) -> Option<Split> {
    let name = path.file_name()?.to_string_lossy().into_owned();
    let stem = name.split('.').next()?;
    let words = stem.split(['-', '_']);
    let number = |word: &&str| word.bytes().all(|b| b.is_ascii_digit()) || *word == "of";
    let words: Vec<_> = words.filter(|word| !number(word)).collect();
    let first = words.first().and_then(|word| Split::named(word));
    first.or_else(|| words.last().and_then(|word| Split::named(word)))
}

/// Classes in the order in which they were met, each with a number.
#[derive(Debug, Default)]
pub(crate) struct Classes {
    names: Vec<String>,
    numbers: HashMap<String, usize>,
}

impl Classes {
    /// The number of the class called `name`.
    pub(crate) fn number(&mut self, name: &str) -> usize {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        self.numbers.insert(name.to_owned(), self.names.len());
        self.names.push(name.to_owned());
        self.names.len() - 1
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_are_grouped() {
        for (count, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(thousands(count), text);
        }
    }
    use proptest::prelude::*;
    use std::cmp::Ordering;

    #[test]
    fn numbers_within_names_count_by_their_value() {
        let mut names = ["10", "b", "2", "a10", "1", "a9", "02", "a", "-"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["-", "1", "02", "2", "10", "a", "a9", "a10", "b"]);
    }

    #[test]
    fn files_tell_their_split_by_a_whole_word() {
        for (name, split) in [
            ("train-00000-of-00002.parquet", Some(Split::Train)),
            ("fashion-mnist_test.csv", Some(Split::Test)),
            ("train.csv", Some(Split::Train)),
            ("val-000001.tar", Some(Split::Validation)),
            ("latest.csv", None),
            ("my-test-pictures.tar", None),
            ("0001.tar", None),
        ] {
            assert_eq!(split_of_file(Path::new(name)), split, "{name}");
        }
    }

    proptest! {
        #[test]
        fn the_order_of_names_is_total(names in prop::collection::vec("[ab0-2]{0,4}", 3)) {
            let (a, b, c) = (&names[0], &names[1], &names[2]);
            prop_assert_eq!(natural(a, b), natural(b, a).reverse());
            prop_assert_eq!(natural(a, b) == Ordering::Equal, a == b);
            if natural(a, b).is_le() && natural(b, c).is_le() {
                prop_assert!(natural(a, c).is_le());
            }
        }
    }
}
