//! Persistent z and a of a shard's samples, kept on the worker from step to step.

use super::{Round, Schedule};
use crate::network::Network;

/// Persistent state of a shard: z of every stage and a of every hidden stage, for all its samples.
///
/// ```
/// # use lagrange_core::network::{Network, NetworkSpec, Shape};
/// # let image = Shape { height: 28, width: 28, channels: 1 };
/// # let network = Network::resolve(&NetworkSpec::default(), image, 10)?;
/// use lagrange_core::schedule::{
///     ClassicParams, Cut, Round, ScheduleKind, ScheduleParams, ShardState, schedule,
/// };
///
/// let params = ScheduleParams { kind: ScheduleKind::Classic, ..ScheduleParams::default() };
/// let cut = Cut { shards: 1, samples: 4 };
/// let schedule = schedule(&params, &ClassicParams::default(), &network, cut);
/// assert!(schedule.is_stateful());
/// let mut state = ShardState::new(&network, 4);
/// let round = |stage| Round { step: 0, stage, gram: false };
/// assert!(state.advance(0, &*schedule, round(0)).is_ok());
/// // Round 1 is due.
/// assert!(state.advance(0, &*schedule, round(2)).is_err());
/// # Ok::<(), lagrange_core::network::NetworkError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ShardState {
    z: Vec<Array>,
    a: Vec<Array>,
    /// Steps that each sample has taken part in.
    visits: Vec<u64>,
    /// Step and number of the round that must come next.
    next: (u64, usize),
}

/// Values of one stage, sample after sample.
#[derive(Debug, Clone)]
struct Array {
    values: Vec<f32>,
    /// Values of one sample.
    length: usize,
}

/// Error: the z and a of a shard do not belong to the round asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the z and a of shard {shard} are not those that this round goes on from")]
pub struct StateLost {
    /// The shard.
    pub shard: u64,
}

/// z and a of the samples of one block, per stage and contiguous.
#[derive(Debug, Clone)]
pub(super) struct BlockState {
    pub(super) z: Vec<Vec<f32>>,
    pub(super) a: Vec<Vec<f32>>,
}

impl ShardState {
    /// Room for `samples` samples, before the first round.
    #[must_use]
    pub fn new(network: &Network, samples: usize) -> Self {
        let (z, a) = of_stages(network, |length| Array {
            values: vec![0.0; length * samples],
            length,
        });
        Self {
            z,
            a,
            visits: vec![0; samples],
            next: (0, 0),
        }
    }

    /// Advances the state past `round`.
    ///
    /// # Errors
    /// [`StateLost`] if another round is due: `round` does not continue from this state.
    pub fn advance(
        &mut self,
        shard: u64,
        schedule: &dyn Schedule,
        round: Round,
    ) -> Result<(), StateLost> {
        if self.next != (round.step, round.stage) {
            return Err(StateLost { shard });
        }
        self.next = schedule.next(round);
        Ok(())
    }

    /// Steps that the sample at `position` has taken part in.
    pub(super) fn visits(&self, position: u32) -> u64 {
        self.visits[position as usize]
    }

    pub(super) fn count_visits(&mut self, positions: &[u32]) {
        for &position in positions {
            self.visits[position as usize] += 1;
        }
    }

    pub(super) fn load(&self, positions: &[u32], block: &mut BlockState) {
        for (from, to) in self
            .z
            .iter()
            .zip(&mut block.z)
            .chain(self.a.iter().zip(&mut block.a))
        {
            for (to, &position) in to.chunks_exact_mut(from.length).zip(positions) {
                to.copy_from_slice(&from.values[position as usize * from.length..][..from.length]);
            }
        }
    }

    pub(super) fn store(&mut self, positions: &[u32], block: &BlockState) {
        for (to, from) in self
            .z
            .iter_mut()
            .zip(&block.z)
            .chain(self.a.iter_mut().zip(&block.a))
        {
            for (from, &position) in from.chunks_exact(to.length).zip(positions) {
                to.values[position as usize * to.length..][..to.length].copy_from_slice(from);
            }
        }
    }
}

impl BlockState {
    pub(super) fn new(network: &Network, samples: usize) -> Self {
        let (z, a) = of_stages(network, |length| vec![0.0; samples * length]);
        Self { z, a }
    }
}

/// What `array` makes of the length of a sample's z, for every stage, and of its a, for every hidden one.
fn of_stages<T>(network: &Network, array: impl Fn(usize) -> T) -> (Vec<T>, Vec<T>) {
    let z = network.stages().iter().map(|stage| stage.conv.len());
    let a = network.hidden().iter().map(|stage| stage.output.len());
    (z.map(&array).collect(), a.map(&array).collect())
}
