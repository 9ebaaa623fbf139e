// The passes as loops that compilers vectorize; compiled once for each instruction set. Includers
// define BIHRNET_PASSES as the name of the table.
#include <algorithm>
#include <cmath>
#include <vector>

#include "training/passes.h"

#if defined(_MSC_VER)
#define BIHRNET_RESTRICT __restrict
#else
#define BIHRNET_RESTRICT __restrict__
#endif

namespace bihrnet::training {
namespace {

using std::size_t;
using Input = const float* BIHRNET_RESTRICT;
using Output = float* BIHRNET_RESTRICT;

// Rows whose sums are taken in float before they are added in double.
constexpr size_t kBlock = 64;

void sign(Input x, Input shift, Output signs, size_t rows, size_t channels) {
  for (size_t row = 0; row < rows; ++row, x += channels, signs += channels) {
    for (size_t c = 0; c < channels; ++c) {
      const float u = x[c] + shift[c];
      signs[c] = u >= 0 ? 1.0F : (u < 0 ? -1.0F : u);
    }
  }
}

template <bool kApprox>
void sign_gradient_of(Input dy, Input x, Input shift, Output dx, double* BIHRNET_RESTRICT dshift,
                      size_t rows, size_t channels) {
  std::vector<float> sums(channels);
  Output sum = sums.data();
  for (size_t first = 0; first < rows; first += kBlock) {
    std::fill(sums.begin(), sums.end(), 0.0F);
    for (size_t row = first; row < std::min(rows, first + kBlock); ++row) {
      for (size_t c = 0; c < channels; ++c) {
        const float size = std::fabs(x[c] + shift[c]);
        const float slope = kApprox ? 2.0F - 2.0F * size : 1.0F;
        const float gradient = size > 1 ? 0.0F : dy[c] * slope;
        dx[c] = gradient;
        sum[c] += gradient;
      }
      dy += channels, x += channels, dx += channels;
    }
    for (size_t c = 0; c < channels; ++c) dshift[c] += sum[c];
  }
}

void sign_gradient(const float* dy, const float* x, const float* shift, bool approx, float* dx,
                   double* dshift, size_t rows, size_t channels) {
  (approx ? sign_gradient_of<true> : sign_gradient_of<false>)(dy, x, shift, dx, dshift, rows,
                                                              channels);
}

// Chan et al. 1979: blocks are summed on their own and their moments combined.
void moments(const float* y, double* mean, double* squares, size_t rows, size_t channels) {
  std::vector<float> memory(2 * channels);
  Output sum = memory.data();
  Output square = sum + channels;
  std::fill(mean, mean + channels, 0.0);
  std::fill(squares, squares + channels, 0.0);
  for (size_t first = 0; first < rows; first += kBlock) {
    const size_t count = std::min(rows, first + kBlock) - first;
    Input block = y + first * channels;
    std::fill(memory.begin(), memory.end(), 0.0F);
    for (size_t row = 0; row < count; ++row) {
      for (size_t c = 0; c < channels; ++c) sum[c] += block[row * channels + c];
    }
    const float share = 1.0F / float(count);
    for (size_t c = 0; c < channels; ++c) sum[c] *= share;
    for (size_t row = 0; row < count; ++row) {
      for (size_t c = 0; c < channels; ++c) {
        const float deviation = block[row * channels + c] - sum[c];
        square[c] += deviation * deviation;
      }
    }
    const double weight = double(count) / double(first + count);
    for (size_t c = 0; c < channels; ++c) {
      const double step = sum[c] - mean[c];
      mean[c] += step * weight;
      squares[c] += square[c] + step * step * weight * double(first);
    }
  }
}

template <bool kResidual>
void activate_of(const Activation& activation, Input y, Input residual, Output z, size_t rows,
                 size_t channels) {
  Input scale = activation.scale;
  Input offset = activation.offset;
  Input slope = activation.slope;
  Input after = activation.after;
  [[maybe_unused]] const float factor = activation.residual_factor;
  for (size_t at = 0; at < rows * channels; at += channels) {
    for (size_t c = 0; c < channels; ++c) {
      float u = y[at + c] * scale[c] + offset[c];
      if constexpr (kResidual) u += factor * residual[at + c];
      z[at + c] = (u > 0 ? u : slope[c] * u) + after[c];
    }
  }
}

void activate(const Activation& activation, const float* y, const float* residual, float* z,
              size_t rows, size_t channels) {
  (residual ? activate_of<true> : activate_of<false>)(activation, y, residual, z, rows, channels);
}

// The sums of one block of rows, added to `to_*`. Of its own so that the compiler knows that none of
// the arrays overlap.
template <bool kResidual>
void add_block([[maybe_unused]] float factor, Input scale, Input offset, Input slope, Input mean,
               Input dz, Input y, Input residual, Output to_after, Output to_slope, Output to_u,
               Output to_u_y, size_t rows, size_t channels) {
  for (size_t at = 0; at < rows * channels; at += channels) {
    for (size_t c = 0; c < channels; ++c) {
      float u = y[at + c] * scale[c] + offset[c];
      if constexpr (kResidual) u += factor * residual[at + c];
      const float given = dz[at + c];
      const float du = u > 0 ? given : slope[c] * given;
      to_after[c] += given;
      to_slope[c] += given * std::min(u, 0.0F);
      to_u[c] += du;
      to_u_y[c] += du * (y[at + c] - mean[c]);
    }
  }
}

template <bool kResidual>
void activation_sums_of(const Activation& activation, Input mean, Input dz, Input y, Input residual,
                        const ActivationSums& sums, size_t rows, size_t channels) {
  std::vector<float> memory(4 * channels);
  float* block = memory.data();
  for (size_t first = 0; first < rows; first += kBlock) {
    std::fill(memory.begin(), memory.end(), 0.0F);
    const size_t at = first * channels;
    add_block<kResidual>(activation.residual_factor, activation.scale, activation.offset,
                         activation.slope, mean, dz + at, y + at,
                         kResidual ? residual + at : nullptr, block, block + channels,
                         block + 2 * channels, block + 3 * channels, std::min(kBlock, rows - first),
                         channels);
    for (size_t c = 0; c < channels; ++c) {
      sums.after[c] += block[c];
      sums.slope[c] += block[channels + c];
      sums.du[c] += block[2 * channels + c];
      sums.du_y[c] += block[3 * channels + c];
    }
  }
}

void activation_sums(const Activation& activation, const float* mean, const float* dz,
                     const float* y, const float* residual, const ActivationSums& sums, size_t rows,
                     size_t channels) {
  (residual ? activation_sums_of<true> : activation_sums_of<false>)(activation, mean, dz, y,
                                                                    residual, sums, rows, channels);
}

template <bool kResidual>
void activation_gradient_of(const Activation& activation, const Normalization& norm, Input dz,
                            Input y, Input residual, Output dy, Output dresidual, size_t rows,
                            size_t channels) {
  Input mean = norm.mean;
  Input by_y = norm.by_y;
  Input constant = norm.constant;
  Input scale = activation.scale;
  Input offset = activation.offset;
  Input slope = activation.slope;
  [[maybe_unused]] const float factor = activation.residual_factor;
  for (size_t at = 0; at < rows * channels; at += channels) {
    for (size_t c = 0; c < channels; ++c) {
      float u = y[at + c] * scale[c] + offset[c];
      if constexpr (kResidual) u += factor * residual[at + c];
      const float given = dz[at + c];
      const float du = u > 0 ? given : slope[c] * given;
      dy[at + c] = du * scale[c] + ((y[at + c] - mean[c]) * by_y[c] + constant[c]);
      if constexpr (kResidual) dresidual[at + c] = factor * du;
    }
  }
}

void activation_gradient(const Activation& activation, const Normalization& norm, const float* dz,
                         const float* y, const float* residual, float* dy, float* dresidual,
                         size_t rows, size_t channels) {
  (residual ? activation_gradient_of<true> : activation_gradient_of<false>)(
      activation, norm, dz, y, residual, dy, dresidual, rows, channels);
}

}  // namespace

extern const Passes BIHRNET_PASSES;
const Passes BIHRNET_PASSES{sign,     sign_gradient,   moments,
                            activate, activation_sums, activation_gradient};

}  // namespace bihrnet::training
