//! Equations drawn from a step's rows: those behind Gram matrices, and all of them with the sampled solver.

use super::StepParams;
use crate::blas;
use crate::equations::{EquationLayout, matrix, pack_triangle};
use crate::forward::Forward;
use crate::network::{Network, Stage};
use crate::random::{Purpose, stream};
use ndarray::Array2;
use ndarray::linalg::general_mat_mul;
use rand::RngExt as _;

/// What is drawn from one stage in a step.
#[derive(Debug, Clone)]
struct StageDraw {
    stage: Stage,
    /// Row of each draw, counted through the shard's samples.
    picks: Vec<u32>,
    /// T(a), a row per draw, and its corrections.
    rows: Vec<f32>,
    corrections: Vec<f32>,
    gram: Array2<f32>,
    /// Rows of the shard.
    all: usize,
}

/// The draws of one shard's step. They are decided before the first block, and collected block by block.
#[derive(Debug, Clone)]
pub(super) struct Drawn {
    stages: Vec<StageDraw>,
}

impl Drawn {
    pub(super) fn new(network: &Network) -> Self {
        let stages = network.stages().iter().map(|stage| StageDraw {
            stage: stage.clone(),
            picks: Vec::new(),
            rows: Vec::new(),
            corrections: Vec::new(),
            gram: Array2::zeros((stage.unknowns(), stage.unknowns())),
            all: 0,
        });
        Self {
            stages: stages.collect(),
        }
    }

    /// Decides what to draw from `samples` samples: for Gram matrices, if the step has them, `gram_rows` rows of each hidden stage and every row of the
    /// last; with the sampled solver, its share of equations of each stage.
    pub(super) fn begin(
        &mut self,
        params: &StepParams,
        gram: bool,
        samples: usize,
        (seed, shard, step): (u64, u64, u64),
    ) {
        let mut random = stream(seed, Purpose::Rows, shard, step);
        let last = self.stages.len() - 1;
        for (index, draw) in self.stages.iter_mut().enumerate() {
            draw.all = samples * draw.stage.rows();
            let all = draw.all as u32;
            let share = (params.equations * draw.stage.unknowns() as f32).ceil() as usize;
            draw.picks.clear();
            if share == 0 && gram && index == last {
                draw.picks.extend(0..all);
            } else if share > 0 || gram {
                let count = match share {
                    0 => params.gram_rows,
                    share => share.min(draw.all),
                };
                draw.picks
                    .extend((0..count).map(|_| random.random_range(0..all)));
            }
            let (d, c) = (draw.stage.unknowns(), draw.stage.conv.channels);
            draw.rows.resize(draw.picks.len() * d, 0.0);
            draw.corrections
                .resize(if share > 0 { draw.picks.len() * c } else { 0 }, 0.0);
        }
    }

    /// Collects what was drawn of stage `index` from the block in `forward`, which starts at sample `start`.
    pub(super) fn take(&mut self, index: usize, start: usize, forward: &Forward, dz: &[f32]) {
        let draw = &mut self.stages[index];
        let (d, c) = (draw.stage.unknowns(), draw.stage.conv.channels);
        let first = start * draw.stage.rows();
        let block = first..first + forward.samples() * draw.stage.rows();
        for (number, &pick) in draw.picks.iter().enumerate() {
            let pick = pick as usize;
            if !block.contains(&pick) {
                continue;
            }
            let row = pick - first;
            forward.write_row(index, row, &mut draw.rows[number * d..][..d]);
            if !draw.corrections.is_empty() {
                draw.corrections[number * c..][..c].copy_from_slice(&dz[row * c..][..c]);
            }
        }
    }

    /// Writes the sums of what was drawn: Gram matrices, and with the sampled solver cross moments.
    pub(super) fn finish(
        &mut self,
        params: &StepParams,
        layout: &EquationLayout,
        sums: &mut [f32],
    ) {
        let last = self.stages.len() - 1;
        for (index, draw) in self.stages.iter_mut().enumerate() {
            let count = draw.picks.len();
            if count == 0 {
                continue;
            }
            let rows = matrix(&draw.rows, count, draw.stage.unknowns());
            let sampled = !draw.corrections.is_empty();
            if sampled {
                // Scaled up to what every row would have summed to.
                let scale = draw.all as f32 / count as f32;
                let dz = matrix(&draw.corrections, count, draw.stage.conv.channels);
                let mut cross = layout.cross_mut(index, sums);
                general_mat_mul(scale, &rows.t(), &dz, 0.0, &mut cross);
            }
            if !layout.has_gram() {
                continue;
            }
            blas::gram_lower(rows, &mut draw.gram.view_mut());
            if sampled {
                let wanted = if index == last {
                    draw.all
                } else {
                    params.gram_rows
                };
                draw.gram *= wanted as f32 / count as f32;
            }
            pack_triangle(draw.gram.view(), layout.triangle_mut(index, sums));
        }
    }
}
