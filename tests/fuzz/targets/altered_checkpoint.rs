//! Checkpoints with other contents under a right checksum.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lagrange_tests::hostile::altered_checkpoint(bytes));
