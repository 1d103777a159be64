// The whole surface between Rust and OpenFHE. No OpenFHE header is included here, so the generated
// bridge compiles in a second and its flags do not matter.
//
// A polynomial crosses as its N coefficients, residues modulo the one prime q, or as the first few of
// them where the rest are zero or not wanted. OpenFHE computes on evaluations at roots of unity
// ("evaluation form"); going there and back is the number-theoretic transform, done in here. Lengths
// are checked, values are not: the caller has checked that each residue is below q.
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

// A ciphertext as OpenFHE holds it.
class Ciphertext {
public:
    explicit Ciphertext(std::unique_ptr<CiphertextInternals> internals);
    ~Ciphertext();
    std::unique_ptr<CiphertextInternals> internals;
};

// A CKKS context with one prime and without multiplications, at 128-bit security against quantum
// computers. Warmed up by one encryption and one decryption, so that all lazily built tables exist
// before threads share it.
std::unique_ptr<Context> new_context(std::uint32_t ring_dimension, std::uint32_t modulus_bits);

std::uint64_t modulus(const Context& context);

// A fresh key pair: the secret s, and b = e - a*s and a one after the other. OpenFHE's own copy of the
// secret is overwritten; the caller must overwrite this one.
void generate(const Context& context, std::uint64_t* secret, std::size_t secret_len, std::uint64_t* key,
              std::size_t key_len);

// From b and a one after the other.
std::unique_ptr<PublicKey> public_key(const Context& context, const std::uint64_t* words, std::size_t len);
std::unique_ptr<SecretKey> secret_key(const Context& context, const std::uint64_t* words, std::size_t len);

// Encrypts the polynomial with these first coefficients.
std::unique_ptr<Ciphertext> encrypt(const Context& context, const PublicKey& key, const std::uint64_t* plaintext,
                                    std::size_t count);

// The first coefficients of c0 and all of c1.
void residues(const Ciphertext& ciphertext, std::uint64_t* c0, std::size_t c0_len, std::uint64_t* c1,
              std::size_t c1_len);

// The first coefficients of c0 + c1*s, which take the place of those of c0.
void open(const Context& context, const SecretKey& key, std::uint64_t* c0, std::size_t c0_len,
          const std::uint64_t* c1, std::size_t c1_len);

// What encryption computes, from chosen values: b*v + e0 + m and a*v + e1, by OpenFHE's polynomials. The words are the
// residues of v, e0, e1 and m, one after the other.
std::unique_ptr<Ciphertext> combine(const Context& context, const PublicKey& key, const std::uint64_t* words,
                                    std::size_t len);

// EvalAddInPlace, for comparisons.
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
