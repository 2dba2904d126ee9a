//! Counts of checks, and their worst amounts.

use super::Check;

/// One check of one stage: how often it ran and held, and the worst amount.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tally {
    /// The check.
    pub check: Check,
    /// Index of the stage, from 0.
    pub stage: usize,
    /// How often it ran.
    pub ran: u64,
    /// How often it held.
    pub held: u64,
    /// Largest amount of all; 0 where none exceeded it.
    pub worst: f64,
}

impl Tally {
    /// Whether it can be what checks of a network with `stages` stages came to.
    #[must_use]
    pub fn is_sound(&self, stages: usize) -> bool {
        let holds = self.worst <= self.check.tolerance();
        self.stage < stages
            && self.held <= self.ran
            && (self.worst >= 0.0 && self.worst.is_finite())
            && (self.held == self.ran) == holds
    }
}

/// Tallies by check and stage.
///
/// ```
/// use lagrange_core::check::{Check, Checks};
///
/// let mut checks = Checks::default();
/// checks.record(Check::HiddenProx, 0, 0.0);
/// checks.record(Check::HiddenProx, 0, 0.5);
/// let tally = checks.tallies()[0];
/// assert_eq!((tally.ran, tally.held, tally.worst), (2, 1, 0.5));
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Checks(Vec<Tally>);

impl Checks {
    /// Counts one check. What is not a number counts as the largest amount there is.
    pub fn record(&mut self, check: Check, stage: usize, amount: f64) {
        let worst = match amount.is_nan() {
            true => f64::MAX,
            false => amount.clamp(0.0, f64::MAX),
        };
        self.add(&Tally {
            check,
            stage,
            ran: 1,
            held: u64::from(worst <= check.tolerance()),
            worst,
        });
    }

    /// Adds a tally of other work: counts add, the worst is the largest.
    pub fn add(&mut self, tally: &Tally) {
        let key = |tally: &Tally| (tally.check, tally.stage);
        match self.0.binary_search_by_key(&key(tally), key) {
            Ok(place) => {
                let mine = &mut self.0[place];
                mine.ran += tally.ran;
                mine.held += tally.held;
                mine.worst = mine.worst.max(tally.worst);
            }
            Err(place) => self.0.insert(place, *tally),
        }
    }

    /// Tallies in order of check and stage.
    #[must_use]
    pub fn tallies(&self) -> &[Tally] {
        &self.0
    }

    /// Removes all tallies.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_order_the_sums_are_the_same() {
        let mut all = Vec::new();
        for (check, stage, amount) in [
            (Check::Sweep, 1, 0.0),
            (Check::Sweep, 0, -3.0),
            (Check::NormalEquations, 0, f64::NAN),
            (Check::Sweep, 1, f64::INFINITY),
        ] {
            let mut one = Checks::default();
            one.record(check, stage, amount);
            all.push(one);
        }
        let sum = |order: [usize; 4]| {
            let mut sum = Checks::default();
            for index in order {
                all[index].tallies().iter().for_each(|tally| sum.add(tally));
            }
            sum
        };
        let total = sum([0, 1, 2, 3]);
        assert_eq!(total, sum([3, 1, 0, 2]));
        let found = total.tallies().iter();
        let found: Vec<_> = found
            .map(|t| (t.check, t.stage, t.ran, t.held, t.worst))
            .collect();
        assert_eq!(
            found,
            [
                (Check::Sweep, 0, 1, 1, 0.0),
                (Check::Sweep, 1, 2, 1, f64::MAX),
                (Check::NormalEquations, 0, 1, 0, f64::MAX),
            ]
        );
        assert!(total.tallies().iter().all(|tally| tally.is_sound(2)));
    }

    #[test]
    fn a_tally_that_cannot_be_is_told() {
        let sound = Tally {
            check: Check::Sweep,
            stage: 1,
            ran: 2,
            held: 2,
            worst: 0.0,
        };
        assert!(sound.is_sound(2) && !sound.is_sound(1));
        for wrong in [
            Tally { held: 3, ..sound },
            Tally { held: 1, ..sound },
            Tally {
                worst: 1.0,
                ..sound
            },
            Tally {
                worst: f64::NAN,
                ..sound
            },
            Tally {
                worst: -1.0,
                ..sound
            },
        ] {
            assert!(!wrong.is_sound(2), "{wrong:?}");
        }
    }
}
