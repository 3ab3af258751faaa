#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pollcast_fuzz::bodies::page(data));
