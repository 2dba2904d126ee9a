//! Order of classes, and whether there are enough samples of each.

use super::Ready;
use crate::names::{Classes, at_most, natural};
use crate::report::ClassCounts;
use crate::{ImportError, Split};

/// Classes in natural order.
pub(super) struct Order {
    pub(super) names: Vec<String>,
    /// Position in `names` of each class as the reader numbered it.
    pub(super) ranks: Vec<usize>,
}

/// # Errors
/// If there are too few classes, or too many.
pub(super) fn order(classes: &Classes) -> Result<Order, ImportError> {
    let found = classes.names();
    match found {
        [one] => {
            return Err(ImportError::TooFewClasses {
                found: format!("all pictures are of one class, {one:?}"),
            });
        }
        many if many.len() > usize::from(u16::MAX) => {
            return Err(ImportError::TooManyClasses { count: many.len() });
        }
        _ => {}
    }
    let mut order: Vec<usize> = (0..found.len()).collect();
    order.sort_by(|&a, &b| natural(&found[a], &found[b]));
    let mut ranks = vec![0; found.len()];
    for (rank, &number) in order.iter().enumerate() {
        ranks[number] = rank;
    }
    Ok(Order {
        names: order.iter().map(|&number| found[number].clone()).collect(),
        ranks,
    })
}

pub(super) fn counts(names: &[String], samples: &[Ready<'_>]) -> Vec<ClassCounts> {
    let none = |name: &String| ClassCounts {
        name: name.clone(),
        train: 0,
        validation: 0,
        test: 0,
    };
    let mut counts: Vec<_> = names.iter().map(none).collect();
    for sample in samples {
        let class = &mut counts[sample.class];
        match sample.split {
            Split::Train => class.train += 1,
            Split::Validation => class.validation += 1,
            Split::Test => class.test += 1,
        }
    }
    counts
}

/// Warnings about classes that cannot be judged.
///
/// # Errors
/// If a class cannot be learnt.
pub(super) fn check(classes: &[ClassCounts]) -> Result<Vec<String>, ImportError> {
    if let Some(class) = classes.iter().find(|class| class.train == 0) {
        let elsewhere = match (class.validation, class.test) {
            (0, 0) => "it is only a name: remove the name, or add pictures".to_owned(),
            (0, test) => format!("the test split has {test}"),
            (validation, test) => {
                format!("the validation split has {validation}, the test split {test}")
            }
        };
        return Err(ImportError::NotInTrain {
            class: class.name.clone(),
            elsewhere,
        });
    }
    let missing = |split: Split| {
        let without = classes.iter().filter(|class| class.of(split) == 0);
        let names: Vec<_> = without.map(|class| class.name.clone()).collect();
        let shown = &names[..names.len().min(crate::names::NAMED)];
        let any = classes.iter().any(|class| class.of(split) > 0);
        (any && !names.is_empty()).then(|| {
            let list = at_most(names.len(), shown);
            format!("the {split} split has no picture of class {list}")
        })
    };
    let splits = [Split::Validation, Split::Test].into_iter();
    Ok(splits.filter_map(missing).collect())
}
