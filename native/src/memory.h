// Zeroed memory that starts on a cache line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>

namespace bihrnet {

inline constexpr std::size_t kCacheLine = 64;

inline constexpr std::size_t round_up(std::size_t value, std::size_t unit) {
  return (value + unit - 1) / unit * unit;
}

class AlignedMemory {
 public:
  AlignedMemory() = default;
  explicit AlignedMemory(std::size_t bytes)
      : bytes_(static_cast<std::uint8_t*>(::operator new(bytes, std::align_val_t{kCacheLine}))) {
    std::memset(bytes_.get(), 0, bytes);
  }
  std::uint8_t* data() const { return bytes_.get(); }

 private:
  struct Free {
    void operator()(std::uint8_t* p) const { ::operator delete(p, std::align_val_t{kCacheLine}); }
  };
  std::unique_ptr<std::uint8_t, Free> bytes_;
};

}  // namespace bihrnet
