//! Requests and answers of the Open Inference Protocol, version 2.

use lagrange::Model;
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
    /// The images, `[n, H, W, C]`.
    ///
    /// # Errors
    /// What is wrong with the request.
    pub(crate) fn images(self, model: &Model) -> Result<(Option<String>, Vec<u8>), String> {
        let shape = model.network.input();
        let wanted = [shape.channels, shape.height, shape.width];
        let inputs = <[Tensor; 1]>::try_from(self.inputs);
        let [tensor] = inputs
            .map_err(|all| format!("{} inputs; one is wanted, called `{INPUT}`", all.len()))?;
        if tensor.name != INPUT || tensor.datatype != "UINT8" {
            let Tensor { name, datatype, .. } = tensor;
            return Err(format!(
                "input `{name}` of {datatype}; `{INPUT}` of UINT8 is wanted"
            ));
        }
        let [count, ref lengths @ ..] = *tensor.shape.as_slice() else {
            return Err("inputs.shape: empty".to_owned());
        };
        if lengths != wanted {
            return Err(format!(
                "inputs.shape: {:?}; wanted is [n, {}, {}, {}]",
                tensor.shape, wanted[0], wanted[1], wanted[2]
            ));
        }
        let Bytes(data) = tensor.data;
        if count == 0 || count.checked_mul(shape.len()) != Some(data.len()) {
            return Err(format!(
                "inputs.data: {} numbers are not {count} images of {}",
                data.len(),
                shape.len()
            ));
        }
        Ok((self.id, channels_last(data, shape.channels, shape.pixels())))
    }
}

/// Images `[n, C, pixels]` as `[n, pixels, C]`.
fn channels_last(data: Vec<u8>, channels: usize, pixels: usize) -> Vec<u8> {
    if channels == 1 {
        return data;
    }
    let images = data.chunks_exact(channels * pixels);
    let turned = images.flat_map(|image| {
        (0..pixels).flat_map(move |pixel| {
            (0..channels).map(move |channel| image[channel * pixels + pixel])
        })
    });
    turned.collect()
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
    let tensor = |name: &str, datatype: &str, shape: &[usize], data: Value| json!({ "name": name, "datatype": datatype, "shape": shape, "data": data });
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

/// What the model is.
pub(crate) fn metadata(model: &Model, name: &str) -> Value {
    let shape = model.network.input();
    let tensor = |name: &str, datatype: &str, shape: Value| json!({ "name": name, "datatype": datatype, "shape": shape });
    json!({
        "name": name,
        "platform": "lagrange",
        "versions": [],
        "inputs": [tensor(INPUT, "UINT8", json!([-1, shape.channels, shape.height, shape.width]))],
        "outputs": [
            tensor("scores", "FP32", json!([-1, model.network.outputs()])),
            tensor("probabilities", "FP32", json!([-1, model.question.names().len()])),
            tensor("label", "BYTES", json!([-1])),
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
