//! Initial weights: He's random kernels, or k-means centroids of patches, both without gradients.
//!
//! The k-means start goes stage by stage. Each shard samples patches of its own activations and answers
//! Lloyd iterations with sums; the coordinator only ever sees sums. A patch sample is a function of its key
//! and of the weights of earlier stages, which are settled: a worker may keep it from one iteration to the
//! next, and one that takes over a shard draws the same sample again.

use crate::forward::Forward;
use crate::network::{Network, Stage};
use crate::random::{Purpose, stream};
use crate::weights::Weights;
use ndarray::{Array2, ArrayView2, Axis};
use rand::RngExt as _;
use rand_distr::{Distribution as _, StandardNormal};
use serde::{Deserialize, Serialize};

/// Kind of initial weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StartKind {
    /// He's normal start.
    He,
    /// Spherical k-means of patches for the hidden stages, He for the last.
    #[default]
    KMeans,
}

/// Initial weights: the table `[start]` of a configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct StartParams {
    /// `k-means` or `he`.
    pub kind: StartKind,
    /// Images that k-means takes patches from, over all shards.
    pub images: usize,
    /// Patches that k-means clusters, over all shards.
    pub patches: usize,
}

impl Default for StartParams {
    fn default() -> Self {
        Self {
            kind: StartKind::default(),
            images: 1_024,
            patches: 4_800,
        }
    }
}

/// Scale of the last stage's initial weights relative to He's, so that the first outputs are near zero.
const LAST_STAGE_SCALE: f32 = 0.1;
/// Standard deviation below which a patch is too flat to be a kernel, in units of the input.
const FLAT: f32 = 0.1;

/// He's normal start: standard deviation `sqrt(2 / (k*k*C_in))`, biases zero, the last stage 0.1 of that.
///
/// ```
/// # use lagrange_core::network::{Network, NetworkSpec, Shape};
/// # let image = Shape { height: 28, width: 28, channels: 1 };
/// # let network = Network::resolve(&NetworkSpec::default(), image, 10)?;
/// use lagrange_core::start::he;
///
/// let weights = he(&network, 1);
/// assert_eq!(weights, he(&network, 1));
/// // The biases are zero.
/// assert!(weights.stage(0).row(25).iter().all(|&bias| bias == 0.0));
/// # Ok::<(), lagrange_core::network::NetworkError>(())
/// ```
#[must_use]
pub fn he(network: &Network, seed: u64) -> Weights {
    let mut weights = Weights::zeros(network);
    for (index, stage) in network.stages().iter().enumerate() {
        let mut random = stream(seed, Purpose::Weights, 0, index as u64);
        let shrink = if index + 1 == network.len() {
            LAST_STAGE_SCALE
        } else {
            1.0
        };
        let deviation = shrink * (2.0 / stage.patch() as f32).sqrt();
        let mut matrix = Array2::zeros((stage.unknowns(), stage.conv.channels));
        for row in 0..stage.patch() {
            for value in matrix.row_mut(row) {
                let normal: f32 = StandardNormal.sample(&mut random);
                *value = deviation * normal;
            }
        }
        weights.set_stage(index, &matrix);
    }
    weights
}

/// Up to `count` contrast-normalised patches of stage `index`'s input, `[p, k*k*C_in]`: flat ones dropped,
/// mean removed, scaled to unit length. `forward` must have been run through `index` stages.
#[must_use]
pub fn patch_sample(
    forward: &Forward,
    stage: &Stage,
    index: usize,
    count: usize,
    key: (u64, u64),
) -> Array2<f32> {
    let (seed, shard) = key;
    let rows = forward.samples() * stage.rows();
    let mut row = vec![0.0; stage.unknowns()];
    let mut random = stream(seed, Purpose::Patches, shard, index as u64);
    let mut patches = Vec::with_capacity(count.min(rows) * stage.patch());
    let mut kept = 0;
    // About half of a digit's patches are flat background, hence twice the draws.
    for _ in 0..2 * count {
        if kept == count || rows == 0 {
            break;
        }
        let pick = random.random_range(0..rows as u32) as usize;
        forward.write_row(index, pick, &mut row);
        if let Some(patch) = normalise(&row[..stage.patch()]) {
            patches.extend(patch);
            kept += 1;
        }
    }
    Array2::from_shape_vec((kept, stage.patch()), patches)
        .unwrap_or_else(|_| unreachable!("whole patches"))
}

fn normalise(patch: &[f32]) -> Option<impl Iterator<Item = f32>> {
    let count = patch.len() as f32;
    let mean = patch.iter().sum::<f32>() / count;
    let square: f32 = patch.iter().map(|v| (v - mean) * (v - mean)).sum();
    let length = square.sqrt();
    // A stage with 1x1 kernels on one channel has no contrast to normalise.
    if count > 1.0 && (square / (count - 1.0)).sqrt() > FLAT {
        Some(patch.iter().map(move |v| (v - mean) / length))
    } else {
        None
    }
}

/// Sums of the initial centroids: centroid c is patch c / S of shard c mod S, for S shards. Each shard writes
/// its own centroids and zeros elsewhere, so that the sum over shards has all of them. Writes
/// `[C, k*k*C_in]`.
///
/// # Panics
/// If `sums` has another length.
pub fn initial_centroid_sums(
    patches: ArrayView2<'_, f32>,
    channels: usize,
    shard: usize,
    shards: usize,
    sums: &mut [f32],
) {
    assert_eq!(
        sums.len(),
        channels * patches.ncols(),
        "one patch per channel"
    );
    sums.fill(0.0);
    for channel in (shard..channels).step_by(shards) {
        if channel / shards < patches.nrows() {
            let target = &mut sums[channel * patches.ncols()..][..patches.ncols()];
            target
                .iter_mut()
                .zip(patches.row(channel / shards))
                .for_each(|(to, from)| *to = *from);
        }
    }
}

/// One Lloyd iteration's sums: each patch goes to the centroid of largest inner product. Writes the sums of
/// each centroid's patches, `[C, k*k*C_in]`, followed by their counts, `[C]`.
///
/// ```
/// use lagrange_core::start::{centroids_from, cluster_sums};
/// use ndarray::array;
///
/// let patches = array![[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]];
/// let centroids = array![[1.0, 0.0], [0.0, 1.0]];
/// let mut sums = [0.0; 2 * 3];
/// cluster_sums(patches.view(), centroids.view(), &mut sums);
/// assert_eq!(sums, [1.8, 0.6, 0.0, 1.0, 2.0, 1.0]);
/// let next = centroids_from(&sums, &centroids);
/// assert!((next[[0, 0]] / next[[0, 1]] - 3.0).abs() < 1e-5);
/// ```
///
/// # Panics
/// If `sums` has another length.
pub fn cluster_sums(
    patches: ArrayView2<'_, f32>,
    centroids: ArrayView2<'_, f32>,
    sums: &mut [f32],
) {
    let (channels, patch) = centroids.dim();
    assert_eq!(sums.len(), channels * (patch + 1), "sums and numbers");
    sums.fill(0.0);
    let scores = patches.dot(&centroids.t());
    let patches = patches.as_standard_layout();
    let (patches, scores) = (patches.as_slice(), scores.as_slice());
    let rows = patches.unwrap_or_default().chunks_exact(patch);
    for (patch_row, scores) in rows.zip(scores.unwrap_or_default().chunks_exact(channels)) {
        let mut best = 0;
        for (channel, score) in scores.iter().enumerate() {
            if *score > scores[best] {
                best = channel;
            }
        }
        let target = &mut sums[best * patch..][..patch];
        target
            .iter_mut()
            .zip(patch_row)
            .for_each(|(to, from)| *to += *from);
        sums[channels * patch + best] += 1.0;
    }
}

/// Centroids after a Lloyd iteration: the sums, scaled to unit length. A cluster without patches keeps its
/// centroid.
#[must_use]
pub fn centroids_from(sums: &[f32], previous: &Array2<f32>) -> Array2<f32> {
    let (channels, patch) = previous.dim();
    let mut next = previous.clone();
    for channel in 0..channels {
        let sum = &sums[channel * patch..][..patch];
        let length = sum.iter().map(|v| v * v).sum::<f32>().sqrt();
        if length > 1e-3 {
            next.row_mut(channel)
                .iter_mut()
                .zip(sum)
                .for_each(|(to, v)| *to = v / length);
        }
    }
    next
}

/// Per channel of stage `index`: the sum of its outputs and of their squares. Writes `[2, C]`. `forward` must
/// have been run through `index + 1` stages.
///
/// # Panics
/// If `sums` has another length.
pub fn moment_sums(forward: &Forward, stage: &Stage, index: usize, sums: &mut [f32]) {
    let channels = stage.conv.channels;
    assert_eq!(sums.len(), 2 * channels, "sums and squares");
    let mut wide = vec![0.0f64; 2 * channels];
    for outputs in forward.m(index).chunks_exact(channels) {
        for (channel, &value) in outputs.iter().enumerate() {
            wide[channel] += f64::from(value);
            wide[channels + channel] += f64::from(value) * f64::from(value);
        }
    }
    sums.iter_mut()
        .zip(wide)
        .for_each(|(to, from)| *to = from as f32);
}

/// Kernels whose outputs have unit standard deviation and half of their mean, `[d, C]`: `W = D / sd` and
/// `b = -mean / (2 sd)` for centroids D, `[C, k*k*C_in]`, with mean and standard deviation from `moments`,
/// the [`moment_sums`] of the unscaled outputs over `rows` Toeplitz rows.
#[must_use]
pub fn scaled_kernels(centroids: &Array2<f32>, moments: &[f32], rows: usize) -> Array2<f32> {
    let (channels, patch) = centroids.dim();
    let mut matrix = Array2::zeros((patch + 1, channels));
    for (channel, centroid) in centroids.axis_iter(Axis(0)).enumerate() {
        let mean = f64::from(moments[channel]) / rows as f64;
        let square = f64::from(moments[channels + channel]) / rows as f64;
        let deviation = (square - mean * mean).max(0.0).sqrt().max(1e-2);
        for (to, from) in matrix.column_mut(channel).iter_mut().zip(centroid) {
            *to = (f64::from(*from) / deviation) as f32;
        }
        matrix[[patch, channel]] = (-0.5 * mean / deviation) as f32;
    }
    matrix
}

/// Unscaled kernels of a stage: the centroids with zero bias, `[d, C]`.
#[must_use]
pub fn plain_kernels(centroids: &Array2<f32>) -> Array2<f32> {
    let (channels, patch) = centroids.dim();
    let mut matrix = Array2::zeros((patch + 1, channels));
    matrix
        .slice_mut(ndarray::s![..patch, ..])
        .assign(&centroids.t());
    matrix
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{NetworkSpec, Shape};

    fn network() -> Network {
        let input = Shape {
            height: 28,
            width: 28,
            channels: 1,
        };
        Network::resolve(&NetworkSpec::default(), input, 10).expect("default")
    }

    #[test]
    fn he_kernels_have_their_deviation_and_no_bias() {
        let network = network();
        let weights = he(&network, 1);
        for (index, stage) in network.stages().iter().enumerate() {
            let matrix = weights.stage(index);
            let kernels = matrix.slice(ndarray::s![..stage.patch(), ..]);
            let expected = (2.0 / stage.patch() as f32).sqrt()
                * if index == 2 { LAST_STAGE_SCALE } else { 1.0 };
            let deviation = kernels.mapv(|w| w * w).mean().expect("values").sqrt();
            assert!((deviation / expected - 1.0).abs() < 0.1, "stage {index}");
            assert!(matrix.row(stage.patch()).iter().all(|&b| b == 0.0));
        }
    }

    #[test]
    fn lloyd_iterations_over_shards_find_separate_directions() {
        // Two shards of patches scattered about three directions; initial centroids come from both shards.
        let directions = [[1.0f32, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        let shard = |shard: usize| {
            let mut random = stream(5, Purpose::Patches, shard as u64, 0);
            Array2::from_shape_fn((60, 3), |(i, j)| {
                directions[(i + 2 * shard) % 3][j] + random.random_range(-0.1..0.1)
            })
        };
        let shards = [shard(0), shard(1)];
        let sum_over = |sums: &dyn Fn(usize, &mut [f32]), length| {
            let mut total = vec![0.0f32; length];
            for shard in 0..2 {
                let mut part = vec![f32::NAN; length];
                sums(shard, &mut part);
                crate::tree::add_into(&mut total, &part);
            }
            total
        };
        let seeds = sum_over(
            &|s, part| initial_centroid_sums(shards[s].view(), 3, s, 2, part),
            9,
        );
        let mut centroids = Array2::from_shape_vec((3, 3), seeds).expect("shape");
        assert_eq!(centroids.row(1), shards[1].row(0));
        for _ in 0..5 {
            let sums = sum_over(
                &|s, part| cluster_sums(shards[s].view(), centroids.view(), part),
                12,
            );
            assert_eq!(sums[9..].iter().sum::<f32>(), 120.0);
            centroids = centroids_from(&sums, &centroids);
        }
        let products = centroids.dot(&centroids.t());
        for ((i, j), product) in products.indexed_iter() {
            assert!((product - f32::from(i == j)).abs() < 0.1, "{products}");
        }
    }

    #[test]
    fn scaled_kernels_have_outputs_of_unit_deviation() {
        let network = network();
        let stage = &network.stages()[0];
        let mut random = stream(5, Purpose::Patches, 0, 0);
        let images: Vec<f32> = (0..4 * 784)
            .map(|_| random.random_range(-1.0..1.0))
            .collect();
        let centroids = Array2::from_shape_fn((16, 25), |(i, j)| ((i * 25 + j) % 7) as f32 - 3.0);
        let mut weights = Weights::zeros(&network);
        weights.set_stage(0, &plain_kernels(&centroids));
        let mut forward = Forward::new(&network, 4);
        let moments = |forward: &mut Forward, weights: &Weights| {
            forward.load(weights);
            forward.run_through(&images, 1);
            let mut sums = vec![f32::NAN; 32];
            moment_sums(forward, stage, 0, &mut sums);
            sums
        };
        let rows = 4 * stage.rows();
        let kernels = scaled_kernels(&centroids, &moments(&mut forward, &weights), rows);
        weights.set_stage(0, &kernels);
        let sums = moments(&mut forward, &weights);
        for channel in 0..16 {
            let mean = sums[channel] / rows as f32;
            let deviation = (sums[16 + channel] / rows as f32 - mean * mean).sqrt();
            assert!((deviation - 1.0).abs() < 1e-3, "{deviation}");
        }
    }

    #[test]
    fn flat_patches_are_no_kernels() {
        assert!(normalise(&[0.5; 9]).is_none());
        let patch: Vec<f32> = normalise(&[1.0, -1.0, 0.0, 0.0])
            .expect("contrast")
            .collect();
        let square: f32 = patch.iter().map(|v| v * v).sum();
        assert!((square - 1.0).abs() < 1e-6);
    }
}
