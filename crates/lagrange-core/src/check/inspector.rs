//! The inspector: watches one sample of a shard through its sweep. It reads what the updates have computed,
//! and writes nothing but its own tallies.

use super::amounts::{HiddenProblem, LineProblem, OutputProblem, WINDOWS};
use super::definition::{DefinedLink, DefinedWindows, product};
use super::{Check, Checks};
use crate::activation::ActivationPenalty;
use crate::loss::OutputUpdate;
use crate::network::Network;
use crate::pooling::PoolPenalty;
use crate::random::{Purpose, stream};
use crate::schedule::{Round, ScheduleParams, ShardInput};
use crate::weights::Weights;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use std::ops::Range;

/// Key of the draw of the shard that is watched in a step.
const CHOICE: u64 = u64::MAX;

/// The last output update of one sample, as it is done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OutputsUpdated<'a> {
    pub(crate) update: OutputUpdate<'a>,
    /// m, `[O]`
    pub(crate) m: &'a [f32],
    /// z - m, `[O]`
    pub(crate) dz: &'a [f32],
    /// Whether the sample started from a forward pass and its sweep goes back from here: the objective never
    /// rises in such a sweep.
    pub(crate) starts_sweep: bool,
}

/// The activation update of hidden stage `index` for one sample, as it is done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StepTaken<'a> {
    pub(crate) index: usize,
    pub(crate) penalty: ActivationPenalty,
    /// h(z_l), `[H, W, C]`
    pub(crate) h: &'a [f32],
    /// z - W h of the next stage.
    pub(crate) dz: &'a [f32],
    /// a_l, `[H, W, C]`
    pub(crate) a: &'a [f32],
}

/// The output update of hidden stage `index` for one sample, as it is done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HiddenUpdate<'a> {
    pub(crate) index: usize,
    pub(crate) penalty: PoolPenalty,
    /// m_l, `[H, W, C]`
    pub(crate) m: &'a [f32],
    /// a_l, `[H', W', C]`
    pub(crate) a: &'a [f32],
    /// z_l - m_l, `[H, W, C]`
    pub(crate) dz: &'a [f32],
}

/// Terms of the augmented objective of one sample. The multiplier term is `<lambda, z_L - m_L>` with the m_L
/// that the sweep began with, so that it is linear in z_L alone.
#[derive(Debug, Clone, Default)]
struct Terms {
    loss: f64,
    work: f64,
    /// `beta |z_l - W_l a_{l-1}|^2` of every stage.
    outputs: Vec<f64>,
    /// `gamma |a_l - h(z_l)|^2` of every hidden stage.
    activations: Vec<f64>,
}

impl Terms {
    fn all(&self) -> impl Iterator<Item = f64> {
        let sums = self.outputs.iter().chain(&self.activations).copied();
        [self.loss, self.work].into_iter().chain(sums)
    }

    fn objective(&self) -> f64 {
        self.all().sum()
    }

    fn size(&self) -> f64 {
        self.all().map(f64::abs).sum()
    }
}

/// Watches one sample in one round out of many.
#[derive(Debug, Clone)]
pub(crate) struct Inspector {
    params: ScheduleParams,
    network: Network,
    shards: usize,
    random: ChaCha8Rng,
    /// Weights of the round, while one is watched.
    weights: Option<Weights>,
    /// Position within the shard of the sample watched in this round.
    position: Option<usize>,
    /// The same within the present block.
    sample: Option<usize>,
    /// Terms of the sample's objective, while it is followed.
    terms: Option<Terms>,
    checks: Checks,
}

impl Inspector {
    /// An inspector of one of `shards` shards.
    pub(crate) fn new(network: &Network, params: &ScheduleParams, shards: usize) -> Self {
        Self {
            params: params.clone(),
            network: network.clone(),
            shards,
            random: stream(0, Purpose::Checks, 0, 0),
            weights: None,
            position: None,
            sample: None,
            terms: None,
            checks: Checks::default(),
        }
    }

    /// Begins a shard's round of `samples` samples, and decides whether one of them is watched.
    pub(crate) fn begin(&mut self, round: Round, input: &ShardInput<'_>, samples: usize) {
        self.checks.clear();
        (self.weights, self.position, self.sample) = (None, None, None);
        if samples == 0 || !self.params.is_checked(round.step) {
            return;
        }
        let (seed, shard) = input.key;
        let mut choice = stream(seed, Purpose::Checks, CHOICE, round.step);
        if choice.random_range(0..self.shards as u64) != shard {
            return;
        }
        self.random = stream(seed, Purpose::Checks, shard, round.step);
        self.position = Some(self.random.random_range(0..samples));
        self.weights = Some(input.loaded.clone());
    }

    /// Enters the block of samples at `block`.
    pub(crate) fn enter(&mut self, block: Range<usize>) {
        let inside = self.position.filter(|position| block.contains(position));
        self.sample = inside.map(|position| position - block.start);
        self.terms = None;
    }

    /// Watches a sample among `moved` instead, ascending, if there is one: nothing is updated for others.
    pub(crate) fn prefer(&mut self, moved: &[usize]) {
        if let (Some(sample), Some(&first)) = (self.sample, moved.first()) {
            let next = moved.iter().copied().find(|&moved| moved >= sample);
            self.sample = Some(next.unwrap_or(first));
        }
    }

    /// The sample of the block that is watched.
    pub(crate) fn sample(&self) -> Option<usize> {
        self.sample
    }

    /// Whether `sample` of the block is watched.
    pub(crate) fn watches(&self, sample: usize) -> bool {
        self.sample == Some(sample)
    }

    /// The tallies of the round.
    pub(crate) fn finish(&mut self) -> Checks {
        std::mem::take(&mut self.checks)
    }

    /// Checks z_L of the sample watched.
    pub(crate) fn outputs(&mut self, done: &OutputsUpdated<'_>) {
        let last = self.network.len() - 1;
        let m: Vec<f64> = done.m.iter().map(|&m| m.into()).collect();
        let z: Vec<f64> = m
            .iter()
            .zip(done.dz)
            .map(|(m, &dz)| m + f64::from(dz))
            .collect();
        let problem = OutputProblem {
            loss: self.params.loss,
            update: done.update,
            m: &m,
        };
        let amount = problem.amount(&z, &mut self.random);
        self.checks.record(Check::OutputProx, last, amount);
        if !done.starts_sweep {
            return;
        }
        let terms = Terms {
            loss: problem.loss(&m),
            work: 0.0,
            outputs: vec![0.0; last + 1],
            activations: vec![0.0; last],
        };
        self.terms = Some(terms);
        self.follow(last, |terms| {
            (terms.loss, terms.work) = (problem.loss(&z), problem.work(&z));
            terms.outputs[last] = problem.distance(&z);
        });
    }

    /// Checks a_l of the sample watched.
    pub(crate) fn step(&mut self, done: &StepTaken<'_>) {
        let StepTaken { index, .. } = *done;
        let Some(weights) = &self.weights else {
            return;
        };
        let pairs = done.a.iter().zip(done.h);
        let d: Vec<f64> = pairs.map(|(&a, &h)| f64::from(a) - f64::from(h)).collect();
        let matrix = weights.stage(index + 1);
        let problem = LineProblem {
            u: product(
                &self.network.stages()[index + 1],
                matrix.to_slice().unwrap_or_default(),
                &d,
            ),
            penalty: done.penalty,
            h: done.h,
            dz: done.dz,
            d,
        };
        if let Some(amount) = problem.amount() {
            self.checks.record(Check::ActivationStep, index, amount);
        }
        let (remaining, way) = problem.costs();
        self.follow(index, |terms| {
            (terms.outputs[index + 1], terms.activations[index]) = (remaining, way);
        });
    }

    /// Checks z_l of the sample watched.
    pub(crate) fn hidden(&mut self, done: &HiddenUpdate<'_>) {
        let HiddenUpdate { index, .. } = *done;
        let stage = &self.network.stages()[index];
        let problem = HiddenProblem {
            link: DefinedLink {
                link: stage.link,
                staircase: self.params.staircase,
            },
            windows: DefinedWindows::of(stage),
            penalty: done.penalty,
            m: done.m,
            a: done.a,
            dz: done.dz,
        };
        for _ in 0..WINDOWS {
            let from = self.random.random_range(0..problem.windows.len());
            let amount = problem.amount(problem.moved_window(from), &mut self.random);
            self.checks.record(Check::HiddenProx, index, amount);
        }
        if self.terms.is_some() {
            let (misfit, distance) = problem.costs();
            self.follow(index, |terms| {
                (terms.activations[index], terms.outputs[index]) = (misfit, distance);
            });
        }
    }

    /// Follows the objective through the update of a block of stage `index`, which replaces some terms.
    fn follow(&mut self, index: usize, update: impl FnOnce(&mut Terms)) {
        let Some(terms) = &mut self.terms else {
            return;
        };
        let (before, size) = (terms.objective(), terms.size());
        update(terms);
        let rise = terms.objective() - before;
        let amount = match rise <= 0.0 {
            true => 0.0,
            false => rise / size.max(terms.size()),
        };
        self.checks.record(Check::Sweep, index, amount);
    }
}
