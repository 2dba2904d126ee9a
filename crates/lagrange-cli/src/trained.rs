//! A trained model, and the data of its run.

use anyhow::Result;
use lagrange::Model;
use lagrange_coordinator::hexadecimal;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The model at `path`, or of the run folder there.
pub fn model_at(path: &Path) -> Result<(PathBuf, Model)> {
    let path = match path.is_dir() {
        true => path.join("model.safetensors"),
        false => path.to_owned(),
    };
    let model = Model::load(&path)?;
    Ok((path, model))
}

/// What to say if the run that made the model file `model` had other data than those of SHA-256 `here`: figures
/// are then not those of the run.
#[must_use]
pub fn other_data(model: &Path, here: &[u8; 32]) -> Option<String> {
    let result = std::fs::read(model.with_file_name("result.json")).ok()?;
    let result: Value = serde_json::from_slice(&result).ok()?;
    let of_run = result["dataset_sha256"].as_str()?;
    let here = hexadecimal(here);
    (of_run != here).then(|| {
        let short = |hash: &str| hash.chars().take(8).collect::<String>();
        format!(
            "these are not the data of the run (SHA-256 {}.. here, {}.. there)",
            short(&here),
            short(of_run)
        )
    })
}
