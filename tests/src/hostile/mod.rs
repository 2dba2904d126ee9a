//! Everything that comes from outside, as functions of arbitrary bytes: files, configurations, messages, work
//! and replies.
//!
//! Each returns, whatever it is given: bad input is refused with a typed error. The property tests
//! (`hostile_input.rs`) and the fuzz targets (`fuzz/`) call the same ones. Where raw bytes would only be
//! refused at the door, they decide what is changed in something valid.

mod checkpoint;
mod cluster;
mod files;
mod messages;
mod runs;
mod seeds;
mod work;

pub use checkpoint::{altered_checkpoint, checkpoint};
pub use cluster::cluster;
pub use files::{configuration, idx, model};
pub use messages::message;
pub use runs::{TinyRun, tiny_runs};
pub use seeds::{TARGETS, Target};
pub use work::{run_spec, work};

use arbitrary::Unstructured;
use lagrange_coordinator::Outcome;
use lagrange_core::finite::all_finite;

/// Whatever a run was given, what it ends with is numbers.
fn assert_sound(outcome: &Outcome) {
    assert!(all_finite(outcome.weights.as_slice()), "silent garbage");
}

/// A number that is interesting more often than not: small, at an edge, or anything.
fn number(bytes: &mut Unstructured<'_>) -> u64 {
    match byte(bytes) % 8 {
        0..4 => byte(bytes).into(),
        4 => u64::MAX - u64::from(byte(bytes)),
        5 => u64::from(u32::MAX) - u64::from(byte(bytes)),
        6 => 1 << (byte(bytes) % 64),
        _ => bytes.arbitrary().unwrap_or(0),
    }
}

/// A value that arithmetic dislikes more often than not.
fn value(bytes: &mut Unstructured<'_>) -> f32 {
    const DISLIKED: [f32; 8] = [
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::MAX,
        f32::MIN_POSITIVE,
        -0.0,
        1e-40,
        -1e30,
    ];
    match byte(bytes) % 3 {
        0 => DISLIKED[usize::from(byte(bytes)) % DISLIKED.len()],
        1 => f32::from_bits(bytes.arbitrary().unwrap_or(0)),
        _ => f32::from(byte(bytes)) / 64.0 - 2.0,
    }
}

/// The next byte; zero when there are none left.
fn byte(bytes: &mut Unstructured<'_>) -> u8 {
    bytes.arbitrary().unwrap_or(0)
}

/// One of `count` places; zero if there are none.
fn place(bytes: &mut Unstructured<'_>, count: usize) -> usize {
    usize::from(bytes.arbitrary::<u16>().unwrap_or(0)) % count.max(1)
}
