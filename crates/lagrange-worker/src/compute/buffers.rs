//! Buffers for sums, used again from round to round: a megabyte that is freed goes back to the system, and getting it back costs more than
//! what is written to it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Idle = Arc<Mutex<Vec<Vec<f32>>>>;

/// Idle buffers.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    idle: Idle,
}

impl Buffers {
    /// A buffer of `length` zeros.
    pub(super) fn take(&self, length: usize) -> Vec<f32> {
        let mut buffer = lock(&self.idle).pop().unwrap_or_default();
        buffer.clear();
        buffer.resize(length, 0.0);
        buffer
    }

    /// Takes a buffer that is no longer needed.
    pub(super) fn give_back(&self, buffer: Vec<f32>) {
        lock(&self.idle).push(buffer);
    }

    /// Values to send, which come back by themselves when they have been.
    pub(super) fn lend(&self, values: Vec<f32>) -> Lent {
        Lent {
            values,
            idle: Arc::clone(&self.idle),
        }
    }
}

/// A buffer that returns to where it came from.
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
    fn a_buffer_comes_back_and_starts_with_zeros() {
        let buffers = Buffers::default();
        let mut first = buffers.take(4);
        let place = first.as_ptr();
        first.fill(7.0);
        let lent = buffers.lend(first);
        assert_eq!(lent.as_ref(), &[7.0; 4]);
        drop(lent);
        let again = buffers.take(3);
        assert_eq!((again.as_ptr(), &again[..]), (place, &[0.0; 3][..]));
    }
}
