// Zeroed memory that starts on a cache line, large memory in large pages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace bihrnet {

inline constexpr std::size_t kCacheLine = 64;

inline constexpr std::size_t round_up(std::size_t value, std::size_t unit) {
  return (value + unit - 1) / unit * unit;
}

struct AlignedFree {
  std::size_t alignment = kCacheLine;
  void operator()(std::uint8_t* p) const { ::operator delete(p, std::align_val_t{alignment}); }
};

class AlignedMemory {
 public:
  AlignedMemory() = default;
  explicit AlignedMemory(std::size_t bytes)
      : bytes_(allocate(bytes), AlignedFree{alignment(bytes)}) {
    std::memset(bytes_.get(), 0, bytes);
  }
  std::uint8_t* data() const { return bytes_.get(); }

 private:
  static constexpr std::size_t kLargePage = std::size_t(2) << 20;

  static std::size_t alignment(std::size_t bytes) {
    return bytes < kLargePage ? kCacheLine : kLargePage;
  }
  static std::uint8_t* allocate(std::size_t bytes) {
    void* memory = ::operator new(bytes, std::align_val_t{alignment(bytes)});
#if defined(__linux__)
    // Only advice: without large pages everything works, with more misses of the address cache.
    if (bytes >= kLargePage) madvise(memory, bytes, MADV_HUGEPAGE);
#endif
    return static_cast<std::uint8_t*>(memory);
  }

  std::unique_ptr<std::uint8_t, AlignedFree> bytes_;
};

template <class T>
struct AlignedAllocator {
  using value_type = T;
  AlignedAllocator() = default;
  template <class U>
  AlignedAllocator(const AlignedAllocator<U>&) {}
  T* allocate(std::size_t count) {
    return static_cast<T*>(::operator new(count * sizeof(T), std::align_val_t{kCacheLine}));
  }
  void deallocate(T* p, std::size_t) { ::operator delete(p, std::align_val_t{kCacheLine}); }
  bool operator==(const AlignedAllocator&) const { return true; }
};

// Floats that kernels read in vectors of a cache line: one that lay across two would cost twice.
using AlignedFloats = std::vector<float, AlignedAllocator<float>>;

}  // namespace bihrnet
