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
    /// A buffer of `length` values to overwrite: zeros, or what was in it last.
    pub(super) fn take(&self, length: usize) -> Vec<f32> {
        let mut idle = lock(&self.idle);
        // Of the very length: growing one would write what is about to be overwritten.
        match idle.iter().rposition(|buffer| buffer.len() == length) {
            Some(place) => idle.swap_remove(place),
            None => vec![0.0; length],
        }
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
