#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cipherwatt_fuzz::file(Some(readings::Form::Ausgrid), data));
