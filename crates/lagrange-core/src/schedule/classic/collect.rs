//! Equations of a round, in the form that the run's solver takes: sums, drawn rows, or the triangle of a QR factorisation.

use super::{SolverKind, SweepParams, SweepRound};
use crate::blas;
use crate::equations::{EquationLayout, pack_triangle};
use crate::network::{Network, Stage};
use crate::random::{Purpose, stream};
use crate::solver::triangularise;
use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView1, ArrayView2, s};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::Range;

/// Screened equations are drawn this many times over, for the coordinator to choose from.
const CHOICE: f32 = 2.0;
/// A duplicate is drawn again at most so often.
const ATTEMPTS: usize = 20;

/// Equations `[row of T | row of Z]` that one of `shards` shards sends of `stage`, each of `d + C` values; 0 for the Gram solver.
#[must_use]
pub fn rows_per_shard(stage: &Stage, params: &SweepParams, shards: usize) -> usize {
    let unknowns = stage.unknowns();
    match params.solver {
        SolverKind::Gram => 0,
        SolverKind::Sampled => {
            let choice = if params.screen { CHOICE } else { 1.0 };
            let all = (params.equations * choice * unknowns as f32).ceil() as usize;
            all.max(unknowns).div_ceil(shards)
        }
        // The triangle R, and Q'Z beside it.
        SolverKind::PseudoInverse => unknowns,
    }
}

/// Where a round's equations go.
#[derive(Debug)]
pub struct Collected<'a> {
    layout: &'a EquationLayout,
    sums: &'a mut [f32],
    rows: &'a mut [f32],
}

impl<'a> Collected<'a> {
    /// Into `sums` of `layout` and `rows`, both overwritten.
    ///
    /// # Panics
    /// If `sums` has not the layout's length.
    #[must_use]
    pub fn new(layout: &'a EquationLayout, sums: &'a mut [f32], rows: &'a mut [f32]) -> Self {
        assert_eq!(sums.len(), layout.len(), "sums of the round's stages");
        sums.fill(0.0);
        rows.fill(0.0);
        Self { layout, sums, rows }
    }
}

/// What one stage has collected so far in a round.
#[derive(Debug, Clone)]
struct Pile {
    gram: Array2<f32>,
    /// Rows that wait to be triangularised, the triangle so far on top.
    pending: Vec<f32>,
    seen: HashSet<u64>,
    drawn: usize,
}

/// Collects equations block by block.
#[derive(Debug, Clone)]
pub(super) struct Collector {
    stages: Vec<Stage>,
    params: SweepParams,
    piles: Vec<Pile>,
    random: ChaCha8Rng,
    shards: usize,
    /// Stages that the round in hand collects.
    collects: Range<usize>,
}

impl Collector {
    pub(super) fn new(network: &Network, params: SweepParams, shards: usize) -> Self {
        let piles = network.stages().iter().map(|stage| Pile {
            gram: Array2::zeros((stage.unknowns(), stage.unknowns())),
            pending: Vec::new(),
            seen: HashSet::new(),
            drawn: 0,
        });
        Self {
            stages: network.stages().to_vec(),
            params,
            piles: piles.collect(),
            random: stream(0, Purpose::Equations, 0, 0),
            shards,
            collects: 0..0,
        }
    }

    pub(super) fn begin(&mut self, (seed, shard): (u64, u64), round: SweepRound) {
        let rounds = self.stages.len() as u64 + 1;
        let number = round.step * rounds + round.stage as u64;
        self.random = stream(seed, Purpose::Equations, shard, number);
        self.collects = round.collects(self.params.order, self.stages.len());
        for pile in &mut self.piles[self.collects.clone()] {
            pile.gram.fill(0.0);
            pile.pending.clear();
            pile.seen.clear();
            pile.drawn = 0;
        }
    }

    /// Takes the equations of a block of samples: its Toeplitz rows, z and z - m. `progress` is the share of the shard's samples
    /// done after this block.
    pub(super) fn add(
        &mut self,
        index: usize,
        progress: (usize, usize),
        rows: ArrayView2<'_, f32>,
        z: ArrayView2<'_, f32>,
        dz: ArrayView2<'_, f32>,
        collected: &mut Collected<'_>,
    ) {
        if !collected.layout.triangle(index, collected.sums).is_empty() {
            blas::add_gram_lower(rows, &mut self.piles[index].gram.view_mut());
            let mut cross = collected.layout.cross_mut(index, collected.sums);
            general_mat_mul(1.0, &rows.t(), &dz, 1.0, &mut cross);
        }
        match self.params.solver {
            SolverKind::Gram => {}
            SolverKind::Sampled => self.draw(index, progress, rows, z, collected),
            SolverKind::PseudoInverse => self.stack(index, rows, z),
        }
    }

    /// Draws this block's share of equations.
    fn draw(
        &mut self,
        index: usize,
        (done, total): (usize, usize),
        rows: ArrayView2<'_, f32>,
        z: ArrayView2<'_, f32>,
        collected: &mut Collected<'_>,
    ) {
        let quota = rows_per_shard(&self.stages[index], &self.params, self.shards);
        let (start, width) = self.place(index);
        let pile = &mut self.piles[index];
        while pile.drawn < quota * done / total {
            let mut pick = self.random.random_range(0..rows.nrows() as u32) as usize;
            for _ in 1..ATTEMPTS {
                if !self.params.screen || pile.seen.insert(fingerprint(rows.row(pick))) {
                    break;
                }
                pick = self.random.random_range(0..rows.nrows() as u32) as usize;
            }
            let target = &mut collected.rows[start + pile.drawn * width..][..width];
            let (left, right) = target.split_at_mut(rows.ncols());
            left.iter_mut()
                .zip(rows.row(pick))
                .for_each(|(to, v)| *to = *v);
            right
                .iter_mut()
                .zip(z.row(pick))
                .for_each(|(to, v)| *to = *v);
            pile.drawn += 1;
        }
    }

    /// Stacks a block's equations below the triangle so far, and factorises when there are enough for that to be cheap.
    fn stack(&mut self, index: usize, rows: ArrayView2<'_, f32>, z: ArrayView2<'_, f32>) {
        let pile = &mut self.piles[index];
        for (row, z) in rows.rows().into_iter().zip(z.rows()) {
            pile.pending.extend(row);
            pile.pending.extend(z);
        }
        let width = rows.ncols() + z.ncols();
        if pile.pending.len() >= 3 * width * width {
            triangularise(&mut pile.pending, width);
        }
    }

    pub(super) fn finish(&mut self, collected: &mut Collected<'_>) {
        for index in self.collects.clone() {
            let triangle = collected.layout.triangle_mut(index, collected.sums);
            if !triangle.is_empty() {
                pack_triangle(self.piles[index].gram.view(), triangle);
            }
            if self.params.solver == SolverKind::PseudoInverse {
                let (start, width) = self.place(index);
                let pending = &mut self.piles[index].pending;
                triangularise(pending, width);
                // The last C rows hold what no weights can fit.
                let kept = pending.len().min(self.stages[index].unknowns() * width);
                collected.rows[start..start + kept].copy_from_slice(&pending[..kept]);
            }
        }
    }

    /// Where a stage's rows start in the round's rows, and how wide one is.
    fn place(&self, index: usize) -> (usize, usize) {
        let width = |stage: &Stage| stage.unknowns() + stage.conv.channels;
        let before = self.stages[self.collects.start..index].iter();
        let start = before
            .map(|stage| rows_per_shard(stage, &self.params, self.shards) * width(stage))
            .sum();
        (start, width(&self.stages[index]))
    }
}

fn fingerprint(row: ArrayView1<'_, f32>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for value in row.slice(s![..row.len() - 1]) {
        value.to_bits().hash(&mut hasher);
    }
    hasher.finish()
}
