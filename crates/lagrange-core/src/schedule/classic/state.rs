//! z and a of a shard's samples, which persist on the worker from step to step.

use super::{Order, SweepRound};
use crate::network::Network;

/// z of every stage and a of every hidden one, for all samples of a shard.
#[derive(Debug, Clone)]
pub struct ShardState {
    z: Vec<Vec<f32>>,
    a: Vec<Vec<f32>>,
    /// Values of one sample, per stage.
    z_len: Vec<usize>,
    a_len: Vec<usize>,
    /// Steps that each sample has taken part in.
    visits: Vec<u64>,
    /// The round that must come next: (step, stage).
    next: (u64, usize),
}

/// A shard's z and a are not those that a round goes on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the z and a of shard {shard} are not those that this round goes on from")]
pub struct StateLost {
    /// The shard.
    pub shard: u64,
}

/// The z and a of a few samples, contiguous.
#[derive(Debug, Clone)]
pub(super) struct Block {
    capacity: usize,
    pub(super) samples: usize,
    pub(super) z: Vec<Vec<f32>>,
    pub(super) a: Vec<Vec<f32>>,
    /// a before the step.
    pub(super) before: Vec<Vec<f32>>,
}

impl ShardState {
    /// Room for `samples` samples, before the first round.
    #[must_use]
    pub fn new(network: &Network, samples: usize) -> Self {
        let z_len: Vec<usize> = network.stages().iter().map(|s| s.conv.len()).collect();
        let a_len: Vec<usize> = network.hidden().iter().map(|s| s.output.len()).collect();
        let room = |lengths: &[usize]| lengths.iter().map(|l| vec![0.0; l * samples]).collect();
        Self {
            z: room(&z_len),
            a: room(&a_len),
            z_len,
            a_len,
            visits: vec![0; samples],
            next: (0, 0),
        }
    }

    /// Takes note that `round` is being done here.
    ///
    /// # Errors
    /// [`StateLost`] if another round was due: this state is then not what the round goes on from.
    pub fn advance(
        &mut self,
        shard: u64,
        order: Order,
        round: SweepRound,
        stages: usize,
    ) -> Result<(), StateLost> {
        if self.next != (round.step, round.stage) {
            return Err(StateLost { shard });
        }
        self.next = match order {
            Order::Taylor if round.stage < stages => (round.step, round.stage + 1),
            _ => (round.step + 1, 0),
        };
        Ok(())
    }

    /// Steps that the sample at `position` has taken part in.
    pub(super) fn visits(&self, position: u32) -> u64 {
        self.visits[position as usize]
    }

    pub(super) fn count_visit(&mut self, positions: &[u32]) {
        for &position in positions {
            self.visits[position as usize] += 1;
        }
    }

    pub(super) fn load(&self, positions: &[u32], block: &mut Block) {
        block.samples = positions.len();
        gather(&self.z, &self.z_len, positions, &mut block.z);
        gather(&self.a, &self.a_len, positions, &mut block.a);
    }

    pub(super) fn store(&mut self, positions: &[u32], block: &Block) {
        scatter(&mut self.z, &self.z_len, positions, &block.z);
        scatter(&mut self.a, &self.a_len, positions, &block.a);
    }
}

impl Block {
    pub(super) fn new(network: &Network, samples: usize) -> Self {
        let z = network.stages().iter();
        let a: Vec<_> = network
            .hidden()
            .iter()
            .map(|stage| vec![0.0; samples * stage.output.len()])
            .collect();
        Self {
            capacity: samples,
            samples,
            z: z.map(|stage| vec![0.0; samples * stage.conv.len()])
                .collect(),
            before: a.clone(),
            a,
        }
    }

    /// Takes one sample's z and a from `other`.
    pub(super) fn restore(&mut self, other: &Self, sample: usize) {
        let capacity = self.capacity;
        let copy = |to: &mut [Vec<f32>], from: &[Vec<f32>]| {
            for (to, from) in to.iter_mut().zip(from) {
                let length = to.len() / capacity;
                let range = sample * length..(sample + 1) * length;
                to[range.clone()].copy_from_slice(&from[range]);
            }
        };
        copy(&mut self.z, &other.z);
        copy(&mut self.a, &other.a);
    }

    /// Remembers a as it is now.
    pub(super) fn remember(&mut self) {
        for (before, a) in self.before.iter_mut().zip(&self.a) {
            before.copy_from_slice(a);
        }
    }
}

fn gather(from: &[Vec<f32>], lengths: &[usize], positions: &[u32], to: &mut [Vec<f32>]) {
    for ((from, &length), to) in from.iter().zip(lengths).zip(to) {
        for (to, &position) in to.chunks_exact_mut(length).zip(positions) {
            to.copy_from_slice(&from[position as usize * length..][..length]);
        }
    }
}

fn scatter(to: &mut [Vec<f32>], lengths: &[usize], positions: &[u32], from: &[Vec<f32>]) {
    for ((to, &length), from) in to.iter_mut().zip(lengths).zip(from) {
        for (from, &position) in from.chunks_exact(length).zip(positions) {
            to[position as usize * length..][..length].copy_from_slice(from);
        }
    }
}
