//! The cross moment T(a)' Z, summed sample by sample.

use super::geometry::{Geometry, Staging};
use super::sparse::{self, ByChannel, Density};
use super::tiles;
use crate::network::Stage;

/// Running cross moment of one stage: the sum of T(a)' Z over samples.
///
/// Samples with few nonzero corrections are summed by channel, all others in the layout of the result;
/// [`CrossMoment::drain`] merges the two sums.
///
/// ```
/// # use lagrange_core::network::{Kernel, Link, Shape, Stage};
/// # let image = Shape { height: 3, width: 3, channels: 1 };
/// // A kernel of 2x2 on an image of 3x3.
/// let stage = Stage::conv(image, Kernel::square(2), 1, 0, 1, Link::MAX_RELU);
/// use lagrange_core::convolution::CrossMoment;
///
/// let mut cross = CrossMoment::new(&stage);
/// // The patches under the first and the last output position: [1, 2, 4, 5] and [5, 6, 8, 9].
/// cross.add(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0], &[1.0, 0.0, 0.0, 1.0]);
/// let mut sums = [0.0; 5];
/// cross.drain(&mut sums);
/// assert_eq!(sums, [6.0, 8.0, 12.0, 14.0, 2.0]);
/// ```
#[derive(Debug, Clone)]
pub struct CrossMoment {
    stage: Stage,
    geometry: Geometry,
    staging: Staging,
    nonzeros: ByChannel,
    /// `[d, C]`, and whether anything has been added.
    dense: (Vec<f32>, bool),
    /// `[C, k * width + 1]`, and whether anything has been added.
    sparse: (Vec<f32>, bool),
}

impl CrossMoment {
    /// Cross moment of `stage` over no samples.
    #[must_use]
    pub fn new(stage: &Stage) -> Self {
        let geometry = Geometry::new(stage);
        let by_channel = geometry.channels * (geometry.kernel * geometry.width() + 1);
        Self {
            stage: stage.clone(),
            staging: Staging::new(stage),
            nonzeros: ByChannel::new(&geometry),
            dense: (vec![0.0; stage.weights()], false),
            sparse: (vec![0.0; by_channel], false),
            geometry,
        }
    }

    /// Adds T(a)' Z of one sample: `a` is `[H, W, C_in]`, `z` `[H_out, W_out, C]`.
    ///
    /// # Panics
    /// If a length does not match.
    pub fn add(&mut self, a: &[f32], z: &[f32]) {
        assert_eq!(a.len(), self.stage.input.len(), "one sample");
        assert_eq!(z.len(), self.stage.conv.len(), "its outputs");
        let geometry = &self.geometry;
        match Density::of(geometry, z) {
            Density::Zero => {}
            Density::Sparse => {
                let fits = self.stage.pad == 0 && geometry.width() == geometry.run;
                let a = if fits { a } else { self.staging.copy(a) };
                self.nonzeros.collect(geometry, z);
                let (sums, touched) = &mut self.sparse;
                sparse::add_cross(geometry, a, &self.nonzeros, sums);
                *touched = true;
            }
            Density::Dense => {
                let fits = self.stage.pad == 0;
                let a = if fits { a } else { self.staging.copy(a) };
                let (sums, touched) = &mut self.dense;
                tiles::add_cross(geometry, a, z, sums);
                *touched = true;
            }
        }
    }

    /// Adds the running sum to `sums`, `[d, C]`, and resets it to zero.
    ///
    /// # Panics
    /// If the length differs.
    pub fn drain(&mut self, sums: &mut [f32]) {
        let Geometry {
            kernel,
            run,
            channels,
            ..
        } = self.geometry;
        assert_eq!(sums.len(), self.stage.weights(), "a moment per weight");
        let (dense, touched) = &mut self.dense;
        if std::mem::take(touched) {
            for (sum, value) in sums.iter_mut().zip(dense.iter_mut()) {
                *sum += std::mem::take(value);
            }
        }
        let (sparse, touched) = &mut self.sparse;
        if !std::mem::take(touched) {
            return;
        }
        let width = self.geometry.width();
        let length = kernel * width + 1;
        let places = (0..kernel).flat_map(|ky| ky * width..ky * width + run);
        let rows = sums.chunks_exact_mut(channels);
        for (row, place) in rows.zip(places.chain([length - 1])) {
            for (sum, channel) in row.iter_mut().zip(sparse.chunks_exact(length)) {
                *sum += channel[place];
            }
        }
        sparse.fill(0.0);
    }
}
