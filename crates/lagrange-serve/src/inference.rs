//! Requests and answers of the Open Inference Protocol, version 2.

use lagrange::{Model, Shape};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use serde_json::{Value, json};
use std::fmt;

/// The one input, `[n, C, H, W]` in bytes.
const INPUT: &str = "image";

/// Tensors to be judged.
#[derive(Debug, Deserialize)]
pub(crate) struct Request {
    /// Whatever the client calls it.
    #[serde(default)]
    id: Option<String>,
    inputs: Vec<Tensor>,
}

#[derive(Debug, Deserialize)]
struct Tensor {
    name: String,
    datatype: String,
    shape: Vec<usize>,
    data: Bytes,
}

/// Whole numbers from 0 to 255, in lists of any depth: kept as bytes, so that a request takes no more memory
/// than its text.
#[derive(Debug)]
struct Bytes(Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let mut bytes = Vec::new();
        Append(&mut bytes).deserialize(source)?;
        Ok(Self(bytes))
    }
}

struct Append<'a>(&'a mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for Append<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<(), D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Append<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("whole numbers from 0 to 255, in lists")
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        let byte = u8::try_from(value).map_err(|_| E::custom(format!("{value} is above 255")))?;
        self.0.push(byte);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Append(self.0))?.is_some() {}
        Ok(())
    }
}

impl Request {
    /// The images, `[n, H, W, C]`, and what the client calls the request.
    ///
    /// # Errors
    /// What is wrong with the request.
    pub(crate) fn images(self, model: &Model) -> Result<(Option<String>, Vec<u8>), String> {
        let wanted = model.network.input();
        let number = self.inputs.len();
        let [tensor] = <[Tensor; 1]>::try_from(self.inputs)
            .map_err(|_| format!("{number} inputs; one is wanted, called `{INPUT}`"))?;
        let data = tensor.checked(wanted)?;
        let images = channels_last(data, wanted.channels, wanted.pixels());
        Ok((self.id, images))
    }
}

impl Tensor {
    /// The data of images of the shape `wanted`.
    fn checked(self, wanted: Shape) -> Result<Vec<u8>, String> {
        let Self {
            name,
            datatype,
            shape,
            data: Bytes(data),
        } = self;
        if name != INPUT || datatype != "UINT8" {
            return Err(format!(
                "input `{name}` of {datatype}; `{INPUT}` of UINT8 is wanted"
            ));
        }
        let [c, h, w] = [wanted.channels, wanted.height, wanted.width];
        let count = match *shape.as_slice() {
            [count, channels, height, width] if [channels, height, width] == [c, h, w] => count,
            _ => {
                return Err(format!(
                    "inputs.shape: {shape:?}; wanted is [n, {c}, {h}, {w}]"
                ));
            }
        };
        let (found, image) = (data.len(), wanted.len());
        match count.checked_mul(image) == Some(found) && count > 0 {
            true => Ok(data),
            false => Err(format!(
                "inputs.data: {found} numbers are not {count} images of {image}"
            )),
        }
    }
}

/// Images `[n, C, pixels]` as `[n, pixels, C]`.
fn channels_last(data: Vec<u8>, channels: usize, pixels: usize) -> Vec<u8> {
    if channels == 1 {
        return data;
    }
    let mut turned = Vec::with_capacity(data.len());
    for image in data.chunks_exact(channels * pixels) {
        for pixel in 0..pixels {
            turned.extend((0..channels).map(|channel| image[channel * pixels + pixel]));
        }
    }
    turned
}

/// The answer to a request: scores, probabilities and label of every image.
pub(crate) fn answer(model: &Model, name: &str, id: Option<String>, scores: &[f32]) -> Value {
    let outputs = scores.chunks_exact(model.network.outputs());
    let count = outputs.len();
    let probabilities: Vec<f32> = outputs
        .clone()
        .flat_map(|outputs| model.probabilities(outputs))
        .collect();
    let names = model.question.names();
    let labels = outputs.map(|outputs| {
        model
            .question
            .predict(outputs)
            .map(|class| names[class].as_str())
    });
    let tensor = |name, datatype, shape: &[usize], data| {
        let mut tensor = described(name, datatype, json!(shape));
        tensor["data"] = data;
        tensor
    };
    let mut answer = json!({
        "model_name": name,
        "outputs": [
            tensor("scores", "FP32", &[count, model.network.outputs()], json!(scores)),
            tensor("probabilities", "FP32", &[count, names.len()], json!(probabilities)),
            tensor("label", "BYTES", &[count], json!(labels.collect::<Vec<_>>())),
        ],
    });
    if let Some(id) = id {
        answer["id"] = id.into();
    }
    answer
}

/// Name, type and lengths of the axes of a tensor.
fn described(name: &str, datatype: &str, shape: Value) -> Value {
    json!({ "name": name, "datatype": datatype, "shape": shape })
}

/// What the model is.
pub(crate) fn metadata(model: &Model, name: &str) -> Value {
    let shape = model.network.input();
    json!({
        "name": name,
        "platform": "lagrange",
        "versions": [],
        "inputs": [described(INPUT, "UINT8", json!([-1, shape.channels, shape.height, shape.width]))],
        "outputs": [
            described("scores", "FP32", json!([-1, model.network.outputs()])),
            described("probabilities", "FP32", json!([-1, model.question.names().len()])),
            described("label", "BYTES", json!([-1])),
        ],
        "classes": model.question.names(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_bytes_in_lists_of_any_depth() {
        let read = |text: &str| serde_json::from_str::<Bytes>(text).map(|bytes| bytes.0);
        assert_eq!(read("[[1,[2]],[],[255]]").expect("bytes"), [1, 2, 255]);
        for wrong in ["[256]", "[-1]", "[0.5]", "[\"1\"]", "[null]", "[[1]", "{}"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        // Depth is bounded by the reader of JSON.
        let deep = "[".repeat(100_000);
        assert!(read(&deep).is_err());
    }

    #[test]
    fn channels_become_the_last_axis() {
        assert_eq!(
            channels_last(vec![1, 2, 3, 4, 5, 6], 3, 2),
            [1, 3, 5, 2, 4, 6]
        );
        assert_eq!(channels_last(vec![1, 2], 1, 2), [1, 2]);
    }
}
