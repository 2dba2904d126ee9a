//! Work for a worker in the middle of a run.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lagrange_tests::hostile::work(bytes));
