//! A graph, node by node.

use super::messages::{
    Attribute, Dimension, FLOAT, GraphProto, INT64, Node, Tensor, TensorShape, TensorType, Type,
    UINT8, Value,
};
use lagrange_core::network::Shape;

/// A graph with the input `image`; every node has one output, called by its number.
pub(super) struct Graph(GraphProto);

impl Graph {
    /// The graph of images of shape `input`, without nodes.
    pub(super) fn new(input: Shape) -> Self {
        let lengths = [input.channels, input.height, input.width];
        Self(GraphProto {
            name: Some("lagrange".to_owned()),
            input: vec![value("image", UINT8, &lengths)],
            ..GraphProto::default()
        })
    }

    /// A constant of these lengths of axes; of equal names the first stands for all.
    pub(super) fn constant(&mut self, name: &str, shape: &[usize], values: &[f32]) -> String {
        let known = |tensor: &Tensor| tensor.name.as_deref() == Some(name);
        if !self.0.initializer.iter().any(known) {
            self.0.initializer.push(Tensor {
                dims: shape.iter().map(|&length| length as i64).collect(),
                data_type: Some(FLOAT),
                name: Some(name.to_owned()),
                raw_data: Some(
                    values
                        .iter()
                        .flat_map(|value| value.to_le_bytes())
                        .collect(),
                ),
            });
        }
        name.to_owned()
    }

    /// The output of a node with these inputs, and lists of whole numbers as attributes.
    pub(super) fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        lists: &[(&str, &[usize])],
    ) -> String {
        let lists = lists.iter().map(|(name, list)| Attribute {
            name: Some((*name).to_owned()),
            ints: list.iter().map(|&number| number as i64).collect(),
            kind: Some(7),
            ..Attribute::default()
        });
        self.next(operator, inputs, lists.collect())
    }

    /// Adds a node, and calls its output by the node's number.
    fn next(&mut self, operator: &str, inputs: &[&str], attributes: Vec<Attribute>) -> String {
        let output = format!("x{}", self.0.node.len());
        self.add(operator, inputs, &output, attributes);
        output
    }

    fn add(&mut self, operator: &str, inputs: &[&str], output: &str, attribute: Vec<Attribute>) {
        self.0.node.push(Node {
            input: inputs.iter().map(|&name| name.to_owned()).collect(),
            output: vec![output.to_owned()],
            op_type: Some(operator.to_owned()),
            attribute,
        });
    }

    /// `x` as numbers of f32.
    pub(super) fn floats(&mut self, x: &str) -> String {
        self.next("Cast", &[x], vec![number("to", FLOAT)])
    }

    /// A ReLU with a slope below zero.
    pub(super) fn leaky_relu(&mut self, x: &str, slope: f32) -> String {
        let slope = Attribute {
            name: Some("alpha".to_owned()),
            f: Some(slope),
            kind: Some(1),
            ..Attribute::default()
        };
        self.next("LeakyRelu", &[x], vec![slope])
    }

    /// Makes `x`, `[batch, outputs, 1, 1]`, the outputs of the graph: `scores`, and from them `label`.
    pub(super) fn scores(&mut self, x: &str, outputs: usize) {
        self.add("Flatten", &[x], "scores", vec![number("axis", 1)]);
        let along = |axis: i32| vec![number("axis", axis), number("keepdims", 0)];
        if outputs > 1 {
            self.add("ArgMax", &["scores"], "label", along(1));
        } else {
            // Of two classes the second where the output is above zero, and of equal ones the first.
            let zero = self.constant("zero", &[], &[0.0]);
            let none = self.node("Mul", &["scores", &zero], &[]);
            self.add(
                "Concat",
                &[&none, "scores"],
                "both",
                vec![number("axis", 1)],
            );
            self.add("ArgMax", &["both"], "label", along(1));
        }
        self.0.output = vec![
            value("scores", FLOAT, &[outputs]),
            value("label", INT64, &[]),
        ];
    }

    pub(super) fn finish(self) -> GraphProto {
        self.0
    }
}

fn number(name: &str, value: i32) -> Attribute {
    Attribute {
        name: Some(name.to_owned()),
        i: Some(value.into()),
        kind: Some(2),
        ..Attribute::default()
    }
}

/// A tensor of any number of samples, whose other axes have these lengths.
fn value(name: &str, element: i32, lengths: &[usize]) -> Value {
    let batch = Dimension {
        dim_param: Some("batch".to_owned()),
        dim_value: None,
    };
    let lengths = lengths.iter().map(|&length| Dimension {
        dim_value: Some(length as i64),
        dim_param: None,
    });
    Value {
        name: Some(name.to_owned()),
        r#type: Some(Type {
            tensor_type: Some(TensorType {
                elem_type: Some(element),
                shape: Some(TensorShape {
                    dim: std::iter::once(batch).chain(lengths).collect(),
                }),
            }),
        }),
    }
}
