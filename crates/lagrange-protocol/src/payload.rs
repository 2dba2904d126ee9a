//! Payloads to send: zero-copy segments of packed little-endian f32.

use bytes::Bytes;

#[cfg(target_endian = "big")]
compile_error!(
    "payloads are little-endian f32 in memory order: a big-endian host would need conversion"
);

struct Floats<T>(T);

impl<T: AsRef<[f32]>> AsRef<[u8]> for Floats<T> {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(self.0.as_ref())
    }
}

/// A payload to send, as segments that are shared between messages instead of copied.
///
/// ```
/// use lagrange_protocol::Payload;
/// use std::sync::Arc;
///
/// let weights: Arc<[f32]> = [1.0, 2.0].into();
/// let mut payload = Payload::new();
/// payload.push(Arc::clone(&weights));
/// payload.push(vec![3.0]);
/// assert_eq!((payload.floats(), payload.to_vec()), (3, vec![1.0, 2.0, 3.0]));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Payload {
    segments: Vec<Bytes>,
}

impl Payload {
    /// An empty payload.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends `values` without copying them. Cloning the payload shares them.
    pub fn push(&mut self, values: impl AsRef<[f32]> + Send + 'static) {
        let bytes = Bytes::from_owner(Floats(values));
        if !bytes.is_empty() {
            self.segments.push(bytes);
        }
    }

    /// Appends the segments of `other`, shared.
    pub fn extend(&mut self, other: &Self) {
        self.segments.extend(other.segments.iter().cloned());
    }

    /// Number of values.
    #[must_use]
    pub fn floats(&self) -> usize {
        self.segments.iter().map(Bytes::len).sum::<usize>() / 4
    }

    pub(crate) fn segments(&self) -> &[Bytes] {
        &self.segments
    }

    /// All values in one vector, for receivers in the same process.
    #[must_use]
    pub fn to_vec(&self) -> Vec<f32> {
        let mut values = vec![0.0f32; self.floats()];
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut values);
        let mut at = 0;
        for segment in &self.segments {
            bytes[at..at + segment.len()].copy_from_slice(segment);
            at += segment.len();
        }
        values
    }
}
