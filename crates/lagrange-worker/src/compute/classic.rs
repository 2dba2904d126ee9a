//! Rounds of classic steps, which go on from the z and a that are kept here.

use super::scratch::Kernel;
use super::{Compute, ComputeError, Context, Part};
use crate::store::Shard;
use lagrange_core::schedule::classic::{
    ShardState, StateLost, SweepInput, SweepOutput, SweepParams, SweepRound, sweep_layout,
};
use lagrange_protocol::ConversionError;
use std::sync::PoisonError;

impl Compute {
    /// One round of a classic step. The shard's z and a are taken out of the store meanwhile, and put back when the round is done.
    pub(super) fn sweep(
        &self,
        context: &Context<'_>,
        round: SweepRound,
        (index, shard): (u32, &Shard),
        multipliers: &[f32],
        part: &mut Part,
    ) -> Result<(), ComputeError> {
        let params = (self.spec.sweep).ok_or(ConversionError::Missing("spec.sweep"))?;
        let mut state = self.take_state(round, &params, index, shard.train.len())?;
        let positions: Vec<u32> = {
            let mut order = shard.order.lock().unwrap_or_else(PoisonError::into_inner);
            order.positions(round.step).to_vec()
        };
        self.with_scratch(|scratch| {
            let samples = positions.iter().map(|&position| position as usize);
            self.load(scratch, &shard.train, samples, Some((index, round.step)));
            let input = SweepInput {
                weights: &context.weights,
                images: &scratch.images,
                targets: &scratch.targets,
                multipliers,
                positions: &positions,
                round,
                key: (self.spec.seed, index.into()),
            };
            // Residuals come first, if this round has any.
            let (residuals, rows) = part.rows.split_at_mut(multipliers.len());
            let output = SweepOutput {
                sums: &mut part.sums,
                residuals,
                rows,
            };
            let layout = sweep_layout(&self.network, &params, round);
            if let Kernel::Classic(kernel, _) = &mut scratch.kernel {
                part.scalars = kernel.run(&layout, &mut state, &input, output).to_row();
            }
        });
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.insert(index, state);
        Ok(())
    }

    /// The state that `round` goes on from, already advanced past it.
    fn take_state(
        &self,
        round: SweepRound,
        params: &SweepParams,
        index: u32,
        samples: usize,
    ) -> Result<ShardState, StateLost> {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        // A first round begins anew, whatever is left here of an earlier attempt.
        let first = (round.step, round.stage) == (0, 0);
        let held = states.remove(&index).filter(|_| !first);
        drop(states);
        let mut state = held.unwrap_or_else(|| ShardState::new(&self.network, samples));
        if !params.is_stateless() {
            state.advance(index.into(), params.order, round, self.network.len())?;
        }
        Ok(state)
    }
}
