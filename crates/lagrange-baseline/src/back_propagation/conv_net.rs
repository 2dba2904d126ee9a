//! A [`Network`] as candle variables, in the trainer's layout: activations channels-last, weights `[d,
//! C_out]`.

use super::max_pool::max_pool;
use super::unfold::unfold;
use candle_core::{Device, Result, Tensor, Var};
use lagrange_core::network::Network;
use lagrange_core::weights::Weights;

/// The network and its variables.
#[derive(Debug)]
pub(super) struct ConvNet {
    network: Network,
    /// W_l, `[d_l, C_l]`, the bias last.
    variables: Vec<Var>,
}

impl ConvNet {
    /// `network` with `weights`.
    pub(super) fn new(network: &Network, weights: &Weights) -> Result<Self> {
        let variables = (0..network.len()).map(|index| {
            let matrix = weights.stage(index);
            let values: Vec<f32> = matrix.iter().copied().collect();
            Var::from_vec(values, matrix.dim(), &Device::Cpu)
        });
        Ok(Self {
            network: network.clone(),
            variables: variables.collect::<Result<_>>()?,
        })
    }

    /// The network.
    pub(super) fn network(&self) -> &Network {
        &self.network
    }

    /// All variables, W_l stage by stage.
    pub(super) fn variables(&self) -> &[Var] {
        &self.variables
    }

    /// All values, stage by stage, as [`Weights::as_slice`] has them.
    pub(super) fn values(&self) -> Result<Vec<f32>> {
        let mut values = Vec::with_capacity(self.network.weights());
        for variable in &self.variables {
            values.extend(variable.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(values)
    }

    /// Outputs `[n, O]` of `images` `[n, H, W, C]`.
    pub(super) fn forward(&self, images: &Tensor) -> Result<Tensor> {
        let n = images.dim(0)?;
        let mut a = images.clone();
        let (last, hidden) = (self.network.last(), self.network.hidden());
        for (stage, weights) in hidden.iter().zip(&self.variables) {
            let z = unfold(stage, &a)?.matmul(weights)?;
            let shape = (n, stage.conv.height, stage.conv.width, stage.conv.channels);
            a = max_pool(&z.reshape(shape)?)?.relu()?;
        }
        unfold(last, &a)?.matmul(&self.variables[hidden.len()])
    }
}
