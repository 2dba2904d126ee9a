//! The certificate of a run: which checks ran, and what they came to.

use super::{Check, Tally};
use serde::{Serialize, Serializer, ser::SerializeStruct as _};

/// Most checks that an entry may come with: their sums stay far from overflow.
const MOST: u64 = u64::MAX >> 16;

/// Where in a run a check ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Steps completed with it.
    pub step: u64,
    /// The shard; `None` at the coordinator.
    pub shard: Option<u32>,
}

/// A line of a certificate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry {
    /// Counts and worst amount of one check of one stage.
    pub tally: Tally,
    /// Where the worst amount was first met.
    pub worst_at: Place,
}

impl Entry {
    /// Whether it held wherever it ran.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.tally.held == self.tally.ran
    }
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { tally, worst_at } = self;
        let mut fields = serializer.serialize_struct("Entry", 9)?;
        fields.serialize_field("check", &tally.check)?;
        fields.serialize_field("stage", &tally.stage)?;
        fields.serialize_field("ran", &tally.ran)?;
        fields.serialize_field("held", &tally.held)?;
        fields.serialize_field("failed", &(tally.ran - tally.held))?;
        fields.serialize_field("worst", &tally.worst)?;
        fields.serialize_field("tolerance", &tally.check.tolerance())?;
        fields.serialize_field("worst_step", &worst_at.step)?;
        fields.serialize_field("worst_shard", &worst_at.shard)?;
        fields.end()
    }
}

/// What the checks of a run came to: see [`crate::check`].
///
/// ```
/// use lagrange_core::check::{Certificate, Check, Checks, Place};
///
/// let mut checks = Checks::default();
/// checks.record(Check::Sweep, 1, 1e-9);
/// let mut certificate = Certificate::default();
/// let place = Place { step: 3, shard: Some(2) };
/// assert_eq!(certificate.absorb(place, checks.tallies()), []);
/// assert_eq!((certificate.ran(), certificate.failed()), (1, 0));
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Certificate {
    /// Steps that the run had completed before its checks were counted: 0 for a whole run.
    since: u64,
    entries: Vec<Entry>,
}

impl Certificate {
    /// A certificate that counts from the step after `step` on.
    #[must_use]
    pub fn since(step: u64) -> Self {
        Self {
            since: step,
            entries: Vec::new(),
        }
    }

    /// The certificate with these entries; `None` if there can be none.
    #[must_use]
    pub fn of(since: u64, entries: Vec<Entry>, stages: usize) -> Option<Self> {
        let key = |entry: &Entry| (entry.tally.check, entry.tally.stage);
        let sound =
            |Entry { tally, .. }: &Entry| tally.is_sound(stages) && (1..=MOST).contains(&tally.ran);
        let sound = entries.iter().all(sound);
        let sorted = entries.is_sorted_by(|a, b| key(a) < key(b));
        (sound && sorted).then_some(Self { since, entries })
    }

    /// Steps that the run had completed before its checks were counted.
    #[must_use]
    pub fn counted_since(&self) -> u64 {
        self.since
    }

    /// Adds what was checked at `place`; returns the entries of kinds of checks that fail for the first time.
    pub fn absorb(&mut self, place: Place, tallies: &[Tally]) -> Vec<Entry> {
        let mut first = Vec::new();
        for tally in tallies {
            let known = self.has_failed(tally.check);
            self.add(place, tally);
            if !known && tally.held < tally.ran {
                first.push(Entry {
                    tally: *tally,
                    worst_at: place,
                });
            }
        }
        first
    }

    fn add(&mut self, place: Place, tally: &Tally) {
        let key = |entry: &Entry| (entry.tally.check, entry.tally.stage);
        match self
            .entries
            .binary_search_by_key(&(tally.check, tally.stage), key)
        {
            Ok(at) => {
                let entry = &mut self.entries[at];
                entry.tally.ran += tally.ran;
                entry.tally.held += tally.held;
                if tally.worst > entry.tally.worst {
                    (entry.tally.worst, entry.worst_at) = (tally.worst, place);
                }
            }
            Err(at) => self.entries.insert(
                at,
                Entry {
                    tally: *tally,
                    worst_at: place,
                },
            ),
        }
    }

    fn has_failed(&self, check: Check) -> bool {
        let of_kind = |entry: &&Entry| entry.tally.check == check;
        !self.entries.iter().filter(of_kind).all(Entry::holds)
    }

    /// Entries in order of check and stage.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Checks that ran.
    #[must_use]
    pub fn ran(&self) -> u64 {
        self.entries.iter().map(|entry| entry.tally.ran).sum()
    }

    /// Checks that failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        let failed = |entry: &Entry| entry.tally.ran - entry.tally.held;
        self.entries.iter().map(failed).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Checks;
    use super::*;

    fn checks(amounts: &[f64]) -> Checks {
        let mut checks = Checks::default();
        amounts
            .iter()
            .for_each(|&amount| checks.record(Check::Sweep, 0, amount));
        checks
    }

    #[test]
    fn a_kind_is_told_of_once_and_the_worst_keeps_its_place() {
        let mut certificate = Certificate::default();
        let at = |step, shard| Place { step, shard };
        assert_eq!(
            certificate.absorb(at(1, Some(0)), checks(&[0.0]).tallies()),
            []
        );
        let told = certificate.absorb(at(2, Some(5)), checks(&[0.5, 0.0]).tallies());
        assert_eq!((told.len(), told[0].worst_at), (1, at(2, Some(5))));
        assert_eq!(
            certificate.absorb(at(3, None), checks(&[0.25]).tallies()),
            []
        );
        let entry = certificate.entries()[0];
        assert_eq!((certificate.ran(), certificate.failed()), (4, 2));
        assert_eq!((entry.worst_at, entry.tally.worst), (at(2, Some(5)), 0.5));
        let again = Certificate::of(0, certificate.entries().to_vec(), 1);
        assert_eq!(again, Some(certificate.clone()));
        assert_eq!(Certificate::of(0, vec![entry, entry], 1), None);
    }
}
