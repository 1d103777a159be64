// FHEW in OpenFHE: the sign of an LWE ciphertext, under evaluation keys, as an LWE ciphertext of one bit.
//
// The parameters are those of OpenFHE's STD128 set for large precision: n = 1305, N = 2048, Q the last prime of 54 bits that is 1
// modulo 2N, a key switching modulus of 2^35, ternary secrets, errors of standard deviation 3.19. Two bases differ, which decide
// size and noise and not security: the gadget's, 2^27, for inputs of 16 bits, and that of the key switching key, 4 instead of
// 32: 1.6 GB instead of 4.9.
//
// Keys cross as plain words, in parts of the same lengths whatever the key: OpenFHE's serialisation is not used. Lengths are checked,
// values are not: the caller has checked that each is below the modulus of its part.
//
// Every function throws std::runtime_error and nothing else. generate_sign_key may not run at the same time as anything else
// here; sign may, on a shared key.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace cipherwatt {

struct SignKeyInternals;

// The evaluation keys: of every coefficient of the secret a refresh key, of every coefficient of the ring's secret a part of the
// key switching key. No secret is in it.
class SignKey {
public:
    explicit SignKey(std::unique_ptr<SignKeyInternals> internals);
    ~SignKey();
    std::unique_ptr<SignKeyInternals> internals;
};

// The prime Q.
std::uint64_t sign_modulus();

// A fresh secret of n words modulo 2^35, which the caller must overwrite, and its evaluation keys.
std::unique_ptr<SignKey> generate_sign_key(std::uint64_t* secret, std::size_t len);

// Without any part yet.
std::unique_ptr<SignKey> empty_sign_key();

// The refresh keys of coefficient `index` of the secret, 0 to n: words modulo Q, in evaluation form.
void read_refresh_key(const SignKey& key, std::size_t index, std::uint64_t* words, std::size_t len);
void write_refresh_key(SignKey& key, std::size_t index, const std::uint64_t* words, std::size_t len);

// The key switching key of coefficient `index` of the ring's secret, 0 to N: words modulo 2^35.
void read_switch_key(const SignKey& key, std::size_t index, std::uint64_t* words, std::size_t len);
void write_switch_key(SignKey& key, std::size_t index, const std::uint64_t* words, std::size_t len);

// EvalSign of the ciphertext (a, b), words modulo 2^bits: n words of a, then b. They are replaced by the bit's, modulo 4096: its phase
// is 0 if that of the input is in the lower half, else 2048.
void sign(const SignKey& key, std::uint32_t bits, std::uint64_t* words, std::size_t len);

}  // namespace cipherwatt
