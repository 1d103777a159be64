// The whole surface between Rust and OpenFHE. No OpenFHE header is included here, so the generated
// bridge compiles in a second and its flags do not matter.
//
// A ciphertext, and a public key, crosses as its "words": two polynomials x L limbs x N residues in
// evaluation form, in that order; a secret key as one polynomial. Lengths are checked, values are
// not: the caller has checked each residue against its modulus.
//
// Every function throws std::runtime_error and nothing else. new_context and generate may not run
// at the same time as anything else here; the rest may, on shared arguments.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace cipherwatt {

struct Internals;

class Context {
public:
    explicit Context(std::unique_ptr<Internals> internals);
    ~Context();
    std::unique_ptr<Internals> internals;
};

struct PublicKeyInternals;

class PublicKey {
public:
    explicit PublicKey(std::unique_ptr<PublicKeyInternals> internals);
    ~PublicKey();
    std::unique_ptr<PublicKeyInternals> internals;
};

struct SecretKeyInternals;

// Overwrites its polynomial with zeros when it is destroyed.
class SecretKey {
public:
    explicit SecretKey(std::unique_ptr<SecretKeyInternals> internals);
    ~SecretKey();
    std::unique_ptr<SecretKeyInternals> internals;
};

struct CiphertextInternals;

// A ciphertext as OpenFHE holds it, for comparisons in tests and benches.
class Ciphertext {
public:
    explicit Ciphertext(std::unique_ptr<CiphertextInternals> internals);
    ~Ciphertext();
    std::unique_ptr<CiphertextInternals> internals;
};

// A CKKS context without multiplications at 128-bit security, warmed up by one encryption and one
// decryption so that all lazily built tables exist before threads share it.
std::unique_ptr<Context> new_context(std::uint32_t ring_dimension, std::uint32_t limbs, std::uint32_t first_modulus_bits,
                                     std::uint32_t scale_bits);

// The context's prime of this limb; throws past the last.
std::uint64_t modulus(const Context& context, std::size_t limb);
std::size_t limbs(const Context& context);

// A fresh key pair as words. OpenFHE's own copy of the secret key is overwritten.
void generate(const Context& context, std::uint64_t* secret, std::size_t secret_len, std::uint64_t* key,
              std::size_t key_len);

std::unique_ptr<PublicKey> public_key(const Context& context, const std::uint64_t* words, std::size_t len);
std::unique_ptr<SecretKey> secret_key(const Context& context, const std::uint64_t* words, std::size_t len);

// The polynomial of a secret key. The caller owns the copy and must overwrite it.
void secret_key_words(const SecretKey& key, std::uint64_t* words, std::size_t len);

// Encodes the slots (at most N/2; the rest are zero) and encrypts them. Returns the nanoseconds the encoding took.
std::uint64_t encrypt(const Context& context, const PublicKey& key, const double* slots, std::size_t count,
                      std::uint64_t* words, std::size_t len);

// Decrypts and decodes into exactly N/2 slots.
void decrypt(const Context& context, const SecretKey& key, const std::uint64_t* words, std::size_t len, double* slots,
             std::size_t count);

// For comparisons: the same steps without leaving OpenFHE's own objects.
std::unique_ptr<Ciphertext> encrypt_only(const Context& context, const PublicKey& key, const double* slots,
                                         std::size_t count);
std::unique_ptr<Ciphertext> ciphertext(const Context& context, const std::uint64_t* words, std::size_t len);
void ciphertext_words(const Ciphertext& ciphertext, std::uint64_t* words, std::size_t len);
std::unique_ptr<Ciphertext> add(const Context& context, const Ciphertext& a, const Ciphertext& b);
void add_in_place(const Context& context, Ciphertext& sum, const Ciphertext& other);

// How many threads OpenMP starts for a parallel region that asks for four, inside a call like those
// above.
std::size_t openmp_threads();

#ifdef CIPHERWATT_SERIALISATION
// OpenFHE's binary format. Never give deserialise anything but what serialise returned.
std::unique_ptr<std::vector<std::uint8_t>> serialise(const Ciphertext& ciphertext);
std::unique_ptr<Ciphertext> deserialise(const std::uint8_t* bytes, std::size_t len);
#endif

}  // namespace cipherwatt
