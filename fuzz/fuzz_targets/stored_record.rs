#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| duxue_tests::fuzzed::stored_record(bytes));
