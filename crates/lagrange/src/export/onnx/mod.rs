//! An ONNX file: bytes of images go in, scores and labels come out.
//!
//! The input `image` is `[batch, C, H, W]` in bytes, as pictures have them, normalisation is a part of the
//! graph. `scores` is `[batch, outputs]`, `label` the class of each image, an index into the metadata's
//! `names`.

mod graph;
mod messages;

use super::ExportedFile;
use super::layers::{Layer, layers};
use crate::Model;
use graph::Graph;
use lagrange_core::network::{Activation, PoolKind};
use messages::{Entry, ModelProto, OperatorSet};
use prost::Message as _;

/// Versions that every runtime of the last years reads.
const IR_VERSION: i64 = 8;
const OPSET: i64 = 17;

pub(super) fn files(model: &Model) -> Vec<ExportedFile> {
    let entry = |(key, value): (&str, String)| Entry {
        key: Some(key.to_owned()),
        value: Some(value),
    };
    let names = serde_json::Value::from(model.question.names().to_vec());
    let metadata = [
        ("names", names.to_string()),
        ("task", model.question.task().to_string()),
        ("weights_sha256", model.weights_sha256()),
        ("lagrange_version", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    let model = ModelProto {
        ir_version: Some(IR_VERSION),
        producer_name: Some("lagrange".to_owned()),
        producer_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        graph: Some(graph_of(model).finish()),
        opset_import: vec![OperatorSet {
            domain: Some(String::new()),
            version: Some(OPSET),
        }],
        metadata_props: metadata.map(entry).into(),
    };
    vec![ExportedFile {
        name: "model.onnx",
        bytes: model.encode_to_vec(),
    }]
}

fn graph_of(model: &Model) -> Graph {
    let mut graph = Graph::new(model.network.input());
    let figures = &model.normalisation;
    let channels = [1, figures.channels(), 1, 1];
    let full = graph.constant("full", &[], &[255.0]);
    let mean = graph.constant("mean", &channels, &figures.means());
    let deviation = graph.constant("std", &channels, &figures.standard_deviations());
    let bytes = graph.floats("image");
    let shares = graph.node("Div", &[&bytes, &full], &[]);
    let centred = graph.node("Sub", &[&shares, &mean], &[]);
    let mut x = graph.node("Div", &[&centred, &deviation], &[]);
    for (index, layer) in layers(model).iter().enumerate() {
        x = add_layer(&mut graph, index, layer, &x);
    }
    graph.scores(&x, model.network.outputs());
    graph
}

/// A layer's convolution, pooling and activation of `x`.
fn add_layer(graph: &mut Graph, index: usize, layer: &Layer<'_>, x: &str) -> String {
    let kernel = graph.constant(
        &format!("layers.{index}.weight"),
        &layer.shape(),
        &layer.kernel,
    );
    let bias = graph.constant(
        &format!("layers.{index}.bias"),
        &[layer.bias.len()],
        &layer.bias,
    );
    let stage = layer.stage;
    let size = [stage.kernel.height, stage.kernel.width];
    let z = graph.node(
        "Conv",
        &[x, &kernel, &bias],
        &[
            ("kernel_shape", &size),
            ("strides", &[stage.stride; 2]),
            ("pads", &[stage.pad; 4]),
        ],
    );
    let window = stage.link.window(stage.conv);
    let window: &[(&str, &[usize])] = &[
        ("kernel_shape", &[window.0, window.1]),
        ("strides", &[window.0, window.1]),
    ];
    let pooled = match stage.link.pool.kind {
        PoolKind::None => z,
        PoolKind::Max => graph.node("MaxPool", &[&z], window),
        PoolKind::Avg | PoolKind::Global => graph.node("AveragePool", &[&z], window),
    };
    activated(graph, stage.link.activation, pooled)
}

fn activated(graph: &mut Graph, activation: Activation, x: String) -> String {
    match activation {
        Activation::Identity => x,
        Activation::Relu => graph.node("Relu", &[&x], &[]),
        Activation::LeakyRelu => graph.leaky_relu(&x, Activation::LEAK),
        Activation::Step => {
            let zero = graph.constant("zero", &[], &[0.0]);
            let reached = graph.node("GreaterOrEqual", &[&x, &zero], &[]);
            graph.floats(&reached)
        }
        Activation::QuantisedRelu => {
            let [two, half] = [("two", 2.0), ("half", 0.5)]
                .map(|(name, value)| graph.constant(name, &[], &[value]));
            let [low, high] = [("low", 0.0), ("high", 1.5)]
                .map(|(name, value)| graph.constant(name, &[], &[value]));
            let doubled = graph.node("Mul", &[&x, &two], &[]);
            let moved = graph.node("Add", &[&doubled, &half], &[]);
            let level = graph.node("Floor", &[&moved], &[]);
            let value = graph.node("Mul", &[&level, &half], &[]);
            graph.node("Clip", &[&value, &low, &high], &[])
        }
    }
}
