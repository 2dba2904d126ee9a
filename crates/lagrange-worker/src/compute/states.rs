//! Persistent z and a of the shards held, for stateful schedules.

use lagrange_core::network::Network;
use lagrange_core::schedule::{Round, Schedule, ShardState, StateLost};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// z and a by shard.
#[derive(Debug, Default)]
pub(super) struct States {
    held: Mutex<HashMap<u32, ShardState>>,
}

impl States {
    /// Takes out the state that `round` continues from, advanced past it; `None` for a stateless schedule.
    pub(super) fn take(
        &self,
        schedule: &dyn Schedule,
        network: &Network,
        round: Round,
        shard: u32,
        samples: usize,
    ) -> Result<Option<ShardState>, StateLost> {
        if !schedule.is_stateful() {
            return Ok(None);
        }
        // A first round starts anew, whatever an earlier attempt left.
        let first = (round.step, round.stage) == (0, 0);
        let held = self.lock().remove(&shard).filter(|_| !first);
        let mut state = held.unwrap_or_else(|| ShardState::new(network, samples));
        state.advance(shard.into(), schedule, round)?;
        Ok(Some(state))
    }

    /// Puts a state back when its round is done.
    pub(super) fn put_back(&self, shard: u32, state: Option<ShardState>) {
        if let Some(state) = state {
            self.lock().insert(shard, state);
        }
    }

    pub(super) fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u32, ShardState>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
