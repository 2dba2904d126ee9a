//! The same picture in two splits.

use super::{Hash, Ready};
use crate::names::NAMED;
use crate::report::Duplicates;
use std::collections::HashMap;

/// Samples of a split of which an earlier split has the same bytes.
pub(super) fn across(samples: &[Ready<'_>]) -> Duplicates {
    let mut first: HashMap<Hash, &Ready<'_>> = HashMap::with_capacity(samples.len());
    let mut in_order: Vec<&Ready<'_>> = samples.iter().collect();
    in_order.sort_by_key(|sample| sample.split);
    let mut duplicates = Duplicates::default();
    for sample in in_order {
        let earlier = *first.entry(sample.hash).or_insert(sample);
        if earlier.split == sample.split {
            continue;
        }
        duplicates.count += 1;
        if duplicates.first.len() < NAMED {
            duplicates.first.push((title(earlier), title(sample)));
        }
    }
    duplicates
}

fn title(sample: &Ready<'_>) -> String {
    match sample.name {
        "" => format!("a picture of the {} split", sample.split),
        name => name.to_owned(),
    }
}
