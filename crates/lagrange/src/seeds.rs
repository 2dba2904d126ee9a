//! Lists of seeds as a user writes them: `0..5`, `7`, `0,3,10..12`.

use std::fmt;
use std::str::FromStr;

/// Distinct seeds, in the order given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seeds(Vec<u64>);

/// Most seeds of one list: more is a slip of the finger.
const MOST: u64 = 10_000;

/// Why a text is no list of seeds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no list of seeds: give distinct numbers and ranges, for example 0..5 or 0,3,7")]
pub struct SeedsError(String);

impl Seeds {
    /// The seeds.
    #[must_use]
    pub fn as_slice(&self) -> &[u64] {
        &self.0
    }
}

impl FromStr for Seeds {
    type Err = SeedsError;

    fn from_str(text: &str) -> Result<Self, SeedsError> {
        let error = || SeedsError(text.to_owned());
        let number = |text: &str| text.trim().parse::<u64>().map_err(|_| error());
        let mut seeds = Vec::new();
        for part in text.split(',') {
            let range = match part.split_once("..") {
                Some((from, to)) => number(from)?..number(to)?,
                None => number(part)?..number(part)?.saturating_add(1),
            };
            if range.is_empty() || range.end - range.start > MOST {
                return Err(error());
            }
            for seed in range {
                if seeds.contains(&seed) {
                    return Err(error());
                }
                seeds.push(seed);
            }
        }
        Ok(Self(seeds))
    }
}

impl fmt::Display for Seeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<_> = self.0.iter().map(u64::to_string).collect();
        f.write_str(&texts.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_ranges_are_read_and_slips_refused() {
        let read = |text: &str| text.parse::<Seeds>().map(|seeds| seeds.0);
        assert_eq!(read("0..3"), Ok(vec![0, 1, 2]));
        assert_eq!(read("7"), Ok(vec![7]));
        assert_eq!(read("5, 1..3,9"), Ok(vec![5, 1, 2, 9]));
        for wrong in [
            "", "3..3", "5..1", "1,1", "0..2,1", "a", "0..99999", "-1", "1..2..3",
        ] {
            assert_eq!(read(wrong), Err(SeedsError(wrong.to_owned())), "{wrong}");
        }
    }
}
