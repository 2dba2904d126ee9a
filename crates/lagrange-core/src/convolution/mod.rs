//! The three products of a convolution, computed without building its Toeplitz matrix.
//!
//! With channels-last storage, row p of T(a) is k runs of `k*C_in` neighbouring values of `a` and a 1 for the
//! bias, and the runs of the next row start C_in values later. So Z = T(a) W, its adjoint and the cross
//! moment T(a)' Z are matrix products with an operand that overlaps itself in memory: register tiles read `a`
//! directly, where copied patches would take `k*k` times the memory.

mod cross;
mod geometry;
mod mask;
mod sparse;
mod tiles;
mod winograd;

pub use self::cross::CrossMoment;
pub(crate) use self::tiles::{add_scaled, sum_of_squares};

use self::geometry::{Geometry, Staging};
use self::sparse::{ByPosition, Density};
use self::winograd::Winograd;
use crate::network::Stage;
use ndarray::ArrayView2;

/// Method of Z = T(a) W, with the weights in its layout.
#[derive(Debug, Clone)]
enum Method {
    /// Register tiles over the input; weights in panels of output channels, the bias last.
    Tiles(Vec<f32>),
    Winograd(Box<Winograd>),
}

/// Convolution of one stage, with its packed weights and a buffer for padding.
///
/// ```
/// # use lagrange_core::network::{Kernel, Link, Shape, Stage};
/// # let image = Shape { height: 3, width: 3, channels: 1 };
/// // A kernel of 2x2 on an image of 3x3.
/// let stage = Stage::conv(image, Kernel::square(2), 1, 0, 1, Link::MAX_RELU);
/// use lagrange_core::convolution::Convolution;
///
/// let mut convolution = Convolution::new(&stage);
/// // A kernel of ones, and a bias of 0.5.
/// convolution.load(ndarray::array![[1.0], [1.0], [1.0], [1.0], [0.5]].view());
/// let mut z = [0.0; 4];
/// convolution.apply(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0], &mut z);
/// assert_eq!(z, [12.5, 16.5, 24.5, 28.5]);
/// ```
#[derive(Debug, Clone)]
pub struct Convolution {
    stage: Stage,
    geometry: Geometry,
    method: Method,
    /// W transposed, `[k, C, width]`.
    transposed: Vec<f32>,
    staging: Staging,
    nonzeros: ByPosition,
}

impl Convolution {
    /// Convolution of `stage` with zero weights.
    #[must_use]
    pub fn new(stage: &Stage) -> Self {
        let geometry = Geometry::new(stage);
        Self {
            stage: stage.clone(),
            method: match Winograd::new(stage) {
                Some(winograd) => Method::Winograd(Box::new(winograd)),
                None => Method::Tiles(vec![0.0; stage.weights()]),
            },
            transposed: vec![0.0; geometry.kernel * geometry.channels * geometry.width()],
            staging: Staging::new(stage),
            nonzeros: ByPosition::default(),
            geometry,
        }
    }

    /// The stage of this convolution.
    #[must_use]
    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    /// Loads W, `[d, C]`, for the following products.
    ///
    /// # Panics
    /// If the shape differs.
    pub fn load(&mut self, weights: ArrayView2<'_, f32>) {
        let Geometry { run, channels, .. } = self.geometry;
        let d = self.stage.unknowns();
        assert_eq!(weights.dim(), (d, channels), "weights of this stage");
        match &mut self.method {
            Method::Winograd(winograd) => winograd.load(weights),
            Method::Tiles(packed) => {
                for (first, width) in tiles::panels(channels) {
                    let panel = packed[d * first..][..d * width].chunks_exact_mut(width);
                    for (k, row) in panel.enumerate() {
                        for (j, value) in row.iter_mut().enumerate() {
                            *value = weights[[k, first + j]];
                        }
                    }
                }
            }
        }
        let rows = self.transposed.chunks_exact_mut(self.geometry.width());
        for (row, transposed) in rows.enumerate() {
            let (ky, channel) = (row / channels, row % channels);
            for (k, value) in transposed[..run].iter_mut().enumerate() {
                *value = weights[[ky * run + k, channel]];
            }
        }
    }

    /// Z = T(a) W for `n` samples: `a` is `[n, H, W, C_in]`, `z` becomes `[n, H_out, W_out, C]`.
    ///
    /// # Panics
    /// If a length does not match.
    pub fn apply(&mut self, a: &[f32], z: &mut [f32]) {
        self.map(a, z, true);
    }

    /// Z = T(a) W as if the bias were zero; see [`Convolution::apply`].
    ///
    /// # Panics
    /// If a length does not match.
    pub fn apply_without_bias(&mut self, a: &[f32], z: &mut [f32]) {
        self.map(a, z, false);
    }

    fn map(&mut self, a: &[f32], z: &mut [f32], bias: bool) {
        self.check(a, z);
        let dense = self.dense(a);
        let samples = a.chunks_exact(self.stage.input.len());
        let samples = samples.zip(z.chunks_exact_mut(self.stage.conv.len()));
        match (&mut self.method, dense) {
            (Method::Tiles(packed), Some(geometry)) => {
                tiles::forward(&geometry, packed, bias, a, z);
            }
            (Method::Tiles(packed), None) => {
                for (a, z) in samples {
                    let a = if self.stage.pad == 0 {
                        a
                    } else {
                        self.staging.copy(a)
                    };
                    tiles::forward(&self.geometry, packed, bias, a, z);
                }
            }
            (Method::Winograd(winograd), _) => {
                for (a, z) in samples {
                    winograd.apply(&self.stage, bias, a, z);
                }
            }
        }
    }

    /// The adjoint convolution W'z of `n` samples: `z` is `[n, H_out, W_out, C]` (the bias is left out), `a`
    /// becomes `[n, H, W, C_in]`.
    ///
    /// # Panics
    /// If a length does not match.
    pub fn adjoint(&mut self, z: &[f32], a: &mut [f32]) {
        self.check(a, z);
        let Self {
            stage,
            geometry,
            transposed,
            staging,
            nonzeros,
            ..
        } = self;
        let samples = a.chunks_exact_mut(stage.input.len());
        for (a, z) in samples.zip(z.chunks_exact(stage.conv.len())) {
            let density = Density::of(geometry, z);
            let fits = density != Density::Sparse || geometry.width() == geometry.run;
            if density == Density::Sparse {
                nonzeros.collect(geometry, z);
            }
            let add = |a: &mut [f32]| match density {
                Density::Zero => {}
                Density::Sparse => sparse::add_adjoint(geometry, transposed, nonzeros, a),
                Density::Dense => tiles::add_adjoint(geometry, transposed, z, a),
            };
            if stage.pad == 0 && fits {
                a.fill(0.0);
                add(a);
            } else {
                add(staging.zeros());
                staging.extract(a);
            }
        }
    }

    fn check(&self, a: &[f32], z: &[f32]) {
        let samples = a.len() / self.stage.input.len();
        assert_eq!(a.len(), samples * self.stage.input.len(), "whole samples");
        assert_eq!(z.len(), samples * self.stage.conv.len(), "as many outputs");
    }

    /// Geometry of all samples at once, for a stage with one output position: its patch is the whole input,
    /// so the samples of `a` form one line of patches.
    fn dense(&self, a: &[f32]) -> Option<Geometry> {
        let patch = self.stage.patch();
        self.stage.is_dense().then_some(Geometry {
            kernel: 1,
            run: patch,
            line: a.len(),
            step: patch,
            down: 0,
            rows: 1,
            columns: a.len() / patch,
            channels: self.geometry.channels,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::equations::matrix;
    use crate::toeplitz::tests::{any_stage, draw, stage_of};
    use crate::toeplitz::toeplitz_rows;
    use ndarray::Array2;
    use proptest::prelude::*;

    /// A stage, its weights, and inputs and outputs of three samples.
    #[derive(Debug)]
    struct Problem {
        stage: Stage,
        weights: Array2<f32>,
        a: Vec<f32>,
        z: Vec<f32>,
    }

    const SAMPLES: usize = 3;

    impl Problem {
        fn convolution(&self) -> Convolution {
            let mut convolution = Convolution::new(&self.stage);
            convolution.load(self.weights.view());
            convolution
        }

        /// T(a), `[n * rows, d]`, in f64.
        fn rows(&self) -> Array2<f64> {
            let count = SAMPLES * self.stage.rows();
            let mut rows = vec![f32::NAN; count * self.stage.unknowns()];
            toeplitz_rows(&self.stage, &self.a, &mut rows);
            matrix(&rows, count, self.stage.unknowns()).mapv(f64::from)
        }

        fn outputs(&self) -> Array2<f64> {
            let count = SAMPLES * self.stage.rows();
            matrix(&self.z, count, self.stage.conv.channels).mapv(f64::from)
        }
    }

    fn problems() -> impl Strategy<Value = Problem> {
        let sides = (1usize..7, any::<bool>(), 0usize..11);
        // Multiples of 8 channels use separate code paths.
        let c_in = prop_oneof![1usize..20, Just(8), Just(16)];
        let c_out = prop_oneof![1usize..36, Just(8), Just(32)];
        let square = (sides, c_in, c_out).prop_map(|((kernel, same, extra), c_in, c_out)| {
            stage_of(kernel, same, extra, c_in, c_out)
        });
        let kept = prop::array::uniform3(prop_oneof![Just(0.0f32), 0.0f32..0.3, Just(1.0)]);
        let stages = prop_oneof![square, any_stage()];
        (stages, any::<u64>(), kept).prop_map(|(stage, seed, kept)| Problem {
            weights: matrix(
                &draw(seed, stage.weights()),
                stage.unknowns(),
                stage.conv.channels,
            )
            .to_owned(),
            a: draw(seed ^ 1, SAMPLES * stage.input.len()),
            z: outputs(&stage, seed ^ 2, kept),
            stage,
        })
    }

    /// Random outputs, of which each sample keeps its own share of nonzeros.
    fn outputs(stage: &Stage, seed: u64, kept: [f32; SAMPLES]) -> Vec<f32> {
        let lots = draw(seed ^ 1, SAMPLES * stage.conv.len());
        let mut z = draw(seed, lots.len());
        let samples = z.chunks_exact_mut(stage.conv.len());
        for ((z, lots), kept) in samples.zip(lots.chunks_exact(stage.conv.len())).zip(kept) {
            for (z, lot) in z.iter_mut().zip(lots) {
                *z = if lot.abs() < kept { *z } else { 0.0 };
            }
        }
        z
    }

    fn close(ours: &[f32], expected: impl IntoIterator<Item = f64>) -> Result<(), TestCaseError> {
        let expected: Vec<f64> = expected.into_iter().collect();
        prop_assert_eq!(ours.len(), expected.len());
        for (ours, expected) in ours.iter().zip(expected) {
            let gap = (f64::from(*ours) - expected).abs();
            prop_assert!(gap < 1e-4 * expected.abs().max(1.0), "{ours} {expected}");
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn it_is_the_product_of_rows_and_weights(problem in problems()) {
            let (rows, mut weights) = (problem.rows(), problem.weights.mapv(f64::from));
            // The bound follows the magnitude of the terms, not of the sum: minimal filtering spreads the
            // rounding error of a tile's largest sums.
            let sizes = rows.mapv(f64::abs).dot(&weights.mapv(f64::abs));
            let bound = 4e-6 * sizes.iter().fold(0.0, |max: f64, size| max.max(*size));
            let mut z = vec![f32::NAN; problem.z.len()];
            problem.convolution().apply(&problem.a, &mut z);
            for (ours, expected) in z.iter().zip(rows.dot(&weights)) {
                prop_assert!((f64::from(*ours) - expected).abs() < bound, "{ours} {expected}");
            }
            problem.convolution().apply_without_bias(&problem.a, &mut z);
            weights.row_mut(problem.stage.patch()).fill(0.0);
            for (ours, expected) in z.iter().zip(rows.dot(&weights)) {
                prop_assert!((f64::from(*ours) - expected).abs() < bound, "{ours} {expected}");
            }
        }

        #[test]
        fn the_cross_moment_is_the_product_of_rows_and_outputs(problem in problems()) {
            let mut cross = CrossMoment::new(&problem.stage);
            // The second sum must not contain the first.
            for _ in 0..2 {
                let mut sums = vec![0.5; problem.stage.weights()];
                let samples = problem.a.chunks_exact(problem.stage.input.len());
                for (a, z) in samples.zip(problem.z.chunks_exact(problem.stage.conv.len())) {
                    cross.add(a, z);
                }
                cross.drain(&mut sums);
                close(&sums, problem.rows().t().dot(&problem.outputs()) + 0.5)?;
            }
        }

        #[test]
        fn the_adjoint_satisfies_its_defining_identity(problem in problems()) {
            // Padding of an earlier call must not change the result.
            let mut convolution = problem.convolution();
            let mut ka = vec![f32::NAN; problem.z.len()];
            convolution.apply_without_bias(&problem.a, &mut ka);
            let mut back = vec![f32::NAN; problem.a.len()];
            convolution.adjoint(&problem.z, &mut back);
            convolution.adjoint(&problem.z, &mut back);
            let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
            let (left, right) = (dot(&ka, &problem.z), dot(&problem.a, &back));
            prop_assert!((left - right).abs() < 1e-3 * left.abs().max(1.0), "{left} {right}");
        }

        #[test]
        fn samples_do_not_depend_on_their_company(problem in problems()) {
            let (stage, mut convolution) = (&problem.stage, problem.convolution());
            let mut together = vec![f32::NAN; problem.z.len()];
            convolution.apply(&problem.a, &mut together);
            let samples = problem.a.chunks_exact(stage.input.len());
            for (a, expected) in samples.zip(together.chunks_exact(stage.conv.len())) {
                let mut alone = vec![f32::NAN; stage.conv.len()];
                convolution.apply(a, &mut alone);
                prop_assert_eq!(&alone[..], expected);
            }
        }
    }

    #[test]
    fn minimal_filtering_is_used_where_it_pays() {
        let ways = |kernel, same, extra, c_in, c_out| {
            Winograd::new(&stage_of(kernel, same, extra, c_in, c_out)).is_some()
        };
        assert!(ways(5, false, 7, 16, 32) && ways(3, true, 11, 8, 8));
        assert!(!ways(5, false, 23, 1, 16) && !ways(4, false, 0, 32, 16));
        assert!(!ways(5, false, 7, 12, 32) && !ways(5, false, 1, 16, 32));
    }

    #[test]
    fn squares_are_summed() {
        let values: Vec<f32> = (0..37).map(|value| value as f32 * 0.5).collect();
        let expected: f32 = values.iter().map(|value| value * value).sum();
        assert!((sum_of_squares(&values) - expected).abs() < 1e-3);
        assert_eq!(sum_of_squares(&[]), 0.0);
    }
}
