//! Packed sets: a manifest, and blocks of samples with their hashes.

mod files;
mod manifest;
mod names;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use manifest::{BlockEntry, Manifest};
pub use read::{Block, PackedSet};
pub use write::pack;
