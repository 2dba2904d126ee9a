//! Memory: the state of a schedule's coordinator half between two steps, for a checkpoint.

use crate::finite::all_finite;
use std::collections::BTreeMap;

/// Saved state: numbers and arrays by name.
///
/// ```
/// # use lagrange_core::network::{Network, NetworkSpec, Shape};
/// # let image = Shape { height: 28, width: 28, channels: 1 };
/// # let network = Network::resolve(&NetworkSpec::default(), image, 10)?;
/// use lagrange_core::schedule::{ClassicParams, Cut, Memory, ScheduleParams, schedule};
///
/// let (params, cut) = (ScheduleParams::default(), Cut { shards: 1, samples: 4 });
/// let schedule = schedule(&params, &ClassicParams::default(), &network, cut);
/// let memory = schedule.coordinator().memory();
/// // The running Gram matrix of each stage, as its lower triangle.
/// assert_eq!(memory.arrays["0.gram"].len(), 26 * 27 / 2);
/// let mut other = schedule.coordinator();
/// assert_eq!(other.restore(&memory), Ok(()));
/// assert!(other.restore(&Memory::default()).is_err());
/// # Ok::<(), lagrange_core::network::NetworkError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Memory {
    /// Single values as bits, which text keeps exactly.
    pub numbers: BTreeMap<String, u64>,
    /// Arrays.
    pub arrays: BTreeMap<String, Vec<f32>>,
}

/// Error: a memory of another schedule or network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} {fault}")]
pub struct MemoryError {
    /// Name of the entry.
    pub name: String,
    /// The fault, as the rest of a sentence.
    pub fault: &'static str,
}

impl MemoryError {
    pub(super) fn new(name: &str, fault: &'static str) -> Self {
        Self {
            name: name.to_owned(),
            fault,
        }
    }
}

impl Memory {
    pub(super) fn set_number(&mut self, name: &str, bits: u64) {
        self.numbers.insert(name.to_owned(), bits);
    }

    pub(super) fn set_array(&mut self, name: &str, values: Vec<f32>) {
        self.arrays.insert(name.to_owned(), values);
    }

    pub(super) fn number(&self, name: &str) -> Result<u64, MemoryError> {
        let number = self.numbers.get(name).copied();
        number.ok_or_else(|| MemoryError::new(name, "is missing"))
    }

    /// An array of exactly `length` finite values.
    pub(super) fn array(&self, name: &str, length: usize) -> Result<&[f32], MemoryError> {
        let values = self
            .arrays
            .get(name)
            .ok_or_else(|| MemoryError::new(name, "is missing"))?;
        if values.len() != length {
            return Err(MemoryError::new(name, "has another size"));
        }
        match all_finite(values) {
            true => Ok(values),
            false => Err(MemoryError::new(name, "holds values that are not finite")),
        }
    }
}
