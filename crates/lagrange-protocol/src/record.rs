//! Records of single shards: what the work of each came to, before its sums are added to others.

use crate::{ConversionError, v1};
use lagrange_core::check::{Check, Tally};

/// What one shard's work came to.
///
/// ```
/// use lagrange_core::check::{Check, Tally};
/// use lagrange_protocol::{ShardRecord, part_crc32, v1};
///
/// let tally = Tally { check: Check::Sweep, stage: 1, ran: 5, held: 5, worst: 0.0 };
/// let crc32 = part_crc32(&[1.0, 2.0], &[0.5], &[]);
/// let record = ShardRecord { crc32, checks: vec![tally] };
/// assert_eq!(ShardRecord::try_from(v1::ShardRecord::from(record.clone())), Ok(record));
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ShardRecord {
    /// [`part_crc32`] of its part.
    pub crc32: u32,
    /// What its checks came to, by check and stage.
    pub checks: Vec<Tally>,
}

/// CRC-32 of one shard's part of a reply: its sums, scalars and rows.
#[must_use]
pub fn part_crc32(sums: &[f32], scalars: &[f64], rows: &[f32]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(bytemuck::cast_slice(sums));
    hasher.update(bytemuck::cast_slice(scalars));
    hasher.update(bytemuck::cast_slice(rows));
    hasher.finalize()
}

/// Checksum of a step of several rounds: that of its rounds so far, `None` before the first, continued by the
/// next one's.
///
/// ```
/// use lagrange_protocol::chained_crc32;
///
/// assert_eq!(chained_crc32(None, 7), 7);
/// assert_ne!(chained_crc32(Some(7), 8), chained_crc32(Some(8), 7));
/// ```
#[must_use]
pub fn chained_crc32(before: Option<u32>, next: u32) -> u32 {
    let Some(before) = before else {
        return next;
    };
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&before.to_le_bytes());
    hasher.update(&next.to_le_bytes());
    hasher.finalize()
}

impl From<ShardRecord> for v1::ShardRecord {
    fn from(record: ShardRecord) -> Self {
        let check = |check| match check {
            Check::Sweep => v1::Check::Sweep,
            Check::OutputProx => v1::Check::OutputProx,
            Check::HiddenProx => v1::Check::HiddenProx,
            Check::ActivationStep => v1::Check::ActivationStep,
            Check::NormalEquations => v1::Check::NormalEquations,
        };
        let tally = |tally: Tally| v1::CheckTally {
            check: check(tally.check).into(),
            stage: tally.stage as u32,
            ran: tally.ran,
            held: tally.held,
            worst: tally.worst,
        };
        Self {
            crc32: record.crc32,
            checks: record.checks.into_iter().map(tally).collect(),
        }
    }
}

impl TryFrom<v1::ShardRecord> for ShardRecord {
    type Error = ConversionError;

    fn try_from(record: v1::ShardRecord) -> Result<Self, ConversionError> {
        let check = |tally: &v1::CheckTally| match tally.check() {
            v1::Check::Sweep => Ok(Check::Sweep),
            v1::Check::OutputProx => Ok(Check::OutputProx),
            v1::Check::HiddenProx => Ok(Check::HiddenProx),
            v1::Check::ActivationStep => Ok(Check::ActivationStep),
            v1::Check::NormalEquations => Ok(Check::NormalEquations),
            v1::Check::Unspecified => Err(ConversionError::UnknownValue {
                field: "reply.records.checks.check",
                value: tally.check,
            }),
        };
        let tally = |tally: v1::CheckTally| {
            Ok(Tally {
                check: check(&tally)?,
                stage: tally.stage as usize,
                ran: tally.ran,
                held: tally.held,
                worst: tally.worst,
            })
        };
        let checks = record.checks.into_iter().map(tally);
        Ok(Self {
            crc32: record.crc32,
            checks: checks.collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_survives_the_wire_and_an_unknown_one_is_named() {
        let checks = Check::ALL.into_iter().enumerate();
        let tally = |(stage, check)| Tally {
            check,
            stage,
            ran: 3,
            held: 2,
            worst: 0.25,
        };
        let record = ShardRecord {
            crc32: 9,
            checks: checks.map(tally).collect(),
        };
        let mut wire = v1::ShardRecord::from(record.clone());
        assert_eq!(ShardRecord::try_from(wire.clone()), Ok(record));
        wire.checks[1].check = 77;
        let unknown = ConversionError::UnknownValue {
            field: "reply.records.checks.check",
            value: 77,
        };
        assert_eq!(ShardRecord::try_from(wire), Err(unknown));
    }

    #[test]
    fn one_bit_anywhere_changes_the_checksum() {
        let (sums, scalars, rows) = ([1.0f32, -0.0], [2.0f64], [3.0f32]);
        let whole = part_crc32(&sums, &scalars, &rows);
        assert_ne!(whole, part_crc32(&[1.0, 0.0], &scalars, &rows));
        assert_ne!(
            whole,
            part_crc32(&sums, &[f64::from_bits(2.0f64.to_bits() + 1)], &rows)
        );
        assert_ne!(
            whole,
            part_crc32(&sums, &scalars, &[f32::from_bits(3.0f32.to_bits() ^ 1)])
        );
    }
}
