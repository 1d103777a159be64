#include "internal.h"

#include <string.h>

namespace cipherwatt {

using lbcrypto::DCRTPoly;
using NativePoly = DCRTPoly::PolyType;

static_assert(sizeof(NativeInteger) == sizeof(std::uint64_t), "OpenFHE must be built with 64-bit native integers");

Context::Context(std::unique_ptr<Internals> i) : internals(std::move(i)) {}
Context::~Context() = default;
PublicKey::PublicKey(std::unique_ptr<PublicKeyInternals> i) : internals(std::move(i)) {}
PublicKey::~PublicKey() = default;
SecretKey::SecretKey(std::unique_ptr<SecretKeyInternals> i) : internals(std::move(i)) {}
Ciphertext::Ciphertext(std::unique_ptr<CiphertextInternals> i) : internals(std::move(i)) {}
Ciphertext::~Ciphertext() = default;

namespace {

// Keys are told apart by the caller; OpenFHE only compares tags.
const std::string KEY_TAG = "cipherwatt";

// CKKS wants a scale below the modulus. Nothing here encodes, so its value changes nothing.
const std::uint32_t UNUSED_SCALE_BITS = 39;

void check_length(const char* what, std::size_t expected, std::size_t actual) {
    if (expected != actual) {
        throw std::runtime_error(std::string(what) + ": " + std::to_string(expected) + " words expected, " +
                                 std::to_string(actual) + " given");
    }
}

void check_fits(const Internals& in, std::size_t count) {
    if (count > in.ring_dimension)
        throw std::runtime_error(std::to_string(count) + " coefficients do not fit the ring");
}

// From its first coefficients to evaluation form.
DCRTPoly polynomial(const Internals& in, const std::uint64_t* words, std::size_t count) {
    check_fits(in, count);
    DCRTPoly poly(in.context->GetElementParams(), Format::COEFFICIENT, true);
    auto& values = poly.GetAllElements().at(0);
    for (std::size_t i = 0; i < count; ++i)
        values[i] = NativeInteger(words[i]);
    poly.SetFormat(Format::EVALUATION);
    return poly;
}

// The first coefficients of a polynomial, which is left in coefficient form.
void write_words(DCRTPoly& poly, std::uint64_t* words, std::size_t count) {
    poly.SetFormat(Format::COEFFICIENT);
    const auto& values = poly.GetAllElements().at(0);
    if (count > values.GetLength())
        throw std::runtime_error("more coefficients wanted than a polynomial has");
    for (std::size_t i = 0; i < count; ++i)
        words[i] = values[i].ConvertToInt<std::uint64_t>();
}

void wipe(DCRTPoly& poly) {
    for (NativePoly& limb : poly.GetAllElements()) {
        if (limb.GetLength() > 0)
            explicit_bzero(&limb[0], limb.GetLength() * sizeof(std::uint64_t));
    }
}

// The key object is shared only inside the shim, and this is its last use.
void wipe(const lbcrypto::PrivateKey<DCRTPoly>& key) {
    if (key)
        wipe(const_cast<DCRTPoly&>(key->GetPrivateElement()));
}

lbcrypto::Ciphertext<DCRTPoly> seal(const Internals& in, const lbcrypto::PublicKey<DCRTPoly>& key,
                                    const std::uint64_t* plaintext, std::size_t count) {
    auto ciphertext = in.context->GetScheme()->Encrypt(polynomial(in, plaintext, count), key);
    // As a ciphertext of CryptoContext::Encrypt has it: addition compares it.
    ciphertext->SetEncodingType(lbcrypto::CKKS_PACKED_ENCODING);
    return ciphertext;
}

void open(const Internals& in, const DCRTPoly& secret, std::uint64_t* c0, std::size_t c0_len,
          const std::uint64_t* c1, std::size_t c1_len) {
    check_length("c1", in.ring_dimension, c1_len);
    check_fits(in, c0_len);
    const std::uint64_t q = in.modulus;
    DCRTPoly product = polynomial(in, c1, c1_len);
    product *= secret;
    std::vector<std::uint64_t> words(c0_len);
    write_words(product, words.data(), c0_len);
    for (std::size_t i = 0; i < c0_len; ++i)
        c0[i] = (c0[i] + words[i]) % q;
    // With c1, which is public, the product is the secret.
    wipe(product);
    explicit_bzero(words.data(), words.size() * sizeof(std::uint64_t));
}

// Encrypts and decrypts once. Throws if that does not give what it should.
void warm_up(const Internals& in) {
    const std::uint64_t value = std::uint64_t{1} << 40, error = std::uint64_t{1} << 20;
    const auto keys = in.context->KeyGen();
    auto elements = seal(in, keys.publicKey, &value, 1)->GetElements();
    std::vector<std::uint64_t> c0(in.ring_dimension), c1(in.ring_dimension);
    write_words(elements.at(0), c0.data(), c0.size());
    write_words(elements.at(1), c1.data(), c1.size());
    open(in, keys.secretKey->GetPrivateElement(), c0.data(), 1, c1.data(), c1.size());
    wipe(keys.secretKey);
    if (c0[0] < value - error || c0[0] > value + error)
        throw std::runtime_error("a first encryption does not decrypt to what it should");
}

}  // namespace

SecretKey::~SecretKey() {
    try {
        wipe(internals->key);
    } catch (...) {
        // Only an empty polynomial throws, and it holds nothing to overwrite.
    }
}

std::unique_ptr<Context> new_context(std::uint32_t ring_dimension, std::uint32_t modulus_bits) {
    return guarded([&] {
        lbcrypto::CCParams<lbcrypto::CryptoContextCKKSRNS> params;
        // Refuses a modulus that is too wide for the ring. The tables for classical computers allow more.
        params.SetSecurityLevel(lbcrypto::HEStd_128_quantum);
        params.SetSecretKeyDist(lbcrypto::UNIFORM_TERNARY);
        params.SetRingDim(ring_dimension);
        params.SetBatchSize(ring_dimension / 2);
        params.SetMultiplicativeDepth(0);
        params.SetFirstModSize(modulus_bits);
        params.SetScalingModSize(UNUSED_SCALE_BITS);
        params.SetScalingTechnique(lbcrypto::FIXEDMANUAL);
        params.SetKeySwitchTechnique(lbcrypto::BV);
        params.SetDigitSize(10);
        auto in = std::make_unique<Internals>();
        in->context = lbcrypto::GenCryptoContext(params);
        in->context->Enable(lbcrypto::PKE);
        in->context->Enable(lbcrypto::LEVELEDSHE);
        in->ring_dimension = in->context->GetRingDimension();
        const auto& primes = in->context->GetElementParams()->GetParams();
        if (in->ring_dimension != ring_dimension || primes.size() != 1)
            throw std::runtime_error("OpenFHE chose another ring dimension or more than one prime");
        in->modulus = primes[0]->GetModulus().ConvertToInt<std::uint64_t>();
        warm_up(*in);
        return std::make_unique<Context>(std::move(in));
    });
}

std::uint64_t modulus(const Context& context) {
    return context.internals->modulus;
}

void generate(const Context& context, std::uint64_t* secret, std::size_t secret_len, std::uint64_t* key,
              std::size_t key_len) {
    guarded([&] {
        const Internals& in = *context.internals;
        check_length("secret key", in.ring_dimension, secret_len);
        check_length("public key", 2 * in.ring_dimension, key_len);
        const auto keys = in.context->KeyGen();
        if (!keys.good())
            throw std::runtime_error("the key generation gave no keys");
        DCRTPoly coefficients = keys.secretKey->GetPrivateElement();
        wipe(keys.secretKey);
        write_words(coefficients, secret, secret_len);
        wipe(coefficients);
        auto elements = keys.publicKey->GetPublicElements();
        write_words(elements.at(0), key, in.ring_dimension);
        write_words(elements.at(1), key + in.ring_dimension, in.ring_dimension);
    });
}

std::unique_ptr<PublicKey> public_key(const Context& context, const std::uint64_t* words, std::size_t len) {
    return guarded([&] {
        const Internals& in = *context.internals;
        const std::size_t n = in.ring_dimension;
        check_length("public key", 2 * n, len);
        auto key = std::make_shared<lbcrypto::PublicKeyImpl<DCRTPoly>>(in.context, KEY_TAG);
        key->SetPublicElements({polynomial(in, words, n), polynomial(in, words + n, n)});
        return std::make_unique<PublicKey>(std::make_unique<PublicKeyInternals>(PublicKeyInternals{std::move(key)}));
    });
}

std::unique_ptr<SecretKey> secret_key(const Context& context, const std::uint64_t* words, std::size_t len) {
    return guarded([&] {
        const Internals& in = *context.internals;
        check_length("secret key", in.ring_dimension, len);
        auto key = std::make_shared<lbcrypto::PrivateKeyImpl<DCRTPoly>>(in.context);
        key->SetKeyTag(KEY_TAG);
        // Moved, not copied: a copy would be freed without being overwritten.
        key->SetPrivateElement(polynomial(in, words, len));
        return std::make_unique<SecretKey>(std::make_unique<SecretKeyInternals>(SecretKeyInternals{std::move(key)}));
    });
}

std::unique_ptr<Ciphertext> encrypt(const Context& context, const PublicKey& key, const std::uint64_t* plaintext,
                                    std::size_t count) {
    return guarded([&] {
        auto ciphertext = seal(*context.internals, key.internals->key, plaintext, count);
        return std::make_unique<Ciphertext>(
            std::make_unique<CiphertextInternals>(CiphertextInternals{std::move(ciphertext)}));
    });
}

void residues(const Ciphertext& ciphertext, std::uint64_t* c0, std::size_t c0_len, std::uint64_t* c1,
              std::size_t c1_len) {
    guarded([&] {
        // A copy, since OpenFHE's own objects stay in evaluation form.
        auto elements = ciphertext.internals->ciphertext->GetElements();
        write_words(elements.at(0), c0, c0_len);
        write_words(elements.at(1), c1, c1_len);
    });
}

void open(const Context& context, const SecretKey& key, std::uint64_t* c0, std::size_t c0_len,
          const std::uint64_t* c1, std::size_t c1_len) {
    guarded([&] { open(*context.internals, key.internals->key->GetPrivateElement(), c0, c0_len, c1, c1_len); });
}

std::unique_ptr<Ciphertext> combine(const Context& context, const PublicKey& key, const std::uint64_t* words,
                                    std::size_t len) {
    return guarded([&] {
        const Internals& in = *context.internals;
        const std::size_t n = in.ring_dimension;
        check_length("v, e0, e1 and m", 4 * n, len);
        const DCRTPoly v = polynomial(in, words, n), e0 = polynomial(in, words + n, n);
        const DCRTPoly e1 = polynomial(in, words + 2 * n, n), m = polynomial(in, words + 3 * n, n);
        const auto& elements = key.internals->key->GetPublicElements();
        auto ciphertext = std::make_shared<lbcrypto::CiphertextImpl<DCRTPoly>>(key.internals->key);
        ciphertext->SetElements({elements.at(0) * v + e0 + m, elements.at(1) * v + e1});
        return std::make_unique<Ciphertext>(std::make_unique<CiphertextInternals>(CiphertextInternals{std::move(ciphertext)}));
    });
}

void add_in_place(const Context& context, Ciphertext& sum, const Ciphertext& other) {
    guarded([&] {
        context.internals->context->EvalAddInPlace(sum.internals->ciphertext, other.internals->ciphertext);
    });
}

std::size_t openmp_threads() {
    return guarded([] {
        int threads = 0;
#pragma omp parallel num_threads(4)
#pragma omp single
        threads = omp_get_num_threads();
        return static_cast<std::size_t>(threads);
    });
}

}  // namespace cipherwatt
