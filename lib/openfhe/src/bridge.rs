//! The generated bridge to `cpp/shim.h`, `cpp/sign.h` and `cpp/levelled.h`; nothing outside this crate sees it.
//!
//! Every function that can throw is a `Result`. The pointers are those of slices whose length
//! follows; what must hold for a call to be sound is stated at the safe functions that make it.

#[allow(unsafe_code, reason = "the bridge is nothing else")]
#[allow(
    clippy::missing_safety_doc,
    missing_docs,
    reason = "documented in the headers in cpp/"
)]
#[allow(unreachable_pub, reason = "the macro makes everything `pub`")]
#[cfg_attr(
    not(feature = "secret"),
    allow(dead_code, reason = "what only `secret` calls")
)]
#[cxx::bridge(namespace = "cipherwatt")]
pub(crate) mod ffi {
    unsafe extern "C++" {
        include!("shim.h");

        type Context;
        type PublicKey;
        type SecretKey;
        type Ciphertext;

        fn new_context(ring_dimension: u32, modulus_bits: u32) -> Result<UniquePtr<Context>>;
        fn modulus(context: &Context) -> u64;
        unsafe fn generate(
            context: &Context,
            secret: *mut u64,
            secret_len: usize,
            key: *mut u64,
            key_len: usize,
        ) -> Result<()>;
        unsafe fn public_key(
            context: &Context,
            words: *const u64,
            len: usize,
        ) -> Result<UniquePtr<PublicKey>>;
        unsafe fn secret_key(
            context: &Context,
            words: *const u64,
            len: usize,
        ) -> Result<UniquePtr<SecretKey>>;
        unsafe fn encrypt(
            context: &Context,
            key: &PublicKey,
            plaintext: *const u64,
            count: usize,
        ) -> Result<UniquePtr<Ciphertext>>;
        unsafe fn residues(
            ciphertext: &Ciphertext,
            c0: *mut u64,
            c0_len: usize,
            c1: *mut u64,
            c1_len: usize,
        ) -> Result<()>;
        unsafe fn open(
            context: &Context,
            key: &SecretKey,
            c0: *mut u64,
            c0_len: usize,
            c1: *const u64,
            c1_len: usize,
        ) -> Result<()>;
        unsafe fn combine(
            context: &Context,
            key: &PublicKey,
            words: *const u64,
            len: usize,
        ) -> Result<UniquePtr<Ciphertext>>;
        fn openmp_threads() -> Result<usize>;
        fn add_in_place(
            context: &Context,
            sum: Pin<&mut Ciphertext>,
            other: &Ciphertext,
        ) -> Result<()>;
    }

    unsafe extern "C++" {
        include!("sign.h");

        type SignKey;

        fn sign_modulus() -> Result<u64>;
        unsafe fn generate_sign_key(secret: *mut u64, len: usize) -> Result<UniquePtr<SignKey>>;
        fn empty_sign_key() -> Result<UniquePtr<SignKey>>;
        unsafe fn read_refresh_key(
            key: &SignKey,
            index: usize,
            words: *mut u64,
            len: usize,
        ) -> Result<()>;
        unsafe fn write_refresh_key(
            key: Pin<&mut SignKey>,
            index: usize,
            words: *const u64,
            len: usize,
        ) -> Result<()>;
        unsafe fn read_switch_key(
            key: &SignKey,
            index: usize,
            words: *mut u64,
            len: usize,
        ) -> Result<()>;
        unsafe fn write_switch_key(
            key: Pin<&mut SignKey>,
            index: usize,
            words: *const u64,
            len: usize,
        ) -> Result<()>;
        unsafe fn sign(key: &SignKey, bits: u32, words: *mut u64, len: usize) -> Result<()>;
    }

    unsafe extern "C++" {
        include!("levelled.h");

        type LevelledContext;
        type LevelledCiphertext;
        type LevelledSecret;

        fn levelled_context(slots: u32) -> Result<UniquePtr<LevelledContext>>;
        fn levelled_prime(context: &LevelledContext, index: usize) -> Result<u64>;
        fn generate_levelled(context: &LevelledContext) -> Result<UniquePtr<LevelledSecret>>;
        fn levelled_key_words(secret: &LevelledSecret, part: usize) -> Result<usize>;
        unsafe fn read_levelled_key(
            secret: &LevelledSecret,
            part: usize,
            words: *mut u64,
            len: usize,
        ) -> Result<()>;
        unsafe fn write_levelled_key(
            context: Pin<&mut LevelledContext>,
            part: usize,
            words: *const u64,
            len: usize,
        ) -> Result<()>;
        fn clear_levelled_keys(context: &LevelledContext) -> Result<()>;
        unsafe fn read_levelled_secret(
            secret: &LevelledSecret,
            coefficients: *mut i8,
            len: usize,
        ) -> Result<()>;
        unsafe fn write_levelled_secret(
            context: &LevelledContext,
            coefficients: *const i8,
            len: usize,
        ) -> Result<UniquePtr<LevelledSecret>>;
        unsafe fn read_levelled(
            ciphertext: &LevelledCiphertext,
            words: *mut u64,
            len: usize,
        ) -> Result<()>;
        unsafe fn write_levelled(
            context: &LevelledContext,
            words: *const u64,
            len: usize,
        ) -> Result<UniquePtr<LevelledCiphertext>>;
        unsafe fn levelled_encrypt(
            context: &LevelledContext,
            values: *const f64,
            count: usize,
        ) -> Result<UniquePtr<LevelledCiphertext>>;
        fn levelled_zero() -> Result<UniquePtr<LevelledCiphertext>>;
        fn levelled_add(
            context: &LevelledContext,
            sum: Pin<&mut LevelledCiphertext>,
            other: &LevelledCiphertext,
        ) -> Result<()>;
        fn levelled_add_square(
            context: &LevelledContext,
            sum: Pin<&mut LevelledCiphertext>,
            other: &LevelledCiphertext,
        ) -> Result<()>;
        fn levelled_relinearise(
            context: &LevelledContext,
            sum: Pin<&mut LevelledCiphertext>,
        ) -> Result<()>;
        fn levelled_rescale(
            context: &LevelledContext,
            sum: Pin<&mut LevelledCiphertext>,
        ) -> Result<()>;
        unsafe fn levelled_weigh(
            context: &LevelledContext,
            sum: Pin<&mut LevelledCiphertext>,
            weights: *const f64,
            count: usize,
        ) -> Result<()>;
        fn levelled_sum_slots(
            context: &LevelledContext,
            sum: Pin<&mut LevelledCiphertext>,
        ) -> Result<()>;
        unsafe fn levelled_decrypt(
            context: &LevelledContext,
            secret: &LevelledSecret,
            sum: &LevelledCiphertext,
            values: *mut f64,
            count: usize,
        ) -> Result<()>;
    }

    #[cfg(feature = "serialisation")]
    unsafe extern "C++" {
        fn serialise(ciphertext: &Ciphertext) -> Result<UniquePtr<CxxVector<u8>>>;
        unsafe fn deserialise(bytes: *const u8, len: usize) -> Result<UniquePtr<Ciphertext>>;
    }
}
