//! Ridge regression on pixels: what a linear map of the input can do.

use crate::closed_form::{BLOCK, Features, fit_and_score};
use crate::{BaselineError, Problem, Score};
use ndarray::{Array2, ArrayView2, s};

/// Regresses the +-1 targets on the normalised pixels and a bias, in closed form, once per candidate of
/// `ridges`; scores come in their order.
///
/// A ridge is relative to the mean of the Gram matrix's diagonal, and holds for the bias too: the convention
/// of the trainer.
///
/// # Errors
/// [`BaselineError::Option`] without a ridge, or with one that is not a finite number above 0;
/// [`BaselineError::Unsolvable`] if a ridge is too small for f32.
pub fn ridge_on_pixels(problem: &Problem, ridges: &[f32]) -> Result<Vec<Score>, BaselineError> {
    fit_and_score(problem, &mut Pixels::new(problem), ridges)
}

/// The pixels of an image, and a 1.
struct Pixels {
    rows: Array2<f32>,
}

impl Pixels {
    fn new(problem: &Problem) -> Self {
        Self {
            rows: Array2::ones((BLOCK, problem.train.images.ncols() + 1)),
        }
    }
}

impl Features for Pixels {
    fn unknowns(&self) -> usize {
        self.rows.ncols()
    }

    fn rows(&mut self, images: ArrayView2<'_, f32>) -> ArrayView2<'_, f32> {
        let (n, pixels) = images.dim();
        self.rows.slice_mut(s![..n, ..pixels]).assign(&images);
        self.rows.slice(s![..n, ..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Samples;
    use crate::closed_form::NormalEquations;
    use crate::problem::digits;
    use lagrange_core::network::Shape;
    use lagrange_core::random::{Purpose, stream};
    use lagrange_data::Task;
    use rand::RngExt as _;

    fn problem(task: Task) -> Problem {
        let mut random = stream(5, Purpose::Rows, 0, 0);
        let mut samples = |n| Samples {
            images: Array2::from_shape_fn((n, 4), |_| random.random_range(-1.0..1.0)),
            labels: (0..n).map(|i| (i * 7 % 10) as u16).collect(),
        };
        Problem {
            question: digits(task),
            shape: Shape {
                height: 2,
                width: 2,
                channels: 1,
            },
            // More than a block, and not a multiple of one.
            train: samples(BLOCK + 37),
            validation: samples(0),
            test: samples(20),
        }
    }

    /// `(X'X + ridge * mean(diag X'X) I)^-1 X'Y` by sums and elimination in f64.
    fn brute_force(problem: &Problem, ridge: f64) -> Vec<Vec<f64>> {
        let Samples { images, labels } = &problem.train;
        let row = |n: usize| -> Vec<f64> {
            let pixels = images.row(n).into_iter().map(|&x| f64::from(x));
            pixels.chain([1.0]).collect()
        };
        let outputs = problem.question.outputs();
        let d = images.ncols() + 1;
        let mut system = vec![vec![0.0; d + outputs]; d];
        for (n, &label) in labels.iter().enumerate() {
            let x = row(n);
            for i in 0..d {
                (0..d).for_each(|j| system[i][j] += x[i] * x[j]);
                (0..outputs).for_each(|o| {
                    system[i][d + o] += x[i] * f64::from(problem.question.target(label, o));
                });
            }
        }
        let mean = (0..d).map(|i| system[i][i]).sum::<f64>() / d as f64;
        (0..d).for_each(|i| system[i][i] += ridge * mean);
        for k in 0..d {
            for i in (0..d).filter(|&i| i != k) {
                let factor = system[i][k] / system[k][k];
                (0..d + outputs).for_each(|j| system[i][j] -= factor * system[k][j]);
            }
        }
        (0..d)
            .map(|i| {
                (0..outputs)
                    .map(|o| system[i][d + o] / system[i][i])
                    .collect()
            })
            .collect()
    }

    #[test]
    fn it_solves_the_normal_equations() {
        for task in [Task::OddEven, Task::Digits] {
            let problem = problem(task);
            let expected = brute_force(&problem, 0.01);
            let mut pixels = Pixels::new(&problem);
            let solution = NormalEquations::sum(&problem.question, &problem.train, &mut pixels)
                .solve(0.01)
                .expect("solved");
            for ((i, o), value) in solution.indexed_iter() {
                assert!((f64::from(*value) - expected[i][o]).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn the_score_is_the_share_of_correct_predictions() {
        let problem = problem(Task::OddEven);
        let weights = brute_force(&problem, 0.01);
        let correct = (0..problem.test.len())
            .filter(|&n| {
                let image = problem.test.images.row(n);
                let output: f64 = weights[4][0]
                    + (0..4)
                        .map(|i| f64::from(image[i]) * weights[i][0])
                        .sum::<f64>();
                problem
                    .question
                    .is_correct(&[output as f32], problem.test.labels[n])
            })
            .count();
        let scores = ridge_on_pixels(&problem, &[0.01, 1.0]).expect("solved");
        assert_eq!(scores.len(), 2);
        assert_eq!(scores[0].test_accuracy, correct as f64 / 20.0);
        assert_eq!(scores[0].validation_accuracy, None);
    }

    #[test]
    fn ridges_are_positive_numbers() {
        let problem = problem(Task::OddEven);
        for ridges in [&[][..], &[0.0], &[-1.0], &[0.1, f32::NAN], &[f32::INFINITY]] {
            let error = ridge_on_pixels(&problem, ridges).expect_err("refused");
            assert!(matches!(error, BaselineError::Option { .. }), "{ridges:?}");
        }
    }
}
