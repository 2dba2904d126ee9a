//! Ridge regression of +-1 targets on features, from normal equations that are summed over blocks of images.

use crate::problem::{Samples, Score};
use crate::{BaselineError, Problem};
use lagrange_core::blas::gram_lower;
use lagrange_core::solver::{GramSolver, SolveError};
use lagrange_data::Question;
use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, Axis};
use std::time::Instant;

/// Images of one block: enough for fast products, few enough for their features to stay small.
pub(crate) const BLOCK: usize = 250;

/// A map from images to the features of a linear regression.
pub(crate) trait Features {
    /// Number of features d, the constant 1 for the bias included.
    fn unknowns(&self) -> usize;

    /// Features `[n, d]` of at most [`BLOCK`] images `[n, H * W * C]`, contiguous, the last one 1.
    fn rows(&mut self, images: ArrayView2<'_, f32>) -> ArrayView2<'_, f32>;
}

/// Fits one regression per ridge and scores them, in the order of `ridges`. The seconds of each hold the pass
/// over the training images, which all share, and its own solution.
pub(crate) fn fit_and_score(
    problem: &Problem,
    features: &mut impl Features,
    ridges: &[f32],
) -> Result<Vec<Score>, BaselineError> {
    check_ridges(ridges)?;
    let start = Instant::now();
    let equations = NormalEquations::sum(&problem.question, &problem.train, features);
    let shared = start.elapsed().as_secs_f64();
    let mut seconds = Vec::with_capacity(ridges.len());
    let mut solutions = Vec::with_capacity(ridges.len());
    for &ridge in ridges {
        let start = Instant::now();
        solutions.push(equations.solve(ridge)?);
        seconds.push(shared + start.elapsed().as_secs_f64());
    }
    let mut accuracies = |samples| accuracies(&problem.question, samples, features, &solutions);
    let (validation, test) = (accuracies(&problem.validation), accuracies(&problem.test));
    Ok((0..ridges.len())
        .map(|index| Score {
            test_accuracy: test[index],
            validation_accuracy: (!problem.validation.is_empty()).then(|| validation[index]),
            seconds: seconds[index],
        })
        .collect())
}

fn check_ridges(ridges: &[f32]) -> Result<(), BaselineError> {
    if ridges.is_empty() {
        return Err(BaselineError::option("ridges", "[]", "at least one"));
    }
    match ridges.iter().find(|r| !(r.is_finite() && **r > 0.0)) {
        Some(ridge) => Err(BaselineError::option(
            "ridge",
            ridge,
            "a finite number above 0",
        )),
        None => Ok(()),
    }
}

/// Gram matrix X'X `[d, d]`, of which only the lower triangle is filled, and cross moment X'Y `[d, O]`.
pub(crate) struct NormalEquations {
    gram: Array2<f32>,
    cross: Array2<f32>,
}

impl NormalEquations {
    /// Sums the equations of all `samples`.
    pub(crate) fn sum(
        question: &Question,
        samples: &Samples,
        features: &mut impl Features,
    ) -> Self {
        let d = features.unknowns();
        let mut sums = Self {
            gram: Array2::zeros((d, d)),
            cross: Array2::zeros((d, question.outputs())),
        };
        let mut block_gram = Array2::zeros((d, d));
        for (images, labels) in blocks(samples) {
            let rows = features.rows(images);
            gram_lower(rows, &mut block_gram.view_mut());
            sums.gram += &block_gram;
            let targets = Array2::from_shape_fn((labels.len(), question.outputs()), |(n, o)| {
                question.target(labels[n], o)
            });
            general_mat_mul(1.0, &rows.t(), &targets, 1.0, &mut sums.cross);
        }
        sums
    }

    /// The solution W `[d, O]` of `(X'X + ridge * mean(diag X'X) I) W = X'Y`.
    pub(crate) fn solve(&self, ridge: f32) -> Result<Array2<f32>, BaselineError> {
        // Stages are how the solver names its systems; there is only one here.
        GramSolver::factorise(self.gram.view(), ridge, 0)
            .and_then(|solver| solver.solve(&self.cross, 0))
            .map_err(|cause| match cause {
                SolveError::NotFinite { quantity, .. } => BaselineError::NotFinite { quantity },
                _ => BaselineError::Unsolvable { ridge },
            })
    }
}

/// Share of `samples` that each of `solutions` predicts correctly; not a number where there are no samples.
fn accuracies(
    question: &Question,
    samples: &Samples,
    features: &mut impl Features,
    solutions: &[Array2<f32>],
) -> Vec<f64> {
    let mut correct = vec![0usize; solutions.len()];
    for (images, labels) in blocks(samples) {
        let rows = features.rows(images);
        for (correct, solution) in correct.iter_mut().zip(solutions) {
            let outputs = rows.dot(solution);
            *correct += outputs
                .rows()
                .into_iter()
                .zip(labels)
                .filter(|(outputs, label)| question.is_correct(&outputs.to_vec(), **label))
                .count();
        }
    }
    correct
        .iter()
        .map(|&correct| correct as f64 / samples.len() as f64)
        .collect()
}

fn blocks(samples: &Samples) -> impl Iterator<Item = (ArrayView2<'_, f32>, &[u16])> {
    samples
        .images
        .axis_chunks_iter(Axis(0), BLOCK)
        .zip(samples.labels.chunks(BLOCK))
}
