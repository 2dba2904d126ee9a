//! Equations of the weight updates, as flat buffers that are summed over shards.
//!
//! A stage's equations `[T(a) | z - m]` enter the solvers through the cross moment S = T'(z - m), `[d, C]`,
//! and the Gram matrix G = T'T, `[d, d]`, of which only the lower triangle travels. All stages lie in one
//! flat buffer, so that one addition sums everything and one payload carries it.

use crate::network::Network;
use ndarray::{Array2, ArrayView2, ArrayViewMut2};
use std::ops::Range;

#[derive(Debug, Clone)]
struct Place {
    unknowns: usize,
    outputs: usize,
    cross: Range<usize>,
    triangle: Range<usize>,
}

/// Layout of a flat buffer of sums: first the cross moments of all stages, then, in steps that refresh them,
/// the Gram triangles of all stages.
///
/// ```
/// # use lagrange_core::network::{Network, NetworkSpec, Shape};
/// # let image = Shape { height: 28, width: 28, channels: 1 };
/// # let network = Network::resolve(&NetworkSpec::default(), image, 10)?;
/// use lagrange_core::equations::EquationLayout;
///
/// let layout = EquationLayout::new(&network, true);
/// let triangles = [26, 401, 513].map(|d| d * (d + 1) / 2);
/// assert_eq!(layout.len(), network.weights() + triangles.iter().sum::<usize>());
/// let sums = vec![0.0; layout.len()];
/// assert_eq!(layout.cross(1, &sums).dim(), (401, 32));
/// assert_eq!(layout.triangle(1, &sums).len(), triangles[1]);
/// # Ok::<(), lagrange_core::network::NetworkError>(())
/// ```
#[derive(Debug, Clone)]
pub struct EquationLayout {
    places: Vec<Place>,
    len: usize,
    gram: bool,
}

/// Number of values of the lower triangle of a `[d, d]` matrix.
#[must_use]
pub(crate) fn triangle_len(d: usize) -> usize {
    d * (d + 1) / 2
}

impl EquationLayout {
    /// The layout for `network`, with Gram triangles if `gram`.
    #[must_use]
    pub fn new(network: &Network, gram: bool) -> Self {
        Self::of_stages(network, 0..network.len(), gram)
    }

    /// The layout of the sums of some stages only; the others have none.
    #[must_use]
    pub(crate) fn of_stages(network: &Network, stages: Range<usize>, gram: bool) -> Self {
        let mut end = 0;
        let mut take = |length: usize| {
            end += length;
            end - length..end
        };
        let mut places: Vec<Place> = network
            .stages()
            .iter()
            .enumerate()
            .map(|(index, stage)| Place {
                unknowns: stage.unknowns(),
                outputs: stage.conv.channels,
                cross: take(if stages.contains(&index) {
                    stage.weights()
                } else {
                    0
                }),
                triangle: 0..0,
            })
            .collect();
        if gram {
            for place in &mut places[stages] {
                place.triangle = take(triangle_len(place.unknowns));
            }
        }
        Self {
            places,
            len: end,
            gram,
        }
    }

    /// Length of the flat buffer.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Never true: a network has weights.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether Gram triangles are part of the layout.
    #[must_use]
    pub(crate) fn has_gram(&self) -> bool {
        self.gram
    }

    /// The cross moment S of `stage`, `[d, C]`.
    #[must_use]
    pub fn cross<'a>(&self, stage: usize, sums: &'a [f32]) -> ArrayView2<'a, f32> {
        let place = &self.places[stage];
        matrix(&sums[place.cross.clone()], place.unknowns, place.outputs)
    }

    /// The cross moment S of `stage`, `[d, C]`, to write.
    pub(crate) fn cross_mut<'a>(
        &self,
        stage: usize,
        sums: &'a mut [f32],
    ) -> ArrayViewMut2<'a, f32> {
        let place = &self.places[stage];
        let cross = self.cross_slice_mut(stage, sums);
        matrix_mut(cross, place.unknowns, place.outputs)
    }

    /// The cross moment S of `stage`, row by row.
    pub(crate) fn cross_slice_mut<'a>(&self, stage: usize, sums: &'a mut [f32]) -> &'a mut [f32] {
        &mut sums[self.places[stage].cross.clone()]
    }

    /// The cross moments of all stages, one after the other.
    pub(crate) fn crosses_mut<'a>(&self, sums: &'a mut [f32]) -> &'a mut [f32] {
        let end = self.places.last().map_or(0, |place| place.cross.end);
        &mut sums[..end]
    }

    /// The packed lower triangle of G of `stage`, row by row; empty if the layout has none.
    #[must_use]
    pub fn triangle<'a>(&self, stage: usize, sums: &'a [f32]) -> &'a [f32] {
        &sums[self.places[stage].triangle.clone()]
    }

    /// The packed lower triangle of G of `stage`, to write.
    pub(crate) fn triangle_mut<'a>(&self, stage: usize, sums: &'a mut [f32]) -> &'a mut [f32] {
        &mut sums[self.places[stage].triangle.clone()]
    }
}

/// Packs the lower triangle of `gram` row by row.
///
/// # Panics
/// If `packed` has another length than the triangle.
pub(crate) fn pack_triangle(gram: ArrayView2<'_, f32>, packed: &mut [f32]) {
    assert_eq!(packed.len(), triangle_len(gram.nrows()), "packed triangle");
    let mut rest = packed;
    for (i, row) in gram.rows().into_iter().enumerate() {
        let (line, tail) = rest.split_at_mut(i + 1);
        match row.as_slice() {
            Some(row) => line.copy_from_slice(&row[..=i]),
            None => line.iter_mut().zip(row).for_each(|(to, from)| *to = *from),
        }
        rest = tail;
    }
}

/// The lower triangle of `gram`, `[d, d]`, becomes `kept` times itself plus `scale` times the packed one; the
/// values above it stay.
///
/// # Panics
/// If `packed` is not the triangle of a `[d, d]` matrix.
pub(crate) fn average_triangle(packed: &[f32], kept: f32, scale: f32, gram: &mut Array2<f32>) {
    assert_eq!(packed.len(), triangle_len(gram.nrows()), "packed triangle");
    let mut rest = packed;
    for (i, mut row) in gram.rows_mut().into_iter().enumerate() {
        let (line, tail) = rest.split_at(i + 1);
        for (value, packed) in row.iter_mut().zip(line) {
            *value = kept * *value + scale * packed;
        }
        rest = tail;
    }
}

/// The full symmetric matrix of a packed lower triangle, every value times `scale`.
///
/// # Panics
/// If `packed` is not the triangle of a `[d, d]` matrix.
#[must_use]
pub(crate) fn unpack_triangle(packed: &[f32], d: usize, scale: f32) -> Array2<f32> {
    assert_eq!(packed.len(), triangle_len(d), "packed triangle");
    let mut full = Array2::zeros((d, d));
    let mut rest = packed;
    for i in 0..d {
        let (line, tail) = rest.split_at(i + 1);
        for (j, value) in line.iter().enumerate() {
            full[[i, j]] = value * scale;
            full[[j, i]] = value * scale;
        }
        rest = tail;
    }
    full
}

/// `[rows, columns]` view of a buffer of exactly that size.
///
/// # Panics
/// If the sizes differ.
#[must_use]
pub fn matrix(values: &[f32], rows: usize, columns: usize) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape((rows, columns), values)
        .unwrap_or_else(|_| panic!("a buffer of {rows} x {columns} values"))
}

/// Mutable `[rows, columns]` view of a buffer of exactly that size.
///
/// # Panics
/// If the sizes differ.
pub(crate) fn matrix_mut(
    values: &mut [f32],
    rows: usize,
    columns: usize,
) -> ArrayViewMut2<'_, f32> {
    ArrayViewMut2::from_shape((rows, columns), values)
        .unwrap_or_else(|_| panic!("a buffer of {rows} x {columns} values"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{NetworkSpec, Shape};

    #[test]
    fn a_triangle_survives_packing() {
        let d = 5;
        let half = Array2::from_shape_fn((d, d), |(i, j)| (i * 10 + j) as f32);
        let mut packed = vec![0.0; triangle_len(d)];
        pack_triangle(half.view(), &mut packed);
        let full = unpack_triangle(&packed, d, 2.0);
        for ((i, j), value) in full.indexed_iter() {
            assert_eq!(*value, 2.0 * half[[i.max(j), i.min(j)]]);
        }
        let mut average = full.clone();
        average_triangle(&packed, 0.5, 3.0, &mut average);
        for ((i, j), value) in average.indexed_iter() {
            let expected = if j <= i { 4.0 } else { 2.0 };
            assert_eq!(*value, expected * half[[i.max(j), i.min(j)]]);
        }
    }

    #[test]
    fn the_layout_covers_its_buffer_once() {
        let input = Shape {
            height: 28,
            width: 28,
            channels: 1,
        };
        let network = Network::resolve(&NetworkSpec::default(), input, 10).expect("default");
        for gram in [false, true] {
            let layout = EquationLayout::new(&network, gram);
            let mut sums = vec![0.0; layout.len()];
            for stage in 0..3 {
                layout
                    .cross_mut(stage, &mut sums)
                    .iter_mut()
                    .for_each(|v| *v += 1.0);
                layout
                    .triangle_mut(stage, &mut sums)
                    .iter_mut()
                    .for_each(|v| *v += 1.0);
            }
            assert!(sums.iter().all(|&v| v == 1.0));
            assert_eq!(
                layout.triangle(2, &sums).len(),
                if gram { 513 * 514 / 2 } else { 0 }
            );
            assert_eq!(layout.cross(1, &sums).dim(), (401, 32));
        }
    }
}
