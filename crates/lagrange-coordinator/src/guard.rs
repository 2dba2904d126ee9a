//! The divergence guard: keeps the best iterate of a run, and goes back to it when the loss returns to where
//! it began or is not finite.

use crate::checkpoint::{Arrays, CheckpointError};
use crate::iterate::{Iterate, Numbers};
use lagrange_core::network::Network;
use serde::{Deserialize, Serialize};

/// Steps whose mean loss decides.
const WINDOW: u32 = 16;
/// A run has diverged when its loss is this many times its best one and back to this part of its first one.
const TIMES_BEST: f64 = 4.0;
const OF_FIRST: f64 = 0.5;
/// Every rollback makes the steps shorter by this.
const SHORTER: f32 = 0.25;
/// A run that diverges more often than this is given up.
const MOST_ROLLBACKS: u32 = 6;

/// An iterate kept.
#[derive(Debug)]
pub(crate) struct Kept {
    /// Mean loss on the way to it.
    pub(crate) loss: f64,
    /// Steps completed.
    pub(crate) step: u64,
    pub(crate) iterate: Iterate,
}

/// Watches the loss of a run.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    counts: Counts,
    best: Option<Kept>,
    /// A better iterate, until the steps after it have shown that it was sound.
    candidate: Option<Kept>,
}

/// What a guard has counted.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Counts {
    /// Losses of the window so far: their sum and number.
    sum: f64,
    losses: u32,
    /// Loss of the first step.
    first: Option<f64>,
    rollbacks: u32,
}

/// What the guard makes of a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Verdict {
    /// Go on.
    Fine,
    /// The best mean loss so far: worth keeping the iterate for.
    Best(f64),
    /// Training diverged.
    Diverged,
}

impl Guard {
    /// Whether it has yet to hear of the start.
    pub(crate) fn is_new(&self) -> bool {
        self.counts.first.is_none()
    }

    /// Takes the first iterate and its loss.
    pub(crate) fn begin(&mut self, loss: f64, iterate: Iterate) {
        self.counts.first = Some(loss);
        self.best = Some(Kept {
            loss,
            step: 0,
            iterate,
        });
    }

    /// Takes the mean loss of a step.
    pub(crate) fn watch(&mut self, loss: f64) -> Verdict {
        let counts = &mut self.counts;
        counts.sum += loss;
        counts.losses += 1;
        if counts.losses < WINDOW {
            return Verdict::Fine;
        }
        let mean = counts.sum / f64::from(counts.losses);
        (counts.sum, counts.losses) = (0.0, 0);
        let first = counts.first.unwrap_or(f64::INFINITY);
        let best = [&self.candidate, &self.best]
            .into_iter()
            .flatten()
            .map(|kept| kept.loss)
            .fold(f64::INFINITY, f64::min);
        if mean > TIMES_BEST * best && mean > OF_FIRST * first {
            return Verdict::Diverged;
        }
        self.best = self.candidate.take().or(self.best.take());
        if mean < best {
            Verdict::Best(mean)
        } else {
            Verdict::Fine
        }
    }

    /// Keeps the iterate behind which [`Guard::watch`] called the mean loss the best.
    pub(crate) fn keep(&mut self, candidate: Kept) {
        self.candidate = Some(candidate);
    }

    /// What to go back to; `None` if there is nothing, or it has been tried too often. [`Guard::factor`] is
    /// smaller from now on.
    pub(crate) fn roll_back(&mut self) -> Option<&Kept> {
        let counts = &mut self.counts;
        (counts.sum, counts.losses) = (0.0, 0);
        counts.rollbacks += 1;
        let unproven = self.candidate.take();
        self.best = self.best.take().or(unproven);
        let tried = counts.rollbacks > MOST_ROLLBACKS;
        self.best.as_ref().filter(|_| !tried)
    }

    /// How often training went back.
    pub(crate) fn rollbacks(&self) -> u32 {
        self.counts.rollbacks
    }

    /// Factor of step lengths after the rollbacks so far.
    pub(crate) fn factor(&self) -> f32 {
        SHORTER.powi(self.counts.rollbacks as i32)
    }
}

/// The small part of a guard in a checkpoint. f64 are kept as bits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(Default))]
pub(crate) struct GuardFacts {
    sum: u64,
    losses: u32,
    first: Option<u64>,
    rollbacks: u32,
    best: Option<KeptFacts>,
    candidate: Option<KeptFacts>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct KeptFacts {
    loss: u64,
    step: u64,
    schedule: Numbers,
}

impl Guard {
    /// Puts its arrays down; the facts that go with them.
    pub(crate) fn save(&self, arrays: &mut Arrays) -> GuardFacts {
        let mut save = |name, kept: &Option<Kept>| {
            kept.as_ref().map(|kept| KeptFacts {
                loss: kept.loss.to_bits(),
                step: kept.step,
                schedule: kept.iterate.save(&prefix(name), arrays),
            })
        };
        GuardFacts {
            sum: self.counts.sum.to_bits(),
            losses: self.counts.losses,
            first: self.counts.first.map(f64::to_bits),
            rollbacks: self.counts.rollbacks,
            best: save("best", &self.best),
            candidate: save("candidate", &self.candidate),
        }
    }

    /// The guard that [`Guard::save`] put down, of iterates such as `like`.
    ///
    /// # Errors
    /// [`CheckpointError::Damaged`] if no guard of this run comes to that.
    pub(crate) fn load(
        facts: &GuardFacts,
        network: &Network,
        like: &Iterate,
        arrays: &Arrays,
    ) -> Result<Self, CheckpointError> {
        if facts.losses >= WINDOW || facts.rollbacks > MOST_ROLLBACKS {
            let fault = "what its guard has counted cannot be";
            return Err(CheckpointError::damaged(fault));
        }
        let load = |name, facts: &Option<KeptFacts>| {
            let Some(facts) = facts else {
                return Ok(None);
            };
            let other = || CheckpointError::damaged("its guard is of another schedule");
            let mut iterate = like.fork().ok_or_else(other)?;
            iterate.load(network, &prefix(name), &facts.schedule, arrays)?;
            Ok(Some(Kept {
                loss: f64::from_bits(facts.loss),
                step: facts.step,
                iterate,
            }))
        };
        Ok(Self {
            counts: Counts {
                sum: f64::from_bits(facts.sum),
                losses: facts.losses,
                first: facts.first.map(f64::from_bits),
                rollbacks: facts.rollbacks,
            },
            best: load("best", &facts.best)?,
            candidate: load("candidate", &facts.candidate)?,
        })
    }
}

fn prefix(name: &str) -> String {
    format!("guard.{name}.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::multipliers::Multipliers;
    use lagrange_core::network::{NetworkSpec, Shape};
    use lagrange_core::schedule::{ClassicParams, Cut, ScheduleParams, schedule};
    use lagrange_core::weights::Weights;

    fn window(guard: &mut Guard, loss: f64) -> Verdict {
        (1..WINDOW).for_each(|_| assert_eq!(guard.watch(loss), Verdict::Fine));
        guard.watch(loss)
    }

    #[test]
    fn only_a_loss_that_comes_back_is_a_divergence() {
        let mut guard = Guard::default();
        guard.begin(1.0, iterate());
        assert_eq!(window(&mut guard, 0.125), Verdict::Best(0.125));
        guard.keep(kept(0.125, 32));
        assert_eq!(window(&mut guard, 0.25), Verdict::Fine);
        assert_eq!(window(&mut guard, 0.0625), Verdict::Best(0.0625));
        guard.keep(kept(0.0625, 64));
        assert_eq!(window(&mut guard, 0.6), Verdict::Diverged);
        // The steps after 64 went wrong, so that iterate may have been on its way.
        assert_eq!(guard.roll_back().expect("kept").step, 32);
        assert_eq!(guard.factor(), SHORTER);
    }

    #[test]
    fn it_gives_up_without_an_iterate_or_after_many_rollbacks() {
        assert!(Guard::default().roll_back().is_none());
        let mut guard = Guard::default();
        guard.keep(kept(0.1, 16));
        for _ in 0..MOST_ROLLBACKS {
            assert!(guard.roll_back().is_some());
        }
        assert!(guard.roll_back().is_none());
    }

    #[test]
    fn a_guard_is_loaded_as_it_was_saved() {
        let mut guard = Guard::default();
        guard.begin(1.0, iterate());
        assert_eq!(window(&mut guard, 0.125), Verdict::Best(0.125));
        guard.keep(kept(0.125, 32));
        let mut arrays = Arrays::default();
        let facts = guard.save(&mut arrays);
        let load = |facts: &GuardFacts, arrays: &Arrays| {
            Guard::load(facts, &network(), &iterate(), arrays).map(|guard| {
                let mut copies = Arrays::default();
                (guard.save(&mut copies), copies)
            })
        };
        let (again, copies) = load(&facts, &arrays).expect("sound");
        assert_eq!((&again, &copies), (&facts, &arrays));
        assert!(load(&facts, &Arrays::default()).is_err());
        let counted = GuardFacts {
            losses: WINDOW,
            ..facts
        };
        assert!(load(&counted, &arrays).is_err());
    }

    fn kept(loss: f64, step: u64) -> Kept {
        Kept {
            loss,
            step,
            iterate: iterate(),
        }
    }

    fn network() -> Network {
        let input = Shape {
            height: 28,
            width: 28,
            channels: 1,
        };
        Network::resolve(&NetworkSpec::default(), input, 1).expect("default")
    }

    fn iterate() -> Iterate {
        let (params, classic) = (ScheduleParams::default(), ClassicParams::default());
        let cut = Cut {
            shards: 1,
            samples: 4,
        };
        Iterate {
            weights: Weights::zeros(&network()),
            multipliers: Multipliers::zeros([1].into_iter(), 1),
            schedule: schedule(&params, &classic, &network(), cut).coordinator(),
        }
    }
}
