//! Keyed random streams: every draw has a key by its purpose, independent of when it happens.
//!
//! A stream is a pure function of `(seed, purpose, shard, step)`, so any process that knows the four values
//! reproduces it, whatever it computed before. Results are therefore the same for any number of workers.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Purpose of a random stream. Two purposes never share a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Initial kernels (He start). Shard 0; step is the stage.
    Weights,
    /// The order of a shard's samples. Step is the epoch.
    Order,
    /// Toeplitz rows sampled for Gram matrices. Step is the training step.
    Rows,
    /// Patches sampled for the k-means start. Step is the stage.
    Patches,
    /// Movements of augmented samples. Step is the training step.
    Augment,
    /// Random z of a sample before its first classic step. Step is the sample's position.
    State,
    /// Equations drawn for the sampled solver. Step counts rounds.
    Equations,
    /// Samples, windows and perturbations of the checks of a run. Step is the training step.
    Checks,
}

/// The random stream of `(seed, purpose, shard, step)`.
///
/// ```
/// use lagrange_core::random::{Purpose, stream};
/// use rand::RngExt as _;
///
/// let first = |step| stream(7, Purpose::Order, 0, step).random::<u64>();
/// assert_eq!(first(3), first(3));
/// assert_ne!(first(3), first(4));
/// ```
#[must_use]
pub fn stream(seed: u64, purpose: Purpose, shard: u64, step: u64) -> ChaCha8Rng {
    let mut key = [0u8; 32];
    for (slot, value) in key
        .chunks_exact_mut(8)
        .zip([seed, purpose as u64, shard, step])
    {
        slot.copy_from_slice(&value.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt as _;

    #[test]
    fn a_stream_depends_on_every_part_of_its_key() {
        let first = |seed, purpose, shard, step| stream(seed, purpose, shard, step).random::<u64>();
        let base = first(1, Purpose::Order, 2, 3);
        assert_eq!(base, first(1, Purpose::Order, 2, 3));
        for other in [
            first(2, Purpose::Order, 2, 3),
            first(1, Purpose::Rows, 2, 3),
            first(1, Purpose::Order, 3, 3),
            first(1, Purpose::Order, 2, 4),
        ] {
            assert_ne!(base, other);
        }
    }
}
