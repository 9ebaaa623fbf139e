// Passes over activations for the training of binary units on a CPU, each fused from what would be
// several passes over memory. Activations are float rows of `channels` values, channels last:
// N x h x w rows. Parameters have one value per channel.
#pragma once

#include <cstddef>

namespace bihrnet::training {

// Learned parameters and statistics of z = prelu(u) + after, where
// u = y * scale + offset (+ residual_factor * residual).
struct Activation {
  const float* scale;    // of BatchNorm: weight / deviation
  const float* offset;   // of BatchNorm and what is added after it: bias - mean * scale + before
  const float* slope;    // of PReLU for u <= 0
  const float* after;    // added to the result
  float residual_factor;
};

// What the batch statistics of BatchNorm add to the gradient of y.
struct Normalization {
  const float* mean;
  const float* by_y;
  const float* constant;
};

// Sums over all rows that the gradient of `Activation` needs. du is the gradient of u.
struct ActivationSums {
  double* after;  // sum of dz: gradient of `after`
  double* slope;  // sum of dz * min(u, 0): gradient of `slope`
  double* du;     // sum of du
  double* du_y;   // sum of du * (y - mean)
};

// The passes over rows [first, last); sums are added to what is there already.
struct Passes {
  // signs = x + shift >= 0 ? 1 : -1, and NaN where the sum is NaN.
  void (*sign)(const float* x, const float* shift, float* signs, std::size_t rows,
               std::size_t channels);
  // Surrogate gradient of `sign`: dx = dy * max(0, 2 - 2|u|) (approx) or dy * (|u| <= 1), with
  // u = x + shift; dshift gets the sum of dx.
  void (*sign_gradient)(const float* dy, const float* x, const float* shift, bool approx, float* dx,
                        double* dshift, std::size_t rows, std::size_t channels);
  // Mean and sum of squared deviations of each channel over these rows.
  void (*moments)(const float* y, double* mean, double* squares, std::size_t rows,
                  std::size_t channels);
  void (*activate)(const Activation& activation, const float* y, const float* residual, float* z,
                   std::size_t rows, std::size_t channels);
  void (*activation_sums)(const Activation& activation, const float* mean, const float* dz,
                          const float* y, const float* residual, const ActivationSums& sums,
                          std::size_t rows, std::size_t channels);
  // dy = du * scale + (y - mean) * by_y + constant; dresidual, where there is a residual, is
  // residual_factor * du.
  void (*activation_gradient)(const Activation& activation, const Normalization& norm,
                              const float* dz, const float* y, const float* residual, float* dy,
                              float* dresidual, std::size_t rows, std::size_t channels);
};

// For the instruction set of this processor.
const Passes& passes();

}  // namespace bihrnet::training
