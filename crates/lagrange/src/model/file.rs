//! A model as a safetensors file: kernels, biases, and in the metadata everything needed to use them.

use super::{Model, ModelError};
use crate::folder::write_file;
use crate::{Network, NetworkSpec, Normalisation, Task};
use lagrange_core::network::{Kernel, Shape};
use lagrange_core::weights::Weights;
use lagrange_data::Question;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::HashMap;
use std::fmt::Display;
use std::path::Path;
use std::str::FromStr;

/// Version of the file's layout.
const FORMAT: &str = "lagrange 2";
/// The version before: models of square grey images of digits.
const GREY_FORMAT: &str = "lagrange 1";

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
        let metadata = self.metadata()?;
        Ok(safetensors::serialize(views, Some(metadata))?)
    }

    fn metadata(&self) -> Result<HashMap<String, String>, ModelError> {
        let Shape {
            height,
            width,
            channels,
        } = self.network.input();
        let json = |names: &[String]| serde_json::to_string(names).map_err(damaged);
        let spec = serde_json::to_string(&self.spec).map_err(damaged)?;
        let entries = [
            ("format", FORMAT.to_owned()),
            ("task", self.question.task().to_string()),
            ("classes", json(self.question.classes())?),
            ("positive", json(self.question.positive())?),
            ("height", height.to_string()),
            ("width", width.to_string()),
            ("channels", channels.to_string()),
            ("network", spec),
            ("architecture", self.network.describe()),
            (
                "layout",
                "channels-last; input (x/255 - mean) / std".to_owned(),
            ),
            ("mean", joined(&self.normalisation.means())),
            ("std", joined(&self.normalisation.standard_deviations())),
        ];
        let owned = entries.map(|(key, value)| (key.to_owned(), value));
        Ok(owned.into_iter().collect())
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
        let metadata = Metadata(header.metadata().clone().unwrap_or_default());
        let question = metadata.question()?;
        let spec: NetworkSpec =
            serde_json::from_str(metadata.entry("network")?).map_err(damaged)?;
        let (input, normalisation) = (metadata.input()?, metadata.normalisation()?);
        if normalisation.channels() != input.channels {
            return Err(damaged(
                "metadata entries `mean` and `std`: not one number per channel",
            ));
        }
        let network = Network::resolve(&spec, input, question.outputs()).map_err(damaged)?;
        let weights = weights(&SafeTensors::deserialize(bytes)?, &network)?;
        Ok(Self {
            question,
            spec,
            network,
            weights,
            normalisation,
        })
    }
}

/// What a file says beside its tensors.
struct Metadata(HashMap<String, String>);

impl Metadata {
    fn entry(&self, key: &str) -> Result<&str, ModelError> {
        let entry = self.0.get(key).map(String::as_str);
        entry.ok_or_else(|| damaged(format_args!("no metadata entry `{key}`")))
    }

    fn parsed<T: FromStr<Err: Display>>(&self, key: &str) -> Result<T, ModelError> {
        self.entry(key)?
            .parse()
            .map_err(|fault| of_entry(key, &fault))
    }

    /// Whether the file is of the version before.
    fn is_grey(&self) -> Result<bool, ModelError> {
        match self.entry("format")? {
            FORMAT => Ok(false),
            GREY_FORMAT => Ok(true),
            theirs => Err(damaged(format_args!(
                "format `{theirs}` where `{FORMAT}` is understood here"
            ))),
        }
    }

    fn question(&self) -> Result<Question, ModelError> {
        let task: Task = self.parsed("task")?;
        if self.is_grey()? {
            let digits: Vec<String> = (0..10).map(|digit: u8| digit.to_string()).collect();
            return Ok(Question::new(task, &digits, &[])?);
        }
        let names = |key: &str| -> Result<Vec<String>, ModelError> {
            serde_json::from_str(self.entry(key)?).map_err(|fault| of_entry(key, &fault))
        };
        Ok(Question::new(
            task,
            &names("classes")?,
            &names("positive")?,
        )?)
    }

    fn input(&self) -> Result<Shape, ModelError> {
        let [height, width, channels] = match self.is_grey()? {
            true => [self.parsed("side")?, self.parsed("side")?, 1],
            false => [
                self.parsed("height")?,
                self.parsed("width")?,
                self.parsed("channels")?,
            ],
        };
        Ok(Shape {
            height,
            width,
            channels,
        })
    }

    fn normalisation(&self) -> Result<Normalisation, ModelError> {
        let numbers = |key: &str| -> Result<Vec<f32>, ModelError> {
            let numbers = self.entry(key)?.split(',').map(str::parse);
            let numbers: Result<Vec<f32>, _> = numbers.collect();
            numbers.map_err(|fault| of_entry(key, &fault))
        };
        Normalisation::per_channel(&numbers("mean")?, &numbers("std")?)
            .ok_or_else(|| damaged("metadata entries `mean` and `std`: no images have these"))
    }
}

fn of_entry(key: &str, fault: &dyn Display) -> ModelError {
    damaged(format_args!("metadata entry `{key}`: {fault}"))
}

/// Numbers with commas between them, one per channel.
fn joined(numbers: &[f32]) -> String {
    let numbers: Vec<String> = numbers.iter().map(f32::to_string).collect();
    numbers.join(",")
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

    fn model_of(input: Shape, question: Question, normalisation: Normalisation) -> Model {
        let spec = NetworkSpec::default();
        let network = Network::resolve(&spec, input, question.outputs()).expect("default");
        let weights = lagrange_core::start::he(&network, 3);
        Model {
            question,
            spec,
            network,
            weights,
            normalisation,
        }
    }

    fn model() -> Model {
        let input = Shape {
            height: 28,
            width: 28,
            channels: 1,
        };
        let digits: Vec<String> = (0..10).map(|digit: u8| digit.to_string()).collect();
        let question = Question::new(Task::Digits, &digits, &[]).expect("digits");
        let normalisation = Normalisation::new(0.2860, 0.3530).expect("sound");
        model_of(input, question, normalisation)
    }

    #[test]
    fn a_model_of_colour_images_keeps_its_classes_and_shape() {
        let input = Shape {
            height: 32,
            width: 32,
            channels: 3,
        };
        let classes = ["cat", "a \"dog\"", "bird"].map(str::to_owned);
        let normalisation = Normalisation::per_channel(&[0.4914, 0.4822, 0.4465], &[0.25; 3]);
        let normalisation = normalisation.expect("sound");
        for (task, positive) in [(Task::Classes, &[][..]), (Task::Positive, &classes[1..])] {
            let question = Question::new(task, &classes, positive).expect("suits");
            let model = model_of(input, question, normalisation.clone());
            let copy = Model::from_bytes(&model.to_bytes().expect("serialises")).expect("reads");
            assert_eq!(copy.question, model.question);
            assert_eq!(copy.network.input(), input);
            assert_eq!(copy.normalisation, normalisation);
            assert_eq!(copy.weights, model.weights);
        }
    }

    /// A file as earlier releases wrote it.
    #[test]
    fn a_model_of_the_version_before_is_read() {
        let model = model();
        let bytes = model.to_bytes().expect("serialises");
        let (_, header) = SafeTensors::read_metadata(&bytes).expect("reads");
        let mut metadata = header.metadata().clone().expect("metadata");
        for key in ["classes", "positive", "height", "width", "channels"] {
            metadata.remove(key).expect("was there");
        }
        metadata.insert("format".to_owned(), GREY_FORMAT.to_owned());
        metadata.insert("side".to_owned(), "28".to_owned());
        let tensors = SafeTensors::deserialize(&bytes).expect("reads").tensors();
        let old = safetensors::serialize(tensors, Some(metadata)).expect("serialises");
        let read = Model::from_bytes(&old).expect("reads");
        assert_eq!(read.question, model.question);
        assert_eq!((read.network, read.weights), (model.network, model.weights));
        assert_eq!(read.normalisation, model.normalisation);
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
        assert_eq!(read.normalisation.means(), [0.13]);
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
