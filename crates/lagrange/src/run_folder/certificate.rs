//! The certificate of a run, as its result has it.

use crate::Config;
use lagrange_core::check::{Certificate, Check, Entry};
use serde::Serialize;
use std::fmt;

/// Which checks of optimality ran in a run, and whether they held.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CertificateFigures {
    /// Checks that ran.
    pub ran: u64,
    /// Checks that held.
    pub held: u64,
    /// Checks that failed.
    pub failed: u64,
    /// Steps between checks; 0 for none.
    pub check_every: u64,
    /// Steps that had been completed before checks were counted, where the run was begun by a release that
    /// made none.
    #[serde(skip_serializing_if = "is_zero")]
    pub since_step: u64,
    /// Counts and worst amounts by check and stage.
    pub entries: Vec<Entry>,
    /// Checks that this kind of run has not.
    pub not_run: Vec<NotRun>,
}

/// A check that a run has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct NotRun {
    /// The check.
    pub check: Check,
    /// Why not.
    pub reason: &'static str,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl CertificateFigures {
    /// The figures of a run of `config`.
    pub(crate) fn new(config: &Config, certificate: &Certificate) -> Self {
        let unchecked = config.schedule.unchecked(&config.classic).into_iter();
        let not_run = unchecked.map(|(check, reason)| NotRun { check, reason });
        let (ran, failed) = (certificate.ran(), certificate.failed());
        Self {
            ran,
            held: ran - failed,
            failed,
            check_every: config.schedule.check_every,
            since_step: certificate.counted_since(),
            entries: certificate.entries().to_vec(),
            not_run: not_run.collect(),
        }
    }

    /// The entry that failed by most, relative to its tolerance.
    fn worst(&self) -> Option<&Entry> {
        let excess = |entry: &Entry| entry.tally.worst / entry.tally.check.tolerance();
        let failed = self.entries.iter().filter(|entry| !entry.holds());
        failed.max_by(|a, b| excess(a).total_cmp(&excess(b)))
    }
}

/// `1,234 checks, all held`, or how many failed and the worst of them.
impl fmt::Display for CertificateFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let checks = grouped(self.ran);
        match (self.ran, self.worst()) {
            (0, _) if self.check_every == 0 => write!(f, "no checks: schedule.check-every is 0"),
            (0, _) => write!(f, "no checks ran"),
            (_, None) => write!(f, "{checks} checks, all held"),
            (_, Some(entry)) => {
                write!(
                    f,
                    "{checks} checks, {} failed: {}",
                    grouped(self.failed),
                    failure(entry)
                )
            }
        }?;
        match self.since_step {
            0 => Ok(()),
            step => write!(f, " (counted behind step {step})"),
        }
    }
}

/// Where the worst of an entry's checks failed, and by how much.
#[must_use]
pub fn failure(entry: &Entry) -> String {
    let (tally, place) = (&entry.tally, entry.worst_at);
    let shard = place
        .shard
        .map_or_else(String::new, |shard| format!(", shard {shard}"));
    format!(
        "{} of stage {} by {:.1e} where {:.0e} is allowed, in step {}{shard}",
        tally.check,
        tally.stage + 1,
        tally.worst,
        tally.check.tolerance(),
        place.step
    )
}

/// A number with commas between its thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use lagrange_core::check::{Checks, Place};

    fn figures(amounts: &[f64]) -> CertificateFigures {
        let mut certificate = Certificate::default();
        for (step, &amount) in (1..).zip(amounts) {
            let mut checks = Checks::default();
            checks.record(Check::HiddenProx, 1, amount);
            let place = Place {
                step,
                shard: Some(4),
            };
            certificate.absorb(place, checks.tallies());
        }
        CertificateFigures::new(&Config::default(), &certificate)
    }

    #[test]
    fn one_line_says_what_a_person_wants_to_know() {
        assert_eq!(figures(&[]).to_string(), "no checks ran");
        assert_eq!(figures(&[0.0; 1234]).to_string(), "1,234 checks, all held");
        assert_eq!(
            figures(&[0.0, 0.25, 0.125]).to_string(),
            "3 checks, 2 failed: hidden-prox of stage 2 by 2.5e-1 where 1e-6 is allowed, in step 2, shard 4"
        );
    }

    #[test]
    fn thousands_are_told_apart() {
        let all = [0, 999, 1000, 1_234_567].map(grouped);
        assert_eq!(all, ["0", "999", "1,000", "1,234,567"]);
    }
}
