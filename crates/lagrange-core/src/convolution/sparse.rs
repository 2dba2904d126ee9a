//! Products with mostly zero corrections z - m: in each 2x2 window at most one output usually moves.
//!
//! Both products visit the nonzero entries only, with accumulators that stay in registers: a kernel row of
//! the adjoint's target, or of one channel's cross moment. Sums are chains of fused multiply-adds in a fixed
//! order, as in `tiles`.

use super::geometry::{Geometry, LANES};
use super::mask::mask_of;
use multiversion::multiversion;

/// Largest number of vectors of a tile: together with a factor they fill the AVX2 registers.
const VECTORS: usize = 10;
/// Neighbouring positions that are tested together.
const GROUP: usize = 4;
/// Density limits: a sample is sparse if at most one entry in so many is nonzero; above that the dense tiles
/// are as fast. The narrow limit is that of one-vector kernel rows (one input channel) and of short patches
/// (3x3 of colour), where finding the entries costs more than the product.
const SPARSE: usize = 3;
const SPARSE_NARROW: usize = 12;
/// Values of a patch below which it is short.
const SHORT_PATCH: usize = 32;

type Vector = [f32; LANES];

/// Calls `$function::<N>` for a run-time N of at most 10.
macro_rules! for_count {
    ($count:expr, $function:ident, $arguments:tt) => {
        match $count {
            1 => $function::<1> $arguments,
            2 => $function::<2> $arguments,
            3 => $function::<3> $arguments,
            4 => $function::<4> $arguments,
            5 => $function::<5> $arguments,
            6 => $function::<6> $arguments,
            7 => $function::<7> $arguments,
            8 => $function::<8> $arguments,
            9 => $function::<9> $arguments,
            _ => $function::<10> $arguments,
        }
    };
}

/// A nonzero entry: its channel or the offset of its patch, and its value.
type Entry = (u32, f32);

/// Density of one sample's outputs: no nonzeros, few, or too many for the products here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Density {
    Zero,
    Sparse,
    Dense,
}

impl Density {
    pub(super) fn of(g: &Geometry, z: &[f32]) -> Self {
        let narrow = g.width() == LANES || g.kernel * g.run < SHORT_PATCH;
        let one_in = if narrow { SPARSE_NARROW } else { SPARSE };
        match count_nonzeros(z) {
            0 => Self::Zero,
            count if count * one_in <= z.len() => Self::Sparse,
            _ => Self::Dense,
        }
    }
}

#[multiversion(targets("x86_64+avx2+fma"))]
fn count_nonzeros(z: &[f32]) -> usize {
    let count: u32 = z.iter().map(|value| u32::from(*value != 0.0)).sum();
    count as usize
}

/// Nonzero entries of one sample's outputs, by position.
#[derive(Debug, Clone, Default)]
pub(super) struct ByPosition {
    /// Per position with entries: the offset of its patch, and the end of its entries.
    positions: Vec<(u32, u32)>,
    /// (channel, value)
    entries: Vec<Entry>,
}

impl ByPosition {
    /// Collects the entries of `z`, `[H_out, W_out, C]`.
    pub(super) fn collect(&mut self, g: &Geometry, z: &[f32]) {
        self.positions.clear();
        self.entries.clear();
        collect_by_position(g, z, &mut self.positions, &mut self.entries);
    }
}

/// Nonzero entries of one sample's outputs, by channel and within a channel by position.
#[derive(Debug, Clone)]
pub(super) struct ByChannel {
    /// Number of entries of each channel.
    counts: Vec<u32>,
    /// (offset of its patch, value); `room` for each channel.
    entries: Vec<Entry>,
    /// Number of positions plus one: an entry is written before its value is tested.
    room: usize,
}

impl ByChannel {
    pub(super) fn new(g: &Geometry) -> Self {
        let room = g.rows * g.columns + 1;
        Self {
            counts: vec![0; g.channels],
            entries: vec![(0, 0.0); g.channels * room],
            room,
        }
    }

    /// Collects the entries of `z`, `[H_out, W_out, C]`.
    pub(super) fn collect(&mut self, g: &Geometry, z: &[f32]) {
        self.counts.fill(0);
        let lines = z.chunks_exact(g.columns * g.channels);
        for (start, line) in (0u32..).step_by(g.down).zip(lines) {
            collect_by_channel(g, start, line, &mut self.counts, &mut self.entries);
        }
    }

    fn channels(&self) -> impl Iterator<Item = &[Entry]> {
        let channels = self.entries.chunks_exact(self.room);
        channels
            .zip(&self.counts)
            .map(|(entries, &count)| &entries[..count as usize])
    }
}

#[multiversion(targets("x86_64+avx2+fma"))]
fn collect_by_position(
    g: &Geometry,
    z: &[f32],
    positions: &mut Vec<(u32, u32)>,
    entries: &mut Vec<Entry>,
) {
    for (place, outputs) in places(g).zip(z.chunks_exact(g.channels)) {
        let before = entries.len();
        for_each_entry(outputs, |channel, value| entries.push((channel, value)));
        if entries.len() > before {
            positions.push((place, entries.len() as u32));
        }
    }
}

/// Collects the entries of one output line, whose first patch is at offset `start`.
#[multiversion(targets("x86_64+avx2+fma"))]
fn collect_by_channel(
    g: &Geometry,
    start: u32,
    line: &[f32],
    counts: &mut [u32],
    entries: &mut [Entry],
) {
    let room = entries.len() / counts.len();
    let mut place = start;
    // One test per group: of four neighbours at most one or two are nonzero, and four separate branches would
    // be mispredicted.
    for group in line.chunks(GROUP * g.channels) {
        for first in (0..g.channels).step_by(LANES) {
            let lanes = LANES.min(g.channels - first);
            let mut mask = 0;
            for outputs in group.chunks_exact(g.channels) {
                mask |= mask_of_some(&outputs[first..][..lanes]);
            }
            while mask != 0 {
                let channel = first + mask.trailing_zeros() as usize;
                mask &= mask - 1;
                let entries = &mut entries[channel * room..][..room];
                let mut count = counts[channel] as usize;
                let (mut at, mut from) = (place, channel);
                while from < group.len() {
                    let value = group[from];
                    entries[count] = (at, value);
                    count += usize::from(value != 0.0);
                    at += g.step as u32;
                    from += g.channels;
                }
                counts[channel] = count as u32;
            }
        }
        place += (GROUP * g.step) as u32;
    }
}

/// [`mask_of`] of at most [`LANES`] values.
#[inline(always)]
fn mask_of_some(values: &[f32]) -> u32 {
    match values.first_chunk() {
        Some(values) => mask_of(values),
        None => values.iter().enumerate().fold(0, |mask, (lane, value)| {
            mask | u32::from(*value != 0.0) << lane
        }),
    }
}

/// Offset of the patch of each output position.
#[inline(always)]
fn places(g: &Geometry) -> impl Iterator<Item = u32> {
    let (down, step, columns) = (g.down as u32, g.step as u32, g.columns as u32);
    (0..g.rows as u32).flat_map(move |y| (0..columns).map(move |x| y * down + x * step))
}

/// Calls `visit` with channel and value of every nonzero entry.
#[inline(always)]
fn for_each_entry(outputs: &[f32], mut visit: impl FnMut(u32, f32)) {
    for (first, lanes) in (0u32..).step_by(LANES).zip(outputs.chunks(LANES)) {
        let mut mask = mask_of_some(lanes);
        while mask != 0 {
            let lane = mask.trailing_zeros();
            visit(first + lane, lanes[lane as usize]);
            mask &= mask - 1;
        }
    }
}

/// Cuts `vectors` into tiles of at most [`VECTORS`]: (first, count).
fn tiles(vectors: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..vectors)
        .step_by(VECTORS)
        .map(move |first| (first, VECTORS.min(vectors - first)))
}

#[inline(always)]
fn vectors<const V: usize>(values: &[f32]) -> &[Vector; V] {
    let (vectors, _) = values[..V * LANES].as_chunks::<LANES>();
    vectors
        .first_chunk()
        .unwrap_or_else(|| unreachable!("V whole vectors"))
}

#[inline(always)]
fn vectors_mut<const V: usize>(values: &mut [f32]) -> &mut [Vector; V] {
    let (vectors, _) = values[..V * LANES].as_chunks_mut::<LANES>();
    vectors
        .first_chunk_mut()
        .unwrap_or_else(|| unreachable!("V whole vectors"))
}

#[inline(always)]
fn add_scaled<const V: usize>(acc: &mut [Vector; V], factor: f32, values: &[Vector; V]) {
    for (acc, values) in acc.iter_mut().zip(values) {
        for (acc, value) in acc.iter_mut().zip(values) {
            *acc = factor.mul_add(*value, *acc);
        }
    }
}

/// a += T'(z) W' of one sample, the bias left out. `weights` is W transposed, `[k, C, width]`, with zeros
/// after each run: the values of `a` there must exist, but do not change.
#[multiversion(targets("x86_64+avx2+fma"))]
pub(super) fn add_adjoint(g: &Geometry, weights: &[f32], z: &ByPosition, a: &mut [f32]) {
    let width = g.width();
    for ky in 0..g.kernel {
        for (first, count) in tiles(width / LANES) {
            let weights = &weights[ky * g.channels * width + first * LANES..];
            let a = &mut a[ky * g.line + first * LANES..];
            for_count!(count, adjoint_tile, (width, weights, z, a));
        }
    }
}

#[inline(always)]
fn adjoint_tile<const V: usize>(width: usize, weights: &[f32], z: &ByPosition, a: &mut [f32]) {
    let mut first = 0;
    for &(place, end) in &z.positions {
        let target = vectors_mut::<V>(&mut a[place as usize..]);
        let mut acc = *target;
        for &(channel, value) in &z.entries[first..end as usize] {
            let weights = vectors::<V>(&weights[channel as usize * width..]);
            add_scaled(&mut acc, value, weights);
        }
        *target = acc;
        first = end as usize;
    }
}

/// sums += (T(a)' z)' of one sample: `sums` is `[C, k * width + 1]`, the bias last; the values after each run
/// are undefined, in `sums` as in `a`.
#[multiversion(targets("x86_64+avx2+fma"))]
pub(super) fn add_cross(g: &Geometry, a: &[f32], z: &ByChannel, sums: &mut [f32]) {
    let (width, length) = (g.width(), g.kernel * g.width() + 1);
    if width == LANES && g.kernel <= VECTORS {
        for (entries, sums) in z.channels().zip(sums.chunks_exact_mut(length)) {
            for_count!(g.kernel, cross_patch, (g.line, a, entries, sums));
        }
    } else {
        for ky in 0..g.kernel {
            for (first, count) in tiles(width / LANES) {
                let a = &a[ky * g.line + first * LANES..];
                for (entries, sums) in z.channels().zip(sums.chunks_exact_mut(length)) {
                    let sums = &mut sums[ky * width + first * LANES..];
                    for_count!(count, cross_row, (a, entries, sums));
                }
            }
        }
    }
    for (entries, sums) in z.channels().zip(sums.chunks_exact_mut(length)) {
        let bias = &mut sums[length - 1];
        *bias = entries.iter().fold(*bias, |sum, (_, value)| sum + value);
    }
}

/// One kernel row, V vectors long.
#[inline(always)]
fn cross_row<const V: usize>(a: &[f32], entries: &[Entry], sums: &mut [f32]) {
    let target = vectors_mut::<V>(sums);
    let mut acc = *target;
    for &(place, value) in entries {
        add_scaled(&mut acc, value, vectors::<V>(&a[place as usize..]));
    }
    *target = acc;
}

/// All K kernel rows, of one vector each: for one input channel, whose rows are short.
#[inline(always)]
fn cross_patch<const K: usize>(line: usize, a: &[f32], entries: &[Entry], sums: &mut [f32]) {
    let target = vectors_mut::<K>(sums);
    let mut acc = *target;
    for &(place, value) in entries {
        let patch = &a[place as usize..][..(K - 1) * line + LANES];
        for (ky, acc) in acc.iter_mut().enumerate() {
            let [row] = vectors::<1>(&patch[ky * line..]);
            for (acc, a) in acc.iter_mut().zip(row) {
                *acc = value.mul_add(*a, *acc);
            }
        }
    }
    *target = acc;
}
