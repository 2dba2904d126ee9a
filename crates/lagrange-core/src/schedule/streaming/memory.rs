//! What the weight updates remember between steps, for a checkpoint.

use super::global::WeightUpdate;
use crate::equations::{average_triangle, pack_triangle, triangle_len};
use crate::finite::all_finite;
use crate::solver::GramSolver;

/// One stage's memory between steps.
#[derive(Debug, Clone, PartialEq)]
pub struct StageMemory {
    /// Packed lower triangle of the running Gram matrix.
    pub gram: Vec<f32>,
    /// Momentum of the cross moments, `[d, C]`.
    pub velocity: Vec<f32>,
    /// `|W|_G^2` as carried along since the last factorisation.
    pub square: f64,
    /// Gram matrices averaged so far.
    pub refreshes: u16,
    /// Whether the Gram matrix has moved since it was factorised.
    pub stale: bool,
}

/// A memory that is not one of this network's updates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("stage {}: {fault}", stage + 1)]
pub struct MemoryError {
    /// The stage, from 0.
    pub stage: usize,
    /// What is wrong.
    pub fault: &'static str,
}

impl WeightUpdate {
    /// What has to be kept to go on with the same bits.
    #[must_use]
    pub fn memory(&self) -> Vec<StageMemory> {
        let of_stage = |state: &super::global::StageState| {
            let mut gram = vec![0.0; triangle_len(state.gram.nrows())];
            pack_triangle(state.gram.view(), &mut gram);
            StageMemory {
                gram,
                velocity: state.velocity.iter().copied().collect(),
                square: state.square,
                refreshes: state.refreshes,
                stale: state.stale,
            }
        };
        self.stages.iter().map(of_stage).collect()
    }

    /// Goes on from `memory`. The factors of Gram matrices are computed afresh: they come out as they were.
    ///
    /// # Errors
    /// [`MemoryError`] if it is the memory of another network, or holds what are no numbers.
    pub fn remember(&mut self, memory: &[StageMemory]) -> Result<(), MemoryError> {
        for (stage, state) in self.stages.iter_mut().enumerate() {
            let wrong = |fault| MemoryError { stage, fault };
            let memory = memory.get(stage).ok_or(wrong("it is missing"))?;
            let sizes = (triangle_len(state.gram.nrows()), state.velocity.len());
            if (memory.gram.len(), memory.velocity.len()) != sizes {
                return Err(wrong("it has another size"));
            }
            if !all_finite(&memory.gram)
                || !all_finite(&memory.velocity)
                || !memory.square.is_finite()
            {
                return Err(wrong("it holds values that are no numbers"));
            }
            average_triangle(&memory.gram, 0.0, 1.0, &mut state.gram);
            for (to, from) in state.velocity.iter_mut().zip(&memory.velocity) {
                *to = *from;
            }
            state.square = memory.square;
            state.refreshes = memory.refreshes;
            state.stale = memory.stale;
            state.solver = None;
            if memory.refreshes > 0 && !memory.stale {
                let solver = GramSolver::factorise(state.gram.view(), self.params.ridge, stage)
                    .map_err(|_| wrong("its Gram matrix is not positive definite"))?;
                state.solver = Some(solver);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::equations::EquationLayout;
    use crate::network::{Network, NetworkSpec, Shape};
    use crate::schedule::streaming::UpdateParams;
    use crate::start::he;
    use crate::toeplitz::tests::draw;

    fn network() -> Network {
        let input = Shape {
            height: 28,
            width: 28,
            channels: 1,
        };
        Network::resolve(&NetworkSpec::default(), input, 1).expect("default")
    }

    /// Sums of a step: cross moments at random, Gram matrices positive definite.
    fn sums(network: &Network, layout: &EquationLayout, seed: u64) -> Vec<f32> {
        let mut sums = draw(seed, layout.len());
        for stage in 0..if layout.has_gram() { network.len() } else { 0 } {
            let mut place = 0;
            for (row, line) in (0..network.stages()[stage].unknowns()).map(|row| (row, row + 1)) {
                let triangle = layout.triangle_mut(stage, &mut sums);
                for value in &mut triangle[place..place + line] {
                    *value *= 0.01;
                }
                triangle[place + row] = 30.0;
                place += line;
            }
        }
        sums
    }

    #[test]
    fn what_remembers_goes_on_with_the_same_bits_from_any_step() {
        let network = network();
        let layouts = [false, true].map(|gram| EquationLayout::new(&network, gram));
        let new = || {
            WeightUpdate::new(&network, UpdateParams::default(), 64, Some(256)).factorise_behind(2)
        };
        let (mut update, mut weights) = (new(), he(&network, 1));
        for step in 0..7u64 {
            let mut other = new();
            other.remember(&update.memory()).expect("its own memory");
            let mut other_weights = weights.clone();
            let layout = &layouts[usize::from(step % 2 == 0)];
            let sums = sums(&network, layout, step);
            let report = update.step(layout, &sums, 0.5, &mut weights).expect("step");
            let other_report = other
                .step(layout, &sums, 0.5, &mut other_weights)
                .expect("step");
            assert_eq!(weights, other_weights, "step {step}");
            assert_eq!(report, other_report);
            assert_eq!(update.memory(), other.memory());
        }
    }

    #[test]
    fn a_foreign_memory_is_refused_by_stage() {
        let network = network();
        let mut update = WeightUpdate::new(&network, UpdateParams::default(), 64, Some(256));
        let mut memory = update.memory();
        memory[1].velocity.pop();
        let error = update.remember(&memory).expect_err("another size");
        assert_eq!(error.stage, 1);
        let mut memory = update.memory();
        memory[2].gram[5] = f32::NAN;
        assert!(
            update
                .remember(&memory)
                .expect_err("no number")
                .to_string()
                .contains("stage 3")
        );
        assert!(update.remember(&[]).is_err());
    }
}
