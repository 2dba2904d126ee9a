//! Buffers for sums, reused from round to round: a freed megabyte returns to the system, and mapping it again
//! costs more than filling it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Idle = Arc<Mutex<Vec<Vec<f32>>>>;

/// Idle buffers.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    idle: Idle,
}

impl Buffers {
    /// A buffer of `length` values to overwrite, with undefined content.
    pub(super) fn take(&self, length: usize) -> Vec<f32> {
        let mut idle = lock(&self.idle);
        // The exact length: growing a buffer would write values that are overwritten anyway.
        match idle.iter().rposition(|buffer| buffer.len() == length) {
            Some(place) => idle.swap_remove(place),
            None => vec![0.0; length],
        }
    }

    /// Returns a buffer that is no longer needed.
    pub(super) fn give_back(&self, buffer: Vec<f32>) {
        lock(&self.idle).push(buffer);
    }

    /// Wraps values to send; their buffer returns when they are dropped.
    pub(super) fn lend(&self, values: Vec<f32>) -> Lent {
        Lent {
            values,
            idle: Arc::clone(&self.idle),
        }
    }
}

/// A buffer that returns to the idle ones when dropped.
#[derive(Debug)]
pub(super) struct Lent {
    values: Vec<f32>,
    idle: Idle,
}

impl AsRef<[f32]> for Lent {
    fn as_ref(&self) -> &[f32] {
        &self.values
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        lock(&self.idle).push(std::mem::take(&mut self.values));
    }
}

fn lock(idle: &Idle) -> MutexGuard<'_, Vec<Vec<f32>>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back() {
        let buffers = Buffers::default();
        let mut first = buffers.take(4);
        let place = first.as_ptr();
        first.fill(7.0);
        let lent = buffers.lend(first);
        assert_eq!(lent.as_ref(), &[7.0; 4]);
        drop(lent);
        assert_eq!(buffers.take(3).len(), 3);
        let again = buffers.take(4);
        assert_eq!((again.as_ptr(), again.len()), (place, 4));
    }
}
