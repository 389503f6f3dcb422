#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| session_store_fuzz::json(bytes));
