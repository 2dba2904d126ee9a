//! Checkpoint files.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lagrange_tests::hostile::checkpoint(bytes));
