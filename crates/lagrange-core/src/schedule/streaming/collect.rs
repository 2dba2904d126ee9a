//! Random draws of a step's Toeplitz rows: for Gram matrices, and with the sampled solver for all equations.

use crate::blas;
use crate::equations::{matrix, pack_triangle};
use crate::network::{Network, Stage};
use crate::random::{Purpose, stream};
use crate::schedule::{Round, ScheduleParams, SolverKind};
use crate::solver::{Block, Collected};
use ndarray::Array2;
use ndarray::linalg::general_mat_mul;
use rand::RngExt as _;

/// Draws of one stage in a step.
#[derive(Debug, Clone)]
struct StageDraw {
    stage: Stage,
    /// Equations to draw for both Gram matrix and cross moment; 0 if the cross moment takes every row.
    share: usize,
    /// Row of each draw, counted through the shard's samples.
    picks: Vec<u32>,
    /// T(a), a row per draw, and its corrections.
    rows: Vec<f32>,
    corrections: Vec<f32>,
    gram: Array2<f32>,
    /// Rows of the shard.
    all: usize,
}

/// Draws of one shard's step, chosen before the first block and collected block by block.
#[derive(Debug, Clone)]
pub(super) struct Draws {
    stages: Vec<StageDraw>,
    /// Rows drawn for a hidden stage's Gram matrix.
    gram_rows: usize,
}

impl Draws {
    /// Draws of one of `shards` shards, each with an equal share.
    pub(super) fn new(params: &ScheduleParams, network: &Network, shards: usize) -> Self {
        let share = |stage: &Stage| match params.solver {
            SolverKind::Sampled => {
                (params.equations / shards as f32 * stage.unknowns() as f32).ceil() as usize
            }
            SolverKind::Gram | SolverKind::PseudoInverse => 0,
        };
        let stages = network.stages().iter().map(|stage| StageDraw {
            stage: stage.clone(),
            share: share(stage),
            picks: Vec::new(),
            rows: Vec::new(),
            corrections: Vec::new(),
            gram: Array2::zeros((stage.unknowns(), stage.unknowns())),
            all: 0,
        });
        Self {
            stages: stages.collect(),
            gram_rows: params.gram_rows / shards,
        }
    }

    /// Chooses the draws from `samples` samples: for Gram matrices, if the round has them, `gram_rows` rows
    /// of each hidden stage and every row of the last; with the sampled solver, its share of equations of
    /// each stage.
    pub(super) fn begin(&mut self, round: Round, samples: usize, (seed, shard): (u64, u64)) {
        let mut random = stream(seed, Purpose::Rows, shard, round.step);
        let last = self.stages.len() - 1;
        for (index, draw) in self.stages.iter_mut().enumerate() {
            draw.all = samples * draw.stage.rows();
            let all = draw.all as u32;
            draw.picks.clear();
            if draw.share == 0 && round.gram && index == last {
                draw.picks.extend(0..all);
            } else if draw.share > 0 || round.gram {
                let count = match draw.share {
                    0 => self.gram_rows,
                    share => share.min(draw.all),
                };
                draw.picks
                    .extend((0..count).map(|_| random.random_range(0..all)));
            }
            let (d, c) = (draw.stage.unknowns(), draw.stage.conv.channels);
            draw.rows.resize(draw.picks.len() * d, 0.0);
            let corrections = if draw.share > 0 {
                draw.picks.len() * c
            } else {
                0
            };
            draw.corrections.resize(corrections, 0.0);
        }
    }

    /// Collects the draws from a block.
    pub(super) fn take(&mut self, block: &Block<'_>) {
        for (index, draw) in self.stages.iter_mut().enumerate() {
            let (d, c) = (draw.stage.unknowns(), draw.stage.conv.channels);
            let first = block.start * draw.stage.rows();
            let rows = first..first + block.forward.samples() * draw.stage.rows();
            for (number, &pick) in draw.picks.iter().enumerate() {
                let pick = pick as usize;
                if !rows.contains(&pick) {
                    continue;
                }
                let row = pick - first;
                block
                    .forward
                    .write_row(index, row, &mut draw.rows[number * d..][..d]);
                if draw.share > 0 {
                    let dz = &block.corrections[index][row * c..][..c];
                    draw.corrections[number * c..][..c].copy_from_slice(dz);
                }
            }
        }
    }

    /// Writes the sums of all draws: Gram matrices, and with the sampled solver cross moments.
    pub(super) fn finish(&mut self, to: &mut Collected<'_>) {
        let last = self.stages.len() - 1;
        for (index, draw) in self.stages.iter_mut().enumerate() {
            let count = draw.picks.len();
            if count == 0 {
                continue;
            }
            let rows = matrix(&draw.rows, count, draw.stage.unknowns());
            if draw.share > 0 {
                // Scaled to an estimate of the sum over all rows.
                let scale = draw.all as f32 / count as f32;
                let dz = matrix(&draw.corrections, count, draw.stage.conv.channels);
                let mut cross = to.layout.cross_mut(index, to.sums);
                general_mat_mul(scale, &rows.t(), &dz, 0.0, &mut cross);
            }
            if !to.layout.has_gram() {
                continue;
            }
            blas::gram_lower(rows, &mut draw.gram.view_mut());
            if draw.share > 0 {
                let wanted = if index == last {
                    draw.all
                } else {
                    self.gram_rows
                };
                draw.gram *= wanted as f32 / count as f32;
            }
            pack_triangle(draw.gram.view(), to.layout.triangle_mut(index, to.sums));
        }
    }
}
