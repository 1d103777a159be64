#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cipherwatt_fuzz::message::<wire::AuditDemand>(data));
