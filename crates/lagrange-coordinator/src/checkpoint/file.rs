//! A checkpoint as bytes.

use super::{Arrays, CheckpointError, CheckpointMeta, Snapshot};
use crate::multipliers::hexadecimal;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, HashMap};

/// Version of the layout.
const FORMAT: &str = "lagrange checkpoint 3";

impl Snapshot {
    /// The checkpoint as the bytes of a file.
    ///
    /// # Errors
    /// [`CheckpointError::Damaged`] if it cannot be written down.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CheckpointError> {
        let facts = serde_json::to_string(&self.facts).map_err(damaged)?;
        let metadata = HashMap::from([
            ("format".to_owned(), FORMAT.to_owned()),
            ("sha256".to_owned(), checksum(&facts, &self.arrays.0)),
            ("facts".to_owned(), facts),
        ]);
        let views = self.arrays.0.iter().map(|(name, values)| {
            let bytes = bytemuck::cast_slice(values);
            let view = TensorView::new(Dtype::F32, vec![values.len()], bytes);
            Ok((name, view.map_err(damaged)?))
        });
        let views = views.collect::<Result<Vec<_>, CheckpointError>>()?;
        safetensors::serialize(views, Some(metadata)).map_err(damaged)
    }

    /// Reads a checkpoint; nothing of it is used before its checksum is found right.
    ///
    /// # Errors
    /// [`CheckpointError::Damaged`] or [`CheckpointError::Format`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
        let metadata = header.metadata().clone().unwrap_or_default();
        let entry = |key: &str| {
            let missing = || CheckpointError::Damaged(format!("no metadata entry `{key}`"));
            metadata.get(key).ok_or_else(missing)
        };
        if entry("format")? != FORMAT {
            return Err(CheckpointError::Format {
                theirs: entry("format")?.chars().take(80).collect(),
                ours: FORMAT,
            });
        }
        let file = SafeTensors::deserialize(bytes).map_err(damaged)?;
        let mut arrays = BTreeMap::new();
        for (name, view) in file.iter() {
            if view.dtype() != Dtype::F32 {
                return Err(CheckpointError::Damaged(format!("{name} is not of f32")));
            }
            let values = view.data().chunks_exact(4);
            let values = values.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            arrays.insert(name.to_owned(), values.collect());
        }
        let facts = entry("facts")?;
        if *entry("sha256")? != checksum(facts, &arrays) {
            return Err(CheckpointError::Damaged("its checksum is wrong".to_owned()));
        }
        Ok(Self {
            facts: serde_json::from_str::<CheckpointMeta>(facts).map_err(damaged)?,
            arrays: Arrays(arrays),
        })
    }
}

fn damaged(error: impl std::fmt::Display) -> CheckpointError {
    CheckpointError::Damaged(error.to_string())
}

/// Over everything, with every length, so that nothing can be moved from one entry to another.
fn checksum(facts: &str, arrays: &BTreeMap<String, Vec<f32>>) -> String {
    let mut hash = Sha256::new_with_prefix(FORMAT);
    let mut add = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    add(facts.as_bytes());
    for (name, values) in arrays {
        add(name.as_bytes());
        add(bytemuck::cast_slice(values));
    }
    hexadecimal(&hash.finalize())
}
