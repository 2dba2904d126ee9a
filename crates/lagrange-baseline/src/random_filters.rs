//! A network whose hidden kernels are not fitted: only its last stage is, in closed form. What the kernels'
//! training buys is the distance to this.

use crate::closed_form::{BLOCK, Features, fit_and_score};
use crate::{BaselineError, Problem, Score};
use lagrange_core::equations::matrix;
use lagrange_core::forward::Forward;
use lagrange_core::network::Network;
use lagrange_core::start;
use lagrange_core::weights::Weights;
use ndarray::ArrayView2;

/// [`ridge_on_features`] behind He's random kernels, those that a training run with `seed` and He's start
/// begins with.
///
/// # Errors
/// As [`ridge_on_features`].
pub fn random_filters(
    problem: &Problem,
    network: &Network,
    seed: u64,
    ridges: &[f32],
) -> Result<Vec<Score>, BaselineError> {
    ridge_on_features(problem, network, &start::he(network, seed), ridges)
}

/// Passes all images through the hidden stages of `weights` and fits the last stage to the +-1 targets by
/// ridge regression, once per candidate of `ridges`; scores come in their order. The last stage of `weights`
/// takes no part.
///
/// A ridge is relative to the mean of the Gram matrix's diagonal, and holds for the bias too: the convention
/// of the trainer.
///
/// # Errors
/// [`BaselineError::Mismatch`] if the network is for other images or another task,
/// [`BaselineError::OtherWeights`] if the weights are of another network, [`BaselineError::Option`] without a
/// ridge, or with one that is not a finite number above 0; [`BaselineError::Unsolvable`] if a ridge is too
/// small for f32, [`BaselineError::NotFinite`] if activations are not finite.
pub fn ridge_on_features(
    problem: &Problem,
    network: &Network,
    weights: &Weights,
    ridges: &[f32],
) -> Result<Vec<Score>, BaselineError> {
    problem.check(network)?;
    let fits = |index: usize| {
        let stage = &network.stages()[index];
        weights.stage(index).dim() == (stage.unknowns(), stage.conv.channels)
    };
    if weights.len() != network.len() || !(0..network.len()).all(fits) {
        return Err(BaselineError::OtherWeights {
            network: network.describe(),
        });
    }
    let mut forward = Forward::new(network, BLOCK);
    forward.load(weights);
    let mut features = LastActivation {
        network,
        forward,
        rows: vec![0.0; BLOCK * network.last().rows() * network.last().unknowns()],
    };
    fit_and_score(problem, &mut features, ridges)
}

/// The last hidden activation, and a 1: the last stage's Toeplitz rows, one per image.
struct LastActivation<'a> {
    network: &'a Network,
    forward: Forward,
    rows: Vec<f32>,
}

impl Features for LastActivation<'_> {
    fn unknowns(&self) -> usize {
        self.network.last().unknowns()
    }

    fn rows(&mut self, images: ArrayView2<'_, f32>) -> ArrayView2<'_, f32> {
        let hidden = self.network.hidden().len();
        let images = images
            .to_slice()
            .unwrap_or_else(|| unreachable!("blocks of whole rows are contiguous"));
        self.forward.run_through(images, hidden);
        let (count, d) = (
            self.forward.samples() * self.network.last().rows(),
            self.unknowns(),
        );
        let rows = &mut self.rows[..count * d];
        self.forward.write_rows(hidden, rows);
        matrix(rows, count, d)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::digits;
    use crate::{Samples, vanilla_network};
    use lagrange_core::network::Shape;
    use lagrange_data::Task;
    use ndarray::Array2;

    fn problem(task: Task) -> Problem {
        let samples = |n: usize| Samples {
            images: Array2::from_shape_fn((n, 64), |(i, j)| ((i + 1) * j % 7) as f32 - 3.0),
            labels: (0..n).map(|i| (i % 10) as u16).collect(),
        };
        Problem {
            question: digits(task),
            shape: Shape {
                height: 8,
                width: 8,
                channels: 1,
            },
            train: samples(30),
            validation: samples(10),
            test: samples(10),
        }
    }

    #[test]
    fn what_does_not_belong_together_is_a_typed_error() {
        let [odd, digits] = [Task::OddEven, Task::Digits].map(problem);
        let [network, other] =
            [&odd, &digits].map(|problem| problem.network(&vanilla_network()).expect("fits"));
        let weights = start::he(&network, 0);
        let fit = |network, weights| ridge_on_features(&odd, network, weights, &[0.1]);
        assert!(fit(&network, &weights).is_ok());
        assert!(matches!(
            fit(&other, &weights),
            Err(BaselineError::Mismatch { outputs: 1, .. })
        ));
        assert!(matches!(
            fit(&network, &start::he(&other, 0)),
            Err(BaselineError::OtherWeights { .. })
        ));
    }

    #[test]
    fn weights_that_are_not_finite_are_a_typed_error() {
        let problem = problem(Task::Digits);
        let network = problem.network(&vanilla_network()).expect("fits");
        let mut values = start::he(&network, 0).as_slice().to_vec();
        values[0] = f32::INFINITY;
        let weights = Weights::from_flat(&network, values).expect("length");
        assert!(matches!(
            ridge_on_features(&problem, &network, &weights, &[0.1]),
            Err(BaselineError::NotFinite { .. })
        ));
    }
}
