//! The worker's half of a solver: the equations of a round, collected block by block.

use crate::blas;
use crate::convolution::CrossMoment;
use crate::equations::{EquationLayout, matrix, pack_triangle};
use crate::forward::Forward;
use crate::network::{Network, Stage};
use ndarray::Array2;
use std::fmt::Debug;
use std::ops::Range;

/// One shard's round, as known before its first block.
#[derive(Debug, Clone)]
pub(crate) struct Collection {
    /// Stages whose equations are collected.
    pub stages: Range<usize>,
    /// Samples of the round.
    pub samples: usize,
    /// Key of random draws: (seed, shard, number of the round).
    pub key: (u64, u64, u64),
}

/// The equations `T(a_{l-1}) W = z_l` of a block of samples.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block<'a> {
    /// First sample of the block, counted through the round's.
    pub start: usize,
    /// a_{l-1} and m_l = T(a_{l-1}) W_l of every stage collected.
    pub forward: &'a Forward,
    /// z_l - m_l of every stage collected, `[n, H, W, C]`.
    pub corrections: &'a [Vec<f32>],
    /// Samples with a nonzero correction.
    pub moved: &'a [usize],
}

impl Block<'_> {
    /// Writes equation `row` of `stage`, `[row of T | row of Z]`; rows count through the block's samples.
    pub fn write_equation(&self, index: usize, stage: &Stage, row: usize, to: &mut [f32]) {
        let channels = stage.conv.channels;
        let (left, right) = to.split_at_mut(stage.unknowns());
        self.forward.write_row(index, row, left);
        let m = &self.forward.m(index)[row * channels..][..channels];
        let dz = &self.corrections[index][row * channels..][..channels];
        for ((z, m), dz) in right.iter_mut().zip(m).zip(dz) {
            *z = m + dz;
        }
    }
}

/// Destination of a round's equations.
#[derive(Debug)]
pub(crate) struct Collected<'a> {
    /// Layout of the sums.
    pub layout: &'a EquationLayout,
    /// Sums, overwritten.
    pub sums: &'a mut [f32],
    /// Equations that are not summed, overwritten.
    pub rows: &'a mut [f32],
}

/// Collector of the equations of one shard and round.
pub(crate) trait Collector: Debug + Send {
    /// Begins a round.
    fn begin(&mut self, round: &Collection, to: &mut Collected<'_>);

    /// Adds a block; blocks come in the order of their samples.
    fn take(&mut self, block: &Block<'_>, to: &mut Collected<'_>);

    /// Ends the round and writes its totals.
    fn finish(&mut self, to: &mut Collected<'_>);
}

/// Collector of cross moments T'(z - m), to which only samples with corrections contribute.
#[derive(Debug, Clone)]
pub(crate) struct CrossMoments {
    stages: Vec<Stage>,
    sums: Vec<CrossMoment>,
}

impl CrossMoments {
    /// A collector for the stages of `network`.
    #[must_use]
    pub fn new(network: &Network) -> Self {
        Self {
            stages: network.stages().to_vec(),
            sums: network.stages().iter().map(CrossMoment::new).collect(),
        }
    }

    /// Adds the cross moments of a block.
    pub fn take(&mut self, stages: Range<usize>, block: &Block<'_>) {
        for index in stages {
            let stage = &self.stages[index];
            for &sample in block.moved {
                let a =
                    &block.forward.input(index)[sample * stage.input.len()..][..stage.input.len()];
                let dz = &block.corrections[index][sample * stage.conv.len()..][..stage.conv.len()];
                self.sums[index].add(a, dz);
            }
        }
    }

    /// Writes the sums and resets them to zero.
    pub fn finish(&mut self, stages: Range<usize>, to: &mut Collected<'_>) {
        for index in stages {
            self.sums[index].drain(to.layout.cross_slice_mut(index, to.sums));
        }
    }
}

/// Collector of cross moments and of the Gram matrices of all rows.
#[derive(Debug, Clone)]
pub(crate) struct Moments {
    stages: Vec<Stage>,
    cross: CrossMoments,
    grams: Vec<Array2<f32>>,
    /// Toeplitz rows of a block.
    rows: Vec<f32>,
    collects: Range<usize>,
}

impl Moments {
    /// A collector for the stages of `network`, in blocks of at most `samples` samples.
    #[must_use]
    pub fn new(network: &Network, samples: usize) -> Self {
        let stages = network.stages();
        let widest = stages
            .iter()
            .map(|stage| stage.rows() * stage.unknowns())
            .max();
        let gram = |stage: &Stage| Array2::zeros((stage.unknowns(), stage.unknowns()));
        Self {
            stages: stages.to_vec(),
            cross: CrossMoments::new(network),
            grams: stages.iter().map(gram).collect(),
            rows: vec![0.0; samples * widest.unwrap_or(0)],
            collects: 0..0,
        }
    }
}

impl Collector for Moments {
    fn begin(&mut self, round: &Collection, to: &mut Collected<'_>) {
        self.collects = round.stages.clone();
        to.layout.crosses_mut(to.sums).fill(0.0);
        for gram in &mut self.grams[self.collects.clone()] {
            gram.fill(0.0);
        }
    }

    fn take(&mut self, block: &Block<'_>, _: &mut Collected<'_>) {
        self.cross.take(self.collects.clone(), block);
        for index in self.collects.clone() {
            let stage = &self.stages[index];
            let count = block.forward.samples() * stage.rows();
            let rows = &mut self.rows[..count * stage.unknowns()];
            block.forward.write_rows(index, rows);
            let rows = matrix(rows, count, stage.unknowns());
            blas::add_gram_lower(rows, &mut self.grams[index].view_mut());
        }
    }

    fn finish(&mut self, to: &mut Collected<'_>) {
        self.cross.finish(self.collects.clone(), to);
        for index in self.collects.clone() {
            pack_triangle(
                self.grams[index].view(),
                to.layout.triangle_mut(index, to.sums),
            );
        }
    }
}
