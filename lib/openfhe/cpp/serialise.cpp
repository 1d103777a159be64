// OpenFHE's own serialisation, for benches. On its own because these headers take half a minute and
// more than a gigabyte to compile.
#define CIPHERWATT_SERIALISATION
#include "internal.h"

#include <istream>
#include <sstream>
#include <streambuf>

#include "ciphertext-ser.h"
#include "cryptocontext-ser.h"
#include "scheme/ckksrns/ckksrns-ser.h"

namespace cipherwatt {

using lbcrypto::DCRTPoly;

std::unique_ptr<std::vector<std::uint8_t>> serialise(const Ciphertext& ciphertext) {
    return guarded([&] {
        std::ostringstream out;
        lbcrypto::Serial::Serialize(ciphertext.internals->ciphertext, out, lbcrypto::SerType::BINARY);
        const std::string bytes = out.str();
        return std::make_unique<std::vector<std::uint8_t>>(bytes.begin(), bytes.end());
    });
}

std::unique_ptr<Ciphertext> deserialise(const std::uint8_t* bytes, std::size_t len) {
    return guarded([&] {
        // Reads in place, so that the comparison is not charged for a copy.
        struct View : std::streambuf {
            View(const std::uint8_t* data, std::size_t size) {
                char* begin = reinterpret_cast<char*>(const_cast<std::uint8_t*>(data));
                setg(begin, begin, begin + size);
            }
        } view(bytes, len);
        std::istream in(&view);
        auto internals = std::make_unique<CiphertextInternals>();
        lbcrypto::Serial::Deserialize(internals->ciphertext, in, lbcrypto::SerType::BINARY);
        return std::make_unique<Ciphertext>(std::move(internals));
    });
}

}  // namespace cipherwatt
