//! Replies and events for a coordinator.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lagrange_tests::hostile::cluster(bytes));
