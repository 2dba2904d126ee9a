//! Configuration files and overrides.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lagrange_tests::hostile::configuration(bytes));
