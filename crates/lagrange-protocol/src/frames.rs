//! Framing: a header that announces its payload, and the chunks that carry it.

use crate::limits::CHUNK_BYTES;
use crate::payload::Payload;
use crate::v1;

/// A header that a payload follows.
pub trait Framed {
    /// The round and attempt that every chunk repeats.
    fn key(&self) -> (u64, u32);
    /// Values announced.
    fn payload_floats(&self) -> u64;
}

/// The chunks of `payload`, in order, none larger than [`CHUNK_BYTES`], none copied.
///
/// ```
/// use lagrange_protocol::{Payload, frames, limits::CHUNK_BYTES};
///
/// let mut payload = Payload::new();
/// payload.push(vec![0.0; CHUNK_BYTES / 4 + 1]);
/// let lengths: Vec<usize> = frames((7, 1), &payload).map(|chunk| chunk.data.len()).collect();
/// assert_eq!(lengths, [CHUNK_BYTES, 4]);
/// ```
pub fn frames(key: (u64, u32), payload: &Payload) -> impl Iterator<Item = v1::Chunk> {
    let mut offset = 0;
    let pieces = payload.segments().iter().flat_map(|segment| {
        (0..segment.len())
            .step_by(CHUNK_BYTES)
            .map(|start| segment.slice(start..segment.len().min(start + CHUNK_BYTES)))
    });
    pieces.map(move |data| {
        let chunk = v1::Chunk {
            round: key.0,
            attempt: key.1,
            offset,
            crc32: crc32fast::hash(&data),
            data,
        };
        offset += chunk.data.len() as u64;
        chunk
    })
}

/// Error of a sequence of frames that is not a header with its payload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A payload of another size than the receiver expects.
    #[error("a payload of {announced} values where {expected} belong")]
    WrongSize {
        /// Values announced.
        announced: u64,
        /// Values expected.
        expected: usize,
    },
    /// A chunk without a header before it.
    #[error("a chunk that belongs to no message")]
    Orphan,
    /// A chunk of another message.
    #[error("a chunk of round {0} attempt {1} inside another message")]
    Foreign(u64, u32),
    /// A chunk that does not continue where the last one ended, or runs past the end.
    #[error("a chunk at byte {offset} of {length} bytes where byte {expected} comes next")]
    Misplaced {
        /// Its offset.
        offset: u64,
        /// Its length.
        length: usize,
        /// The offset that comes next.
        expected: usize,
    },
    /// Damaged on the way.
    #[error("a chunk at byte {0} fails its checksum")]
    Checksum(u64),
    /// A header before the last payload was complete.
    #[error("a new message before the last one was complete")]
    Interrupted,
}

/// Assembler of payloads from chunks, which checks every chunk before it is used.
///
/// ```
/// use lagrange_protocol::{Assembler, Framed, Payload, frames};
///
/// struct Header;
/// impl Framed for Header {
///     fn key(&self) -> (u64, u32) { (7, 1) }
///     fn payload_floats(&self) -> u64 { 3 }
/// }
/// let mut payload = Payload::new();
/// payload.push(vec![1.0, 2.0, 3.0]);
/// let mut assembler = Assembler::default();
/// assert!(assembler.begin(Header, 3)?.is_none());
/// let chunk = frames((7, 1), &payload).next().expect("one chunk");
/// let (_, values) = assembler.chunk(&chunk)?.expect("complete");
/// assert_eq!(values, [1.0, 2.0, 3.0]);
/// # Ok::<(), lagrange_protocol::FrameError>(())
/// ```
#[derive(Debug)]
pub struct Assembler<H> {
    partial: Option<Partial<H>>,
}

#[derive(Debug)]
struct Partial<H> {
    header: H,
    values: Vec<f32>,
    filled: usize,
}

impl<H> Default for Assembler<H> {
    fn default() -> Self {
        Self { partial: None }
    }
}

impl<H: Framed> Assembler<H> {
    /// Starts a message whose payload must have `expected` values; returns it at once if there are none.
    ///
    /// # Errors
    /// [`FrameError`]; nothing is allocated for a payload of the wrong size.
    pub fn begin(
        &mut self,
        header: H,
        expected: usize,
    ) -> Result<Option<(H, Vec<f32>)>, FrameError> {
        if self.partial.is_some() {
            return Err(FrameError::Interrupted);
        }
        let announced = header.payload_floats();
        if announced != expected as u64 {
            return Err(FrameError::WrongSize {
                announced,
                expected,
            });
        }
        if expected == 0 {
            return Ok(Some((header, Vec::new())));
        }
        self.partial = Some(Partial {
            header,
            values: vec![0.0; expected],
            filled: 0,
        });
        Ok(None)
    }

    /// Adds a chunk; returns the message once it is complete.
    ///
    /// # Errors
    /// [`FrameError`]; the message in progress is then lost, and the stream unusable.
    pub fn chunk(&mut self, chunk: &v1::Chunk) -> Result<Option<(H, Vec<f32>)>, FrameError> {
        let mut partial = self.partial.take().ok_or(FrameError::Orphan)?;
        if (chunk.round, chunk.attempt) != partial.header.key() {
            return Err(FrameError::Foreign(chunk.round, chunk.attempt));
        }
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut partial.values);
        let target = bytes
            .get_mut(partial.filled..)
            .and_then(|rest| rest.get_mut(..chunk.data.len()))
            .filter(|target| !target.is_empty() && chunk.offset == partial.filled as u64);
        let Some(target) = target else {
            return Err(FrameError::Misplaced {
                offset: chunk.offset,
                length: chunk.data.len(),
                expected: partial.filled,
            });
        };
        if crc32fast::hash(&chunk.data) != chunk.crc32 {
            return Err(FrameError::Checksum(chunk.offset));
        }
        target.copy_from_slice(&chunk.data);
        partial.filled += chunk.data.len();
        if partial.filled == 4 * partial.values.len() {
            return Ok(Some((partial.header, partial.values)));
        }
        self.partial = Some(partial);
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone, PartialEq)]
    struct Header(u64);

    impl Framed for Header {
        fn key(&self) -> (u64, u32) {
            (7, 2)
        }
        fn payload_floats(&self) -> u64 {
            self.0
        }
    }

    /// All frames through an assembler: the payload, or the first error, or `None` if it never completes.
    fn assemble(floats: usize, chunks: &[v1::Chunk]) -> Result<Option<Vec<f32>>, FrameError> {
        let mut assembler = Assembler::default();
        let mut done = assembler.begin(Header(floats as u64), floats)?;
        for chunk in chunks {
            done = assembler.chunk(chunk)?;
        }
        Ok(done.map(|(_, values)| values))
    }

    fn payload(lengths: &[usize]) -> (Payload, Vec<f32>) {
        let mut payload = Payload::new();
        let mut all = Vec::new();
        for &length in lengths {
            let values: Vec<f32> = (0..length)
                .map(|i| (i * 31 + all.len()) as f32 * 0.37)
                .collect();
            all.extend_from_slice(&values);
            payload.push(values);
        }
        (payload, all)
    }

    #[test]
    fn a_payload_of_several_chunks_round_trips() {
        let (payload, values) = payload(&[3, CHUNK_BYTES / 4 + 5, 0, CHUNK_BYTES / 2]);
        let chunks: Vec<_> = frames((7, 2), &payload).collect();
        assert_eq!(chunks.len(), 5);
        assert!(chunks.iter().all(|chunk| chunk.data.len() <= CHUNK_BYTES));
        assert_eq!(assemble(values.len(), &chunks), Ok(Some(values.clone())));
        assert_eq!(payload.to_vec(), values);
    }

    #[test]
    fn a_payload_of_the_wrong_size_is_refused_before_it_is_allocated() {
        let mut assembler = Assembler::default();
        let error = assembler.begin(Header(u64::MAX), 3).expect_err("refused");
        assert_eq!(
            error,
            FrameError::WrongSize {
                announced: u64::MAX,
                expected: 3
            }
        );
        assert_eq!(
            assembler.chunk(&v1::Chunk::default()),
            Err(FrameError::Orphan)
        );
        assert_eq!(assembler.begin(Header(1), 1), Ok(None));
        assert_eq!(assembler.begin(Header(1), 1), Err(FrameError::Interrupted));
    }

    proptest! {
        #[test]
        fn no_damage_goes_unnoticed(
            lengths in prop::collection::vec(1usize..9, 1..5), at in any::<prop::sample::Index>(), kind in 0u8..7, bit in 0u32..32,
        ) {
            let (payload, values) = payload(&lengths);
            let mut chunks: Vec<_> = frames((7, 2), &payload).collect();
            let index = at.index(chunks.len());
            match kind {
                0 => { chunks.remove(index); }
                1 => { let copy = chunks[index].clone(); chunks.insert(index, copy); }
                2 => chunks[index].offset ^= 1 << bit,
                3 => chunks[index].crc32 ^= 1 << bit,
                4 => chunks[index].round ^= 1 << bit,
                5 => {
                    let mut data = chunks[index].data.to_vec();
                    data[0] ^= 1 << (bit % 8);
                    chunks[index].data = data.into();
                }
                _ => chunks[index].data = chunks[index].data.slice(1..),
            }
            let result = assemble(values.len(), &chunks);
            prop_assert!(!matches!(result, Ok(Some(_))), "{result:?}");
        }
    }
}
