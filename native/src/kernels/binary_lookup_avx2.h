// Binary convolution on AVX2 by looking the activations up, for groups of 32 output channels.
//
// What a binary convolution counts is N = sum over bits of popcount(w ^ x), see bias.h. For a
// nibble x of activations, f_x(w) = popcount(w ^ x) is a function of 16 values of w: a table of 16
// bytes, which is what PSHUFB looks up. So
//
//     1. a byte of activations selects two tables, of its low and its high nibble: 32 bytes that
//        are loaded from `kNibbleCounts` as they are;
//     2. one PSHUFB with the weights' nibbles of 16 output channels, low nibbles in the low half,
//        high nibbles in the high half, gives the counts of 8 bits for 16 channels;
//     3. one PADDB adds them up.
//
// No XOR is left, and nibbles of activations are not separated. The blocks of a group share the loads
// of tables, so this is faster than `BinaryDot` from two blocks on.
//
// Counts are bytes first: a byte of activations adds at most 4 to each, so 15 words fit. Then the
// two halves of a channel are added in 16 bits. The largest sum that these hold is `kLookupTerms`;
// the engine takes the kernel of one block for larger ones.
#pragma once

#include <algorithm>

#include "conv.h"

namespace bihrnet {
namespace {

struct alignas(64) NibbleCounts {
  // [byte x][w]: popcount(w ^ low nibble of x), and behind 16 of them that of the high nibble.
  std::uint8_t count[256][32];
};

constexpr NibbleCounts nibble_counts() {
  NibbleCounts result{};
  const auto ones = [](int nibble) {
    return std::uint8_t((nibble & 1) + (nibble >> 1 & 1) + (nibble >> 2 & 1) + (nibble >> 3));
  };
  for (int x = 0; x < 256; ++x) {
    for (int w = 0; w < 16; ++w) {
      result.count[x][w] = ones(w ^ (x & 15));
      result.count[x][16 + w] = ones(w ^ (x >> 4));
    }
  }
  return result;
}
constexpr NibbleCounts kNibbleCounts = nibble_counts();

constexpr int kLookupWords = 15;  // 15 words * 4 bytes * 4 < 256
constexpr int kLookupTerms = 65535;
constexpr int kLookupBlockBytes = 4 * 32;  // weights of one word and block

// [byte of the word][low nibbles of 16 channels, high nibbles of 16 channels], block by block.
inline void expand_nibbles(const std::uint32_t* words, int blocks, std::uint32_t* vectors) {
  auto* out = reinterpret_cast<std::uint8_t*>(vectors);
  for (int block = 0; block < blocks; ++block) {
    for (int byte = 0; byte < 4; ++byte, out += 2 * kLanes) {
      for (int lane = 0; lane < kLanes; ++lane) {
        const std::uint32_t value = words[block * kLanes + lane] >> (8 * byte);
        out[lane] = value & 15;
        out[kLanes + lane] = value >> 4 & 15;
      }
    }
  }
}

// The value, where the compiler cannot look through it. Sums stay one chain of additions: gcc would
// add up what several steps give first, run out of registers, and go through memory.
[[gnu::always_inline]] inline __m256i opaque(__m256i v) {
#if defined(__GNUC__)
  asm("" : "+x"(v));
#endif
  return v;
}

inline __m256i load_256(const std::uint8_t* p) {
  return _mm256_load_si256(reinterpret_cast<const __m256i*>(p));
}

// Counts of a tile while they accumulate: low and high nibbles apart. Only unrolled loops may touch
// them, or they live in memory.
template <int P, int G>
using ByteCounts = __m256i[P][G];

// Counts of a tile in 16 bits, in memory.
template <int P, int G>
struct WordCounts {
  __m256i count[P][G];
  bool empty = true;
};

template <int P, int G>
[[gnu::always_inline]] inline void clear(ByteCounts<P, G>& bytes) {
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p) {
#pragma GCC unroll 2
    for (int g = 0; g < G; ++g) bytes[p][g] = _mm256_setzero_si256();
  }
}

// Low and high nibbles of the 16 channels together.
inline __m256i add_halves(__m256i bytes) {
  return _mm256_add_epi16(_mm256_cvtepu8_epi16(_mm256_castsi256_si128(bytes)),
                          _mm256_cvtepu8_epi16(_mm256_extracti128_si256(bytes, 1)));
}

template <int P, int G>
[[gnu::always_inline]] inline void flush(ByteCounts<P, G>& bytes, WordCounts<P, G>& words) {
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p) {
#pragma GCC unroll 2
    for (int g = 0; g < G; ++g) {
      const __m256i sum = add_halves(bytes[p][g]);
      words.count[p][g] = words.empty ? sum : _mm256_add_epi16(words.count[p][g], sum);
    }
  }
  words.empty = false;
  clear<P, G>(bytes);
}

// One byte of activations of each pixel, `offset` bytes behind `pixel[p]`.
template <int P, int G>
[[gnu::always_inline]] inline void count_byte(ByteCounts<P, G>& bytes,
                                              const std::uint8_t* const (&pixel)[P],
                                              std::ptrdiff_t offset, const std::uint8_t* weights) {
  __m256i w[G];
#pragma GCC unroll 2
  for (int g = 0; g < G; ++g) {
    w[g] = opaque(load_256(weights + g * kLookupBlockBytes));
  }
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p) {
    const __m256i table = load_256(kNibbleCounts.count[pixel[p][offset]]);
#pragma GCC unroll 2
    for (int g = 0; g < G; ++g) {
      bytes[p][g] = opaque(_mm256_add_epi8(bytes[p][g], _mm256_shuffle_epi8(table, w[g])));
    }
  }
}

template <int P, int G>
[[gnu::always_inline]] inline void count_word(ByteCounts<P, G>& bytes,
                                              const std::uint8_t* const (&pixel)[P],
                                              std::ptrdiff_t offset, const std::uint8_t* weights) {
#pragma GCC unroll 4
  for (int byte = 0; byte < 4; ++byte) {
    count_byte<P, G>(bytes, pixel, offset + byte, weights + byte * 2 * kLanes);
  }
}

// The same for the partial word at the end of a run: bits of the next pixel are masked.
template <int P, int G>
[[gnu::always_inline]] inline void count_tail(ByteCounts<P, G>& bytes,
                                              const std::uint8_t* const (&pixel)[P],
                                              std::ptrdiff_t offset, const std::uint8_t* weights,
                                              std::uint32_t mask) {
  std::uint32_t word[P];
  const std::uint8_t* masked[P];
  for (int p = 0; p < P; ++p) {
    std::memcpy(&word[p], pixel[p] + offset, 4);
    word[p] &= mask;
    masked[p] = reinterpret_cast<const std::uint8_t*>(&word[p]);
  }
  count_word<P, G>(bytes, masked, 0, weights);
}

template <int P, int G>
[[gnu::always_inline]] inline void count_window(WordCounts<P, G>& words, const ConvTask& task,
                                                const std::uint8_t* input) {
  constexpr int kStride = G * kLookupBlockBytes;
  ByteCounts<P, G> bytes;
  clear<P, G>(bytes);
  int room = kLookupWords;  // words until bytes may overflow
  const std::uint8_t* weights = task.weights;
  const std::ptrdiff_t run = std::ptrdiff_t(task.run_words) * 4;
  for (int row = 0; row < task.kernel_rows; ++row, input += task.tap_row) {
    const std::uint8_t* pixel[P];
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p) pixel[p] = input + p * task.output_pixel;
    for (std::ptrdiff_t offset = 0; offset < run;) {
      if (room == 0) {
        flush<P, G>(bytes, words);
        room = kLookupWords;
      }
      const std::ptrdiff_t stop = std::min(run, offset + room * 4);
      room -= int(stop - offset) / 4;
      for (; offset < stop; offset += 4, weights += kStride) {
        count_word<P, G>(bytes, pixel, offset, weights);
      }
    }
    if (task.tail_mask == 0) continue;
    if (room == 0) {
      flush<P, G>(bytes, words);
      room = kLookupWords;
    }
    --room;
    count_tail<P, G>(bytes, pixel, run, weights, task.tail_mask);
    weights += kStride;
  }
  flush<P, G>(bytes, words);
}

inline Floats lookup_sums(const __m256i& count) {
  return to_floats({_mm256_cvtepu16_epi32(_mm256_castsi256_si128(count)),
                    _mm256_cvtepu16_epi32(_mm256_extracti128_si256(count, 1))});
}

template <int P, int G>
inline void lookup_rows(const ConvTask& task, int begin, int end) {
  const int width = task.epilogue.width;
  for (int y = begin; y < end; ++y) {
    const std::uint8_t* row = task.input + y * task.output_row;
    for (int x = 0; x < width; x += P) {
      WordCounts<P, G> words;
      count_window<P, G>(words, task, row + x * task.output_pixel);
      // One block after the other: the sums of both do not fit into the registers.
#pragma GCC unroll 1
      for (int g = 0; g < G; ++g) {
        Floats v[P][1];
#pragma GCC unroll 8
        for (int p = 0; p < P; ++p) v[p][0] = lookup_sums(words.count[p][g]);
        const Tile tile{y, x, std::min(P, width - x), task.first_block + g};
        multiply_add<P, 1>(v, task, tile);
        run_steps<P, 1>(v, task.epilogue, tile);
      }
    }
  }
}

// In tiles of First or Second pixels, as `conv`.
template <int First, int Second, int G>
void lookup_conv(const ConvTask& task, int begin, int end) {
  if (covered(task.epilogue.width, First) <= covered(task.epilogue.width, Second)) {
    lookup_rows<First, G>(task, begin, end);
  } else {
    lookup_rows<Second, G>(task, begin, end);
  }
}

}  // namespace
}  // namespace bihrnet
