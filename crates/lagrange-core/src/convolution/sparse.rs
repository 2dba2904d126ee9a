//! Products with corrections z - m of which most are zero: in each 2x2 window usually one output moves, or none.
//!
//! Both kernels go through the entries that are not zero and do nothing else, with accumulators that stay in registers: a kernel row of
//! the adjoint's target, or of one channel's cross moment. Chains of fused multiply-adds in a fixed order, as in `tiles`.

use super::geometry::{Geometry, LANES};
use multiversion::multiversion;

/// Most vectors of a tile: with a factor beside them they fill the registers of AVX2.
const VECTORS: usize = 10;
/// A sample is sparse if at most one entry in so many is not zero: below that the dense tiles are no slower.
const SPARSE: usize = 3;

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

/// The entries of one sample's outputs that are not zero.
#[derive(Debug, Clone, Default)]
pub(super) struct Nonzeros {
    /// Per output position that has any: where its patch begins, and where its entries end.
    positions: Vec<(u32, u32)>,
    /// (channel, value), position by position.
    entries: Vec<(u32, f32)>,
    /// Where each channel's entries end in `sorted`.
    ends: Vec<u32>,
    /// (where its patch begins, value), channel by channel.
    sorted: Vec<(u32, f32)>,
}

impl Nonzeros {
    /// Collects the entries of `z`, `[H_out, W_out, C]`; tells whether they are few.
    pub(super) fn collect(&mut self, g: &Geometry, z: &[f32]) -> bool {
        self.positions.clear();
        self.entries.clear();
        let lines = z.chunks_exact(g.columns * g.channels);
        for (start, line) in (0u32..).step_by(g.line).zip(lines) {
            collect_line(g, start, line, &mut self.positions, &mut self.entries);
        }
        self.entries.len() * SPARSE <= z.len()
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Sorts the entries by channel, in the order of positions within each.
    fn sort(&mut self, channels: usize) {
        self.ends.clear();
        self.ends.resize(channels, 0);
        for (channel, _) in &self.entries {
            self.ends[*channel as usize] += 1;
        }
        let mut start = 0;
        for end in &mut self.ends {
            // Starts for now: filling moves them to the ends.
            (start, *end) = (start + *end, start);
        }
        self.sorted.resize(self.entries.len(), (0, 0.0));
        let mut first = 0;
        for (place, end) in &self.positions {
            for (channel, value) in &self.entries[first..*end as usize] {
                let slot = &mut self.ends[*channel as usize];
                self.sorted[*slot as usize] = (*place, *value);
                *slot += 1;
            }
            first = *end as usize;
        }
    }

    /// Each channel's entries.
    fn by_channel(&self) -> impl Iterator<Item = &[(u32, f32)]> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let entries = &self.sorted[start..end as usize];
            start = end as usize;
            entries
        })
    }
}

#[multiversion(targets("x86_64+avx2+fma"))]
fn collect_line(
    g: &Geometry,
    start: u32,
    line: &[f32],
    positions: &mut Vec<(u32, u32)>,
    entries: &mut Vec<(u32, f32)>,
) {
    const BLOCK: usize = 16;
    for (place, outputs) in (start..).step_by(g.step).zip(line.chunks_exact(g.channels)) {
        let before = entries.len();
        for (first, block) in (0u32..).step_by(BLOCK).zip(outputs.chunks(BLOCK)) {
            let mut mask = 0u32;
            match block.first_chunk::<BLOCK>() {
                Some(block) => mask_of(block, &mut mask),
                None => mask_of(block, &mut mask),
            }
            while mask != 0 {
                let lane = mask.trailing_zeros();
                entries.push((first + lane, block[lane as usize]));
                mask &= mask - 1;
            }
        }
        if entries.len() > before {
            positions.push((place, entries.len() as u32));
        }
    }
}

/// A bit per value that is not zero.
#[inline(always)]
fn mask_of(values: &[f32], mask: &mut u32) {
    for (lane, value) in values.iter().enumerate() {
        *mask |= u32::from(*value != 0.0) << lane;
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

/// a += T'(z) W' of one sample, the bias left out. `weights` is W transposed, `[k, C, width]`, with zeros behind each run: what lies
/// there in `a` stays as it is, but must be there.
#[multiversion(targets("x86_64+avx2+fma"))]
pub(super) fn add_adjoint(g: &Geometry, weights: &[f32], z: &Nonzeros, a: &mut [f32]) {
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
fn adjoint_tile<const V: usize>(width: usize, weights: &[f32], z: &Nonzeros, a: &mut [f32]) {
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

/// sums += (T(a)' z)' of one sample: `sums` is `[C, k * width + 1]`, the bias last; what lies behind each run is of no meaning, in `sums` as in `a`.
pub(super) fn add_cross(g: &Geometry, a: &[f32], z: &mut Nonzeros, sums: &mut [f32]) {
    z.sort(g.channels);
    add_sorted_cross(g, a, z, sums);
}

#[multiversion(targets("x86_64+avx2+fma"))]
fn add_sorted_cross(g: &Geometry, a: &[f32], z: &Nonzeros, sums: &mut [f32]) {
    let (width, length) = (g.width(), g.kernel * g.width() + 1);
    if width == LANES && g.kernel <= VECTORS {
        for (entries, sums) in z.by_channel().zip(sums.chunks_exact_mut(length)) {
            for_count!(g.kernel, cross_patch, (g.line, a, entries, sums));
        }
    } else {
        for ky in 0..g.kernel {
            for (first, count) in tiles(width / LANES) {
                let a = &a[ky * g.line + first * LANES..];
                for (entries, sums) in z.by_channel().zip(sums.chunks_exact_mut(length)) {
                    let sums = &mut sums[ky * width + first * LANES..];
                    for_count!(count, cross_row, (a, entries, sums));
                }
            }
        }
    }
    for (entries, sums) in z.by_channel().zip(sums.chunks_exact_mut(length)) {
        let bias = &mut sums[length - 1];
        *bias = entries.iter().fold(*bias, |sum, (_, value)| sum + value);
    }
}

/// One kernel row, V vectors long.
#[inline(always)]
fn cross_row<const V: usize>(a: &[f32], entries: &[(u32, f32)], sums: &mut [f32]) {
    let target = vectors_mut::<V>(sums);
    let mut acc = *target;
    for &(place, value) in entries {
        add_scaled(&mut acc, value, vectors::<V>(&a[place as usize..]));
    }
    *target = acc;
}

/// All K kernel rows, one vector each: of one input channel a row is short.
#[inline(always)]
fn cross_patch<const K: usize>(line: usize, a: &[f32], entries: &[(u32, f32)], sums: &mut [f32]) {
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
