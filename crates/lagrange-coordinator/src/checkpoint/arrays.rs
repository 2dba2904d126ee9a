//! The large part of a checkpoint.

use super::CheckpointError;
use lagrange_core::finite::all_finite;
use std::collections::BTreeMap;

/// Arrays of f32 by name.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Arrays(pub(super) BTreeMap<String, Vec<f32>>);

impl Arrays {
    pub(crate) fn put(&mut self, name: String, values: Vec<f32>) {
        self.0.insert(name, values);
    }

    /// An array of finite values.
    pub(crate) fn get(&self, name: &str) -> Result<&[f32], CheckpointError> {
        match self.0.get(name) {
            None => Err(CheckpointError::damaged(format!("{name} is missing"))),
            Some(values) if all_finite(values) => Ok(values),
            Some(_) => Err(CheckpointError::damaged(format!(
                "{name} holds values that are not finite"
            ))),
        }
    }

    /// Those whose names begin with `prefix`, by what is behind it.
    pub(crate) fn below(&self, prefix: &str) -> BTreeMap<String, Vec<f32>> {
        let behind = |(name, values): (&String, &Vec<f32>)| {
            let rest = name.strip_prefix(prefix)?;
            Some((rest.to_owned(), values.clone()))
        };
        self.0.iter().filter_map(behind).collect()
    }
}
