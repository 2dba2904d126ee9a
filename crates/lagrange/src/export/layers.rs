//! Weights in the order of other programs.

use crate::Model;
use lagrange_core::network::Stage;

/// A layer of a model, with weights as PyTorch and ONNX lay them out. A dense layer is a convolution whose
/// kernel is its whole input.
pub(super) struct Layer<'a> {
    pub(super) stage: &'a Stage,
    /// `[C_out, C_in, rows, columns]`
    pub(super) kernel: Vec<f32>,
    /// `[C_out]`
    pub(super) bias: Vec<f32>,
}

impl Layer<'_> {
    /// Lengths of the axes of `kernel`.
    pub(super) fn shape(&self) -> [usize; 4] {
        let Stage {
            kernel,
            input,
            conv,
            ..
        } = self.stage;
        [conv.channels, input.channels, kernel.height, kernel.width]
    }
}

/// The layers of `model`, first to last.
pub(super) fn layers(model: &Model) -> Vec<Layer<'_>> {
    let stages = model.network.stages().iter().enumerate();
    stages
        .map(|(index, stage)| {
            let weights = model.weights.stage(index);
            let (inputs, places) = (stage.input.channels, stage.patch() / stage.input.channels);
            let mut kernel = Vec::with_capacity(weights.len());
            for column in weights.columns() {
                for input in 0..inputs {
                    kernel.extend((0..places).map(|place| column[place * inputs + input]));
                }
            }
            let bias = weights.row(stage.patch()).to_vec();
            Layer {
                stage,
                kernel,
                bias,
            }
        })
        .collect()
}
