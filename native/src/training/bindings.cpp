// The Python module bihrnet.nn.layers._passes: fused passes over activations in training, see
// passes.h. Arrays are C-contiguous float32 on the CPU; results are written into the arrays given.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include <algorithm>
#include <functional>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <vector>

#include "thread_pool.h"
#include "training/passes.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace bihrnet::training {
namespace {

using Rows = nb::ndarray<float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Channels = nb::ndarray<float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

constexpr int kMaxThreads = 64;
// Threads take this many rows at a time; fewer cost more to hand out than to compute.
constexpr std::size_t kPart = 1024;

using PartWork = std::function<void(std::size_t part, std::size_t first, std::size_t rows)>;

// Runs work(part, first row, rows) over all rows. The parts follow from the number of rows alone, so
// sums over parts are the same on any number of threads.
void over_rows(std::size_t rows, int threads, const PartWork& work) {
  static std::mutex mutex;
  static ThreadPool* pool = nullptr;
  const std::lock_guard lock(mutex);
  threads = std::clamp(threads, 1, kMaxThreads);
  if (pool == nullptr || pool->threads() != threads) {
    delete pool;
    pool = new ThreadPool(threads);  // never destroyed at exit: other threads may still run
  }
  const int parts = int((rows + kPart - 1) / kPart);
  pool->run((parts + threads - 1) / threads, [&](int thread, int item) {
    const std::size_t part = std::size_t(item * threads + thread);
    const std::size_t first = part * kPart;
    if (first < rows) work(part, first, std::min(kPart, rows - first));
  });
}

// `count` sums per channel: one row of values for each part, then added up in the order of parts.
class PartSums {
 public:
  PartSums(std::size_t rows, std::size_t width)
      : width_(width), parts_((rows + kPart - 1) / kPart), values_(width * parts_) {}

  double* part(std::size_t part) { return values_.data() + part * width_; }

  void add_up() {
    for (std::size_t part = 1; part < parts_; ++part) {
      for (std::size_t i = 0; i < width_; ++i) values_[i] += values_[part * width_ + i];
    }
  }

  void copy(std::size_t from, const Channels& to) const {
    std::copy_n(values_.begin() + std::ptrdiff_t(from), to.shape(0), to.data());
  }

 private:
  std::size_t width_;
  std::size_t parts_;
  std::vector<double> values_;
};

void require_rows(const Rows& like, std::initializer_list<const Rows*> others) {
  for (const Rows* other : others) {
    if (other->shape(0) != like.shape(0) || other->shape(1) != like.shape(1)) {
      throw std::invalid_argument("activations of one pass have one shape");
    }
  }
}

void require_channels(const Rows& like, std::initializer_list<const Channels*> parameters) {
  for (const Channels* parameter : parameters) {
    if (parameter->shape(0) != like.shape(1)) {
      throw std::invalid_argument("parameters have one value per channel");
    }
  }
}

void sign(const Rows& x, const Channels& shift, const Rows& signs, int threads) {
  require_rows(x, {&signs});
  require_channels(x, {&shift});
  const std::size_t channels = x.shape(1);
  over_rows(x.shape(0), threads, [&](std::size_t, std::size_t first, std::size_t rows) {
    const std::size_t at = first * channels;
    passes().sign(x.data() + at, shift.data(), signs.data() + at, rows, channels);
  });
}

void sign_gradient(const Rows& dy, const Rows& x, const Channels& shift, bool approx,
                   const Rows& dx, const Channels& dshift, int threads) {
  require_rows(x, {&dy, &dx});
  require_channels(x, {&shift, &dshift});
  const std::size_t channels = x.shape(1);
  PartSums sums(x.shape(0), channels);
  over_rows(x.shape(0), threads, [&](std::size_t part, std::size_t first, std::size_t rows) {
    const std::size_t at = first * channels;
    passes().sign_gradient(dy.data() + at, x.data() + at, shift.data(), approx, dx.data() + at,
                           sums.part(part), rows, channels);
  });
  sums.add_up();
  sums.copy(0, dshift);
}

void moments(const Rows& y, const Channels& mean, const Channels& variance, int threads) {
  require_channels(y, {&mean, &variance});
  const std::size_t channels = y.shape(1);
  const std::size_t rows = y.shape(0);
  PartSums parts(rows, 2 * channels);
  over_rows(rows, threads, [&](std::size_t part, std::size_t first, std::size_t count) {
    double* values = parts.part(part);
    passes().moments(y.data() + first * channels, values, values + channels, count, channels);
  });
  for (std::size_t c = 0; c < channels; ++c) {
    double center = 0;
    double squares = 0;
    for (std::size_t part = 0; part * kPart < rows; ++part) {
      const double before = double(part * kPart);
      const double count = double(std::min(kPart, rows - part * kPart));
      const double step = parts.part(part)[c] - center;
      center += step * count / (before + count);
      squares += parts.part(part)[channels + c] + step * step * before * count / (before + count);
    }
    mean.data()[c] = float(center);
    variance.data()[c] = float(squares / double(rows));
  }
}

Activation activation_of(const Channels& scale, const Channels& offset, const Channels& slope,
                         const Channels& after, float residual_factor) {
  return {scale.data(), offset.data(), slope.data(), after.data(), residual_factor};
}

void activate(const Rows& y, const std::optional<Rows>& residual, const Channels& scale,
              const Channels& offset, const Channels& slope, const Channels& after,
              float residual_factor, const Rows& z, int threads) {
  require_rows(y, {&z});
  if (residual) require_rows(y, {&*residual});
  require_channels(y, {&scale, &offset, &slope, &after});
  const Activation activation = activation_of(scale, offset, slope, after, residual_factor);
  const std::size_t channels = y.shape(1);
  over_rows(y.shape(0), threads, [&](std::size_t, std::size_t first, std::size_t rows) {
    const std::size_t at = first * channels;
    passes().activate(activation, y.data() + at, residual ? residual->data() + at : nullptr,
                      z.data() + at, rows, channels);
  });
}

// Where `deviation` is given, scale and offset hold the statistics of these rows, as BatchNorm has
// them in training; else they are constants. du and du_y get the sums of passes.h.
void activate_gradient(const Rows& dz, const Rows& y, const std::optional<Rows>& residual,
                       const Channels& scale, const Channels& offset, const Channels& slope,
                       float residual_factor, const Channels& mean,
                       const std::optional<Channels>& deviation, const Rows& dy,
                       const std::optional<Rows>& dresidual, const Channels& dafter, const Channels& dslope, const Channels& du,
                       const Channels& du_y, int threads) {
  require_rows(y, {&dz, &dy});
  if (bool(residual) != bool(dresidual)) {
    throw std::invalid_argument("a residual has a gradient");
  }
  if (residual) require_rows(y, {&*residual, &*dresidual});
  require_channels(y, {&scale, &offset, &slope, &mean, &dafter, &dslope, &du, &du_y});
  if (deviation) require_channels(y, {&*deviation});
  const Activation activation = activation_of(scale, offset, slope, slope, residual_factor);
  const std::size_t channels = y.shape(1);
  const std::size_t total = y.shape(0);
  const auto residual_at = [&](std::size_t at) {
    return residual ? residual->data() + at : nullptr;
  };
  PartSums sums(total, 4 * channels);
  over_rows(total, threads, [&](std::size_t part, std::size_t first, std::size_t rows) {
    const std::size_t at = first * channels;
    double* to = sums.part(part);
    passes().activation_sums(
        activation, mean.data(), dz.data() + at, y.data() + at, residual_at(at),
        {to, to + channels, to + 2 * channels, to + 3 * channels}, rows, channels);
  });
  sums.add_up();
  sums.copy(0, dafter);
  sums.copy(channels, dslope);
  sums.copy(2 * channels, du);
  sums.copy(3 * channels, du_y);
  std::vector<float> by_y(channels);
  std::vector<float> constant(channels);
  const double* values = sums.part(0);
  for (std::size_t c = 0; deviation && c < channels; ++c) {
    const double share = -double(scale.data()[c]) / double(total);
    const double size = deviation->data()[c];
    constant[c] = float(share * values[2 * channels + c]);
    by_y[c] = float(share * values[3 * channels + c] / (size * size));
  }
  const Normalization norm{mean.data(), by_y.data(), constant.data()};
  over_rows(total, threads, [&](std::size_t, std::size_t first, std::size_t rows) {
    const std::size_t at = first * channels;
    passes().activation_gradient(activation, norm, dz.data() + at, y.data() + at, residual_at(at),
                                 dy.data() + at, dresidual ? dresidual->data() + at : nullptr, rows,
                                 channels);
  });
}

}  // namespace

NB_MODULE(_passes, module) {
  const nb::call_guard<nb::gil_scoped_release> unlocked;
  module.def("sign", &sign, "x"_a, "shift"_a, "signs"_a, "threads"_a, unlocked);
  module.def("sign_gradient", &sign_gradient, "dy"_a, "x"_a, "shift"_a, "approx"_a, "dx"_a,
             "dshift"_a, "threads"_a, unlocked);
  module.def("moments", &moments, "y"_a, "mean"_a, "variance"_a, "threads"_a, unlocked);
  module.def("activate", &activate, "y"_a, "residual"_a.none(), "scale"_a, "offset"_a, "slope"_a,
             "after"_a, "residual_factor"_a, "z"_a, "threads"_a, unlocked);
  module.def("activate_gradient", &activate_gradient, "dz"_a, "y"_a, "residual"_a.none(),
             "scale"_a, "offset"_a, "slope"_a, "residual_factor"_a, "mean"_a, "deviation"_a.none(), "dy"_a,
             "dresidual"_a.none(), "dafter"_a, "dslope"_a, "du"_a, "du_y"_a, "threads"_a, unlocked);
}

}  // namespace bihrnet::training
