// CKKS with one multiplication: slots, squares, products with plain numbers, sums over slots.
//
// Ring dimension 4096, primes of 60 and 40 bits, 128-bit security against classical computers; sparse packing of 128 slots. Keys and
// ciphertexts cross as plain words, the coefficients of each polynomial modulo each prime: OpenFHE's serialisation is not used.
// Lengths are checked, values are not: the caller has checked that each residue is below its prime.
//
// Every function throws std::runtime_error and nothing else. levelled_context, generate_levelled and what sets or clears keys may not run at the same time as
// anything else here; the rest may, on shared arguments.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace cipherwatt {

struct LevelledInternals;
class LevelledContext {
public:
    explicit LevelledContext(std::unique_ptr<LevelledInternals> internals);
    ~LevelledContext();
    std::unique_ptr<LevelledInternals> internals;
};

struct LevelledCiphertextInternals;
class LevelledCiphertext {
public:
    explicit LevelledCiphertext(std::unique_ptr<LevelledCiphertextInternals> internals);
    ~LevelledCiphertext();
    std::unique_ptr<LevelledCiphertextInternals> internals;
};

struct LevelledSecretInternals;
class LevelledSecret {
public:
    explicit LevelledSecret(std::unique_ptr<LevelledSecretInternals> internals);
    ~LevelledSecret();
    std::unique_ptr<LevelledSecretInternals> internals;
};

std::unique_ptr<LevelledContext> levelled_context(std::uint32_t slots);

// The prime with this number, 0 or 1.
std::uint64_t levelled_prime(const LevelledContext& context, std::size_t index);

// A fresh secret, the key that encrypts for it and the evaluation keys, as words: b and a of the public key; then the relinearisation
// key; then the rotation keys, by ascending rotation 1, 2, 4 … Words of a part follow each other as read_levelled_key has them.
std::unique_ptr<LevelledSecret> generate_levelled(const LevelledContext& context);

// Parts of the keys: 0 the public key, 1 the relinearisation key, 2 and on the rotation keys. How many words a part has.
std::size_t levelled_key_words(const LevelledSecret& secret, std::size_t part);
void read_levelled_key(const LevelledSecret& secret, std::size_t part, std::uint64_t* words, std::size_t len);

// Gives the context a part of the keys.
void write_levelled_key(LevelledContext& context, std::size_t part, const std::uint64_t* words, std::size_t len);

// Takes them away again: OpenFHE keeps them for the whole process.
void clear_levelled_keys(const LevelledContext& context);

// A secret's coefficients: -1, 0 and 1. One that is rebuilt from them decrypts, and has no keys.
void read_levelled_secret(const LevelledSecret& secret, std::int8_t* coefficients, std::size_t len);
std::unique_ptr<LevelledSecret> write_levelled_secret(const LevelledContext& context, const std::int8_t* coefficients, std::size_t len);

// Encrypts one number a slot under the context's public key.
std::unique_ptr<LevelledCiphertext> levelled_encrypt(const LevelledContext& context, const double* values, std::size_t count);

// The words of a ciphertext of two polynomials: as it is encrypted, modulo both primes, or rescaled, modulo the first.
void read_levelled(const LevelledCiphertext& ciphertext, std::uint64_t* words, std::size_t len);
std::unique_ptr<LevelledCiphertext> write_levelled(const LevelledContext& context, const std::uint64_t* words, std::size_t len);

// sum + other, or other alone for an empty sum.
void levelled_add(const LevelledContext& context, LevelledCiphertext& sum, const LevelledCiphertext& other);

// sum + the square of other, without relinearisation.
void levelled_add_square(const LevelledContext& context, LevelledCiphertext& sum, const LevelledCiphertext& other);

std::unique_ptr<LevelledCiphertext> levelled_zero();

// Back to two polynomials, and to one prime and the scale of a fresh ciphertext.
void levelled_relinearise(const LevelledContext& context, LevelledCiphertext& sum);
void levelled_rescale(const LevelledContext& context, LevelledCiphertext& sum);

// Times one plain number a slot.
void levelled_weigh(const LevelledContext& context, LevelledCiphertext& sum, const double* weights, std::size_t count);

// Every slot becomes the sum over all slots, by rotations.
void levelled_sum_slots(const LevelledContext& context, LevelledCiphertext& sum);

void levelled_decrypt(const LevelledContext& context, const LevelledSecret& secret, const LevelledCiphertext& sum, double* values,
                      std::size_t count);

}  // namespace cipherwatt
