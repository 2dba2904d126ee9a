//! The multipliers lambda: one per training sample and output, owned by the coordinator, stored by shard.

use sha2::{Digest, Sha256};

/// Multipliers of all training samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Multipliers {
    outputs: usize,
    shards: Vec<Vec<f32>>,
}

impl Multipliers {
    /// Multipliers of zero for shards of the lengths given.
    #[must_use]
    pub fn zeros(lengths: impl Iterator<Item = usize>, outputs: usize) -> Self {
        Self {
            outputs,
            shards: lengths.map(|length| vec![0.0; length * outputs]).collect(),
        }
    }

    /// The multipliers of the samples at `positions` of `shard`, `[n, O]`.
    #[must_use]
    pub fn gather(&self, shard: usize, positions: &[u32]) -> Vec<f32> {
        let mut values = Vec::with_capacity(positions.len() * self.outputs);
        for &position in positions {
            let start = position as usize * self.outputs;
            values.extend_from_slice(&self.shards[shard][start..start + self.outputs]);
        }
        values
    }

    /// Writes back the multipliers of the samples at `positions` of `shard`, `[n, O]`.
    pub fn scatter(&mut self, shard: usize, positions: &[u32], values: &[f32]) {
        for (&position, values) in positions.iter().zip(values.chunks_exact(self.outputs)) {
            let start = position as usize * self.outputs;
            self.shards[shard][start..start + self.outputs].copy_from_slice(values);
        }
    }

    /// All multipliers, shard by shard.
    #[must_use]
    pub fn flat(&self) -> Vec<f32> {
        self.shards.concat()
    }

    /// Sets all multipliers, shard by shard; tells whether there were as many as needed.
    #[must_use]
    pub fn set_flat(&mut self, values: &[f32]) -> bool {
        if values.len() != self.shards.iter().map(Vec::len).sum::<usize>() {
            return false;
        }
        let mut rest = values;
        for shard in &mut self.shards {
            let (own, behind) = rest.split_at(shard.len());
            shard.copy_from_slice(own);
            rest = behind;
        }
        true
    }

    /// SHA-256 of all multipliers, shard by shard, as little-endian f32, in hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> String {
        sha256_of(self.shards.iter().flatten())
    }
}

/// SHA-256 of values as little-endian f32, in hexadecimal.
#[must_use]
pub fn sha256_of<'a>(values: impl Iterator<Item = &'a f32>) -> String {
    let mut hash = Sha256::new();
    for value in values {
        hash.update(value.to_le_bytes());
    }
    hexadecimal(&hash.finalize())
}

/// Bytes in hexadecimal.
#[must_use]
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_scattered_is_gathered() {
        let mut multipliers = Multipliers::zeros([3, 2].into_iter(), 2);
        let before = multipliers.sha256();
        multipliers.scatter(1, &[1, 0], &[1.0, 2.0, 3.0, 4.0]);
        assert_eq!(multipliers.gather(1, &[0, 1]), [3.0, 4.0, 1.0, 2.0]);
        assert_eq!(multipliers.gather(0, &[2]), [0.0, 0.0]);
        assert_ne!(multipliers.sha256(), before);
        let mut copy = Multipliers::zeros([3, 2].into_iter(), 2);
        assert!(copy.set_flat(&multipliers.flat()) && !copy.set_flat(&[1.0]));
        assert_eq!(copy, multipliers);
    }

    #[test]
    fn the_hash_is_that_of_the_little_endian_bytes() {
        // printf '\0\0\x80\x3f' | sha256sum
        assert_eq!(
            sha256_of([1.0f32].iter()),
            "e00e5eb9444182f352323374ef4e08ebcb784725fdd4fd612d7730540b3e0c8c"
        );
    }
}
