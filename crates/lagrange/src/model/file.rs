//! A model as a safetensors file: kernels, biases, and in the metadata everything needed to use them.

use super::{Model, ModelError};
use crate::folder::write_file;
use crate::{Network, NetworkSpec, Normalisation, Task};
use lagrange_core::network::{Kernel, Shape};
use lagrange_core::weights::Weights;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::HashMap;
use std::fmt::Display;
use std::path::Path;

/// Version of the file's layout.
const FORMAT: &str = "lagrange 1";

impl Model {
    /// The model as the bytes of a safetensors file: per stage `stageN.kernel` `[k, k, C_in, C_out]` and
    /// `stageN.bias` `[C_out]`.
    ///
    /// # Errors
    /// If the metadata cannot be written.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ModelError> {
        let mut tensors = Vec::new();
        for (index, stage) in self.network.stages().iter().enumerate() {
            let weights = self.weights.stage(index);
            let flat = weights.to_slice();
            let flat = flat.unwrap_or_else(|| unreachable!("weights are contiguous"));
            let (kernel, bias) = flat.split_at(stage.patch() * stage.conv.channels);
            let shape = vec![
                stage.kernel.height,
                stage.kernel.width,
                stage.input.channels,
                stage.conv.channels,
            ];
            tensors.push((format!("stage{}.kernel", index + 1), shape, kernel));
            tensors.push((format!("stage{}.bias", index + 1), vec![bias.len()], bias));
        }
        let views = tensors
            .iter()
            .map(|(name, shape, values)| {
                let bytes = bytemuck::cast_slice(values);
                Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?))
            })
            .collect::<Result<Vec<_>, ModelError>>()?;
        let metadata = HashMap::from([
            ("format".to_owned(), FORMAT.to_owned()),
            ("task".to_owned(), self.task.to_string()),
            ("side".to_owned(), self.network.input().height.to_string()),
            (
                "network".to_owned(),
                serde_json::to_string(&self.spec).map_err(damaged)?,
            ),
            ("architecture".to_owned(), self.network.describe()),
            (
                "layout".to_owned(),
                "channels-last; input (x/255 - mean) / std".to_owned(),
            ),
            ("mean".to_owned(), self.normalisation.mean().to_string()),
            (
                "std".to_owned(),
                self.normalisation.standard_deviation().to_string(),
            ),
        ]);
        Ok(safetensors::serialize(views, Some(metadata))?)
    }

    /// Writes the model's file, whole or not at all.
    ///
    /// # Errors
    /// [`ModelError`]
    pub fn save(&self, path: &Path) -> Result<(), ModelError> {
        Ok(write_file(path, &self.to_bytes()?)?)
    }

    /// Reads a model file, checking everything before it is used.
    ///
    /// # Errors
    /// [`ModelError`] if the file cannot be read or is no model of this version.
    pub fn load(path: &Path) -> Result<Self, ModelError> {
        let bytes = std::fs::read(path).map_err(|cause| ModelError::Read {
            path: path.to_owned(),
            cause,
        })?;
        Self::from_bytes(&bytes).map_err(|source| ModelError::File {
            path: path.to_owned(),
            source: Box::new(source),
        })
    }

    /// Reads a model from the bytes of its file; memory is taken only for what is really there.
    ///
    /// # Errors
    /// [`ModelError::Damaged`] if they are no model of this version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ModelError> {
        let (_, header) = SafeTensors::read_metadata(bytes)?;
        let metadata = header.metadata().clone().unwrap_or_default();
        let entry = |key: &str| {
            metadata
                .get(key)
                .ok_or_else(|| damaged(format_args!("no metadata entry `{key}`")))
        };
        if entry("format")? != FORMAT {
            let theirs = entry("format")?;
            let words = format_args!("format `{theirs}` where `{FORMAT}` is understood here");
            return Err(damaged(words));
        }
        let task: Task = entry("task")?.parse().map_err(damaged)?;
        let spec: NetworkSpec = serde_json::from_str(entry("network")?).map_err(damaged)?;
        let of = |key: &str, fault: &dyn Display| {
            damaged(format_args!("metadata entry `{key}`: {fault}"))
        };
        let side = entry("side")?.parse().map_err(|error| of("side", &error))?;
        let number = |key| -> Result<f32, ModelError> {
            entry(key)?.parse().map_err(|error| of(key, &error))
        };
        let normalisation = Normalisation::new(number("mean")?, number("std")?)
            .ok_or_else(|| damaged("metadata entries `mean` and `std`: no images have these"))?;
        let input = Shape {
            height: side,
            width: side,
            channels: 1,
        };
        let network = Network::resolve(&spec, input, task.outputs()).map_err(damaged)?;
        let weights = weights(&SafeTensors::deserialize(bytes)?, &network)?;
        Ok(Self {
            task,
            spec,
            network,
            weights,
            normalisation,
        })
    }
}

/// The weights of `network`: of every stage the kernel, and below it the bias.
fn weights(tensors: &SafeTensors<'_>, network: &Network) -> Result<Weights, ModelError> {
    let mut flat = Vec::new();
    for (index, stage) in network.stages().iter().enumerate() {
        let channels = stage.conv.channels;
        let (Kernel { height, width }, inputs) = (stage.kernel, stage.input.channels);
        let kernel = [height, width, inputs, channels];
        for (part, shape) in [("kernel", &kernel[..]), ("bias", &[channels])] {
            let name = format!("stage{}.{part}", index + 1);
            flat.extend(values(tensors, &name, shape)?);
        }
    }
    Weights::from_flat(network, flat).ok_or_else(|| damaged("the tensors are not of this network"))
}

fn damaged(fault: impl Display) -> ModelError {
    ModelError::Damaged(fault.to_string())
}

/// A tensor's values, of exactly the shape given and finite.
fn values(tensors: &SafeTensors<'_>, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
    let tensor = tensors.tensor(name)?;
    if tensor.dtype() != Dtype::F32 || tensor.shape() != shape {
        return Err(damaged(format_args!(
            "tensor {name} is {:?} {:?} where F32 {shape:?} belongs",
            tensor.dtype(),
            tensor.shape()
        )));
    }
    let values: Vec<f32> = tensor
        .data()
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect();
    if values.iter().any(|value| !value.is_finite()) {
        return Err(damaged(format_args!(
            "tensor {name} has values that are not finite"
        )));
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> Model {
        let spec = NetworkSpec::default();
        let input = Shape {
            height: 28,
            width: 28,
            channels: 1,
        };
        let network = Network::resolve(&spec, input, 10).expect("default");
        let weights = lagrange_core::start::he(&network, 3);
        Model {
            task: Task::Digits,
            spec,
            network,
            weights,
            normalisation: Normalisation::new(0.2860, 0.3530).expect("sound"),
        }
    }

    #[test]
    fn a_model_survives_its_file() {
        let model = model();
        let copy = Model::from_bytes(&model.to_bytes().expect("serialises")).expect("reads");
        assert_eq!(copy.weights, model.weights);
        assert_eq!(copy.normalisation, model.normalisation);
        assert_eq!((copy.task, copy.spec), (model.task, model.spec));
    }

    /// Bytes of a model with other characters in its metadata.
    fn altered(from: &str, to: &str) -> Vec<u8> {
        assert_eq!(from.len(), to.len(), "or the header's length is wrong");
        let bytes = model().to_bytes().expect("serialises");
        let place = bytes.windows(from.len()).position(|w| w == from.as_bytes());
        let place = place.expect("metadata");
        [&bytes[..place], to.as_bytes(), &bytes[place + from.len()..]].concat()
    }

    /// Until sets had figures of their own, every model had MNIST's.
    #[test]
    fn the_normalisation_is_that_of_the_file() {
        let bytes = altered("\"0.286\"", "\"0.130\"");
        let read = Model::from_bytes(&bytes).expect("reads");
        assert_eq!(read.normalisation.mean().to_string(), "0.13");
        for (from, to) in [
            ("\"0.286\"", "\"  nan\""),
            ("\"0.286\"", "\"1.286\""),
            ("\"0.353\"", "\"0.000\""),
            ("\"0.353\"", "\"-.353\""),
            ("\"0.353\"", "\"inf  \""),
            ("\"mean\"", "\"moan\""),
        ] {
            let error = Model::from_bytes(&altered(from, to)).expect_err(to);
            let message = format!("{error:#}");
            assert!(
                message.contains("`mean`") || message.contains("`std`"),
                "{message}"
            );
        }
        let mnist = Model {
            normalisation: Normalisation::MNIST,
            ..model()
        };
        let text = mnist.to_bytes().expect("serialises");
        let text = String::from_utf8_lossy(&text[..2_000]);
        for entry in [r#""mean":"0.1307""#, r#""std":"0.3081""#] {
            assert!(text.contains(entry), "{entry} in {text}");
        }
    }

    #[test]
    fn damaged_files_are_refused() {
        let bytes = model().to_bytes().expect("serialises");
        for cut in [0, 7, 100, bytes.len() - 1] {
            assert!(Model::from_bytes(&bytes[..cut]).is_err());
        }
        let mut not_finite = bytes.clone();
        let end = not_finite.len() - 4;
        not_finite[end..].copy_from_slice(&f32::NAN.to_le_bytes());
        assert!(Model::from_bytes(&not_finite).is_err());
    }
}
