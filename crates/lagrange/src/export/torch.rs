//! Weights for PyTorch: a safetensors file, what it takes to use it, and a loader.

use super::layers::layers;
use super::{ExportedFile, unwritten};
use crate::{Model, ModelError};
use lagrange_core::network::Stage;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};
use std::collections::HashMap;

/// The loader, which is written beside the weights.
const LOADER: &str = include_str!("model.py");

pub(super) fn files(model: &Model) -> Result<Vec<ExportedFile>, ModelError> {
    let config = serde_json::to_vec_pretty(&config(model)).map_err(unwritten)?;
    Ok(vec![
        ExportedFile {
            name: "model.safetensors",
            bytes: weights(model)?,
        },
        ExportedFile {
            name: "config.json",
            bytes: config,
        },
        ExportedFile {
            name: "model.py",
            bytes: LOADER.as_bytes().to_vec(),
        },
    ])
}

fn weights(model: &Model) -> Result<Vec<u8>, ModelError> {
    let layers = layers(model);
    let mut tensors = Vec::with_capacity(2 * layers.len());
    for (index, layer) in layers.iter().enumerate() {
        let view = |shape: Vec<usize>, values| {
            TensorView::new(Dtype::F32, shape, bytemuck::cast_slice(values))
        };
        let kernel = view(layer.shape().to_vec(), &layer.kernel)?;
        tensors.push((format!("layers.{index}.weight"), kernel));
        let bias = view(vec![layer.bias.len()], &layer.bias)?;
        tensors.push((format!("layers.{index}.bias"), bias));
    }
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    Ok(safetensors::serialize(tensors, Some(metadata))?)
}

fn config(model: &Model) -> Value {
    let (input, figures) = (model.network.input(), &model.normalisation);
    json!({
        "library": "lagrange",
        "version": env!("CARGO_PKG_VERSION"),
        "weights_sha256": model.weights_sha256(),
        "task": model.question.task(),
        "classes": model.question.names(),
        "height": input.height,
        "width": input.width,
        "channels": input.channels,
        "mean": figures.means(),
        "std": figures.standard_deviations(),
        "layers": model.network.stages().iter().map(layer).collect::<Vec<_>>(),
    })
}

fn layer(stage: &Stage) -> Value {
    json!({
        "stride": stage.stride,
        "padding": stage.pad,
        "pool": stage.link.pool.kind,
        "pool_size": stage.link.window(stage.conv),
        "activation": stage.link.activation,
    })
}
