//! The generated bridge to `cpp/shim.h`; nothing outside this crate sees it.
//!
//! Every function that can throw is a `Result`. The pointers are those of slices whose length
//! follows; what must hold for a call to be sound is stated at the safe functions that make it.

#[allow(unsafe_code, reason = "the bridge is nothing else")]
#[allow(
    clippy::missing_safety_doc,
    missing_docs,
    reason = "documented in cpp/shim.h"
)]
#[allow(unreachable_pub, reason = "the macro makes everything `pub`")]
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

    #[cfg(feature = "serialisation")]
    unsafe extern "C++" {
        fn serialise(ciphertext: &Ciphertext) -> Result<UniquePtr<CxxVector<u8>>>;
        unsafe fn deserialise(bytes: *const u8, len: usize) -> Result<UniquePtr<Ciphertext>>;
    }
}
