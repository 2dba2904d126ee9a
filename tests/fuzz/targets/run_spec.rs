//! Descriptions of runs, and work for them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lagrange_tests::hostile::run_spec(bytes));
