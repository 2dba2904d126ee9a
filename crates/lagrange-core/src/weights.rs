//! Weights of a network, and their layout.

use crate::network::Network;
use ndarray::{Array2, ArrayView2};

/// Weights of a network: per stage a matrix W_l of shape `[d_l, C_l]`, row-major.
///
/// Row `(ky*k + kx)*C_in + c` is the kernel value at (ky, kx, c); the last row is the bias, so that Z = T(a)
/// W with a 1 after every patch of T(a). All stages lie in one contiguous buffer, first to last.
///
/// ```
/// # use lagrange_core::network::{Network, NetworkSpec, Shape};
/// # let image = Shape { height: 28, width: 28, channels: 1 };
/// # let network = Network::resolve(&NetworkSpec::default(), image, 10)?;
/// use lagrange_core::weights::Weights;
/// use ndarray::Array2;
///
/// let mut weights = Weights::zeros(&network);
/// weights.set_stage(0, &Array2::ones((26, 16)));
/// assert_eq!(weights.stage(0).sum(), 26.0 * 16.0);
/// assert_eq!(weights.as_slice().len(), network.weights());
/// # Ok::<(), lagrange_core::network::NetworkError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    values: Vec<f32>,
    shapes: Vec<(usize, usize)>,
}

impl Weights {
    /// Zero weights of `network`.
    #[must_use]
    pub fn zeros(network: &Network) -> Self {
        let shapes = network
            .stages()
            .iter()
            .map(|stage| (stage.unknowns(), stage.conv.channels))
            .collect();
        Self {
            values: vec![0.0; network.weights()],
            shapes,
        }
    }

    /// Weights from one flat buffer in the layout of [`Weights::as_slice`]; `None` if its length is wrong.
    #[must_use]
    pub fn from_flat(network: &Network, values: Vec<f32>) -> Option<Self> {
        let mut weights = Self::zeros(network);
        (values.len() == weights.values.len()).then(|| {
            weights.values = values;
            weights
        })
    }

    /// All values, stage by stage.
    #[must_use]
    pub fn as_slice(&self) -> &[f32] {
        &self.values
    }

    /// W_l, shape `[d_l, C_l]`.
    #[must_use]
    pub fn stage(&self, index: usize) -> ArrayView2<'_, f32> {
        let (start, shape) = self.place(index);
        ArrayView2::from_shape(shape, &self.values[start..start + shape.0 * shape.1])
            .unwrap_or_else(|_| unreachable!("the slice has the shape's length"))
    }

    /// Replaces W_l by `matrix`, shape `[d_l, C_l]`.
    ///
    /// # Panics
    /// If the shapes differ.
    pub fn set_stage(&mut self, index: usize, matrix: &Array2<f32>) {
        let (start, shape) = self.place(index);
        assert_eq!(matrix.dim(), shape, "weights of stage {index}");
        let values = &mut self.values[start..start + shape.0 * shape.1];
        match matrix.as_slice() {
            Some(matrix) => values.copy_from_slice(matrix),
            None => values
                .iter_mut()
                .zip(matrix)
                .for_each(|(slot, value)| *slot = *value),
        }
    }

    /// Number of stages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shapes.len()
    }

    /// Whether there is no stage.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shapes.is_empty()
    }

    fn place(&self, index: usize) -> (usize, (usize, usize)) {
        let start = self.shapes[..index].iter().map(|(d, c)| d * c).sum();
        (start, self.shapes[index])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{NetworkSpec, Shape};

    #[test]
    fn weights_round_trip_by_stage() {
        let input = Shape {
            height: 28,
            width: 28,
            channels: 1,
        };
        let network = Network::resolve(&NetworkSpec::default(), input, 1).expect("default");
        let mut weights = Weights::zeros(&network);
        let matrix = Array2::from_shape_fn((401, 32), |(i, j)| (i * 32 + j) as f32);
        weights.set_stage(1, &matrix);
        assert_eq!(weights.stage(1), matrix);
        assert!(weights.stage(0).iter().all(|&w| w == 0.0));
        let copy = Weights::from_flat(&network, weights.as_slice().to_vec()).expect("length");
        assert_eq!(copy, weights);
        assert!(Weights::from_flat(&network, vec![0.0; 3]).is_none());
    }
}
