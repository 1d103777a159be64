#![no_main]

// The first byte says in which pieces the others arrive.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let [piece, bytes @ ..] = data {
        broker::fuzzing::packets(bytes, usize::from(*piece));
    }
});
