// Speed of the raw convolution kernels, beside what the arithmetic units could do at most, measured
// in the same run. usage: kernel_benchmark [INSTRUCTION_SET]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "engine.h"
#include "isa.h"
#include "ternary_packing.h"

namespace {

using namespace bihrnet;

double seconds() {
  using Clock = std::chrono::steady_clock;
  return std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
}

// Shortest of many runs: what the kernel takes when nothing else disturbs it.
template <class Function>
double shortest(int runs, Function function) {
  double best = 1e30;
  for (int run = 0; run < runs; ++run) {
    const double start = seconds();
    function();
    best = std::min(best, seconds() - start);
  }
  return best;
}

#if defined(__x86_64__) && defined(__GNUC__)
constexpr int kChains = 10;
constexpr int kSteps = 20000;

// Ten independent chains of one step each, so that throughput counts and not latency. The registers
// are named, because the compiler must neither drop nor reorder anything.
#define CHAIN(n) STEP("%%zmm" #n) "\n\t"
#define CHAINS \
  CHAIN(0) CHAIN(1) CHAIN(2) CHAIN(3) CHAIN(4) CHAIN(5) CHAIN(6) CHAIN(7) CHAIN(8) CHAIN(9)
#define CLOBBERED "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9"

void xor_popcount_add() {
#define STEP(sum) \
  "vpxord %%zmm12, %%zmm11, %%zmm13\n\tvpopcntd %%zmm13, %%zmm13\n\tvpaddd %%zmm13, " sum ", " sum
  for (int i = 0; i < kSteps; ++i) asm volatile(CHAINS : : : CLOBBERED, "xmm11", "xmm12", "xmm13");
#undef STEP
}
void multiply_add() {
#define STEP(sum) "vfmadd231ps %%zmm12, %%zmm12, " sum
  for (int i = 0; i < kSteps; ++i) asm volatile(CHAINS : : : CLOBBERED, "xmm12");
#undef STEP
}
void dot_bytes() {
#define STEP(sum) "vpdpbusd %%zmm12, %%zmm12, " sum
  for (int i = 0; i < kSteps; ++i) asm volatile(CHAINS : : : CLOBBERED, "xmm12");
#undef STEP
}

// Multiply-accumulates per second that AVX-512 can do at most.
std::vector<double> limits() {
  const auto rate = [](void (*function)(), double per_step) {
    return kChains * double(kSteps) * per_step / shortest(200, function);
  };
  asm volatile("xorps %%xmm12, %%xmm12" : : : "xmm12");
  return {rate(xor_popcount_add, 512), rate(multiply_add, 16), rate(dot_bytes, 64)};
}
#endif

struct Shape {
  int height, width, inputs, outputs, kernel, stride;
};

// One convolution without steps: multiply-accumulates per second.
double run(const KernelTable& table, Dot dot, const Shape& shape) {
  const ElementType types[] = {ElementType::bits, ElementType::f32, ElementType::u8};
  const std::size_t pixel = pixel_bytes(types[int(dot)], shape.inputs);
  const int pad = shape.kernel / 2;
  ConvInfo conv{dot, shape.kernel, shape.kernel, shape.stride, pad, pad};
  conv.tap_bytes = dot == Dot::binary ? std::size_t(shape.inputs + 63) / 64 * 8 : pixel;
  const auto outputs = std::size_t(shape.outputs);
  conv.weights.assign(outputs * std::size_t(shape.kernel * shape.kernel) * conv.tap_bytes, 0);
  conv.mul.assign(outputs, 1);
  conv.add.assign(outputs, 0);
  const TensorInfo input{types[int(dot)], shape.height, shape.width, shape.inputs, 1, 0};
  const int height = (shape.height + 2 * pad - shape.kernel) / shape.stride + 1;
  const int width = (shape.width + 2 * pad - shape.kernel) / shape.stride + 1;
  const PackedWeights weights = pack_weights(conv, input, int(pixel), table);
  const BiasTable bias = bias_table(conv, input, height, width);
  const AlignedFloats mul = kernel_mul(conv);
  const std::size_t row = std::size_t(shape.width + 2 * pad) * pixel;
  const AlignedMemory memory(std::size_t(shape.height + 2 * pad + 2) * row + 65536);

  ConvTask task{};
  task.input = memory.data();
  task.tap_row = std::ptrdiff_t(row);
  task.output_row = shape.stride * task.tap_row;
  task.output_pixel = shape.stride * std::ptrdiff_t(pixel);
  task.kernel_rows = weights.kernel_rows;
  task.run_words = weights.run_words;
  task.tail_mask = weights.tail_mask;
  task.mul = mul.data();
  task.bias = bias.bias.data();
  task.bias_row = bias.row.data();
  task.bias_column = bias.column.data();
  task.epilogue = {nullptr, 0, shape.outputs, width};
  const double best = shortest(200, [&] {
    for (const BlockGroup& group : weights.groups) {
      task.weights = weights.words.data() + group.offset;
      task.first_block = group.first_block;
      table.conv[int(dot)][group.log2_blocks].run(task, 0, height);
    }
  });
  const double macs = double(height) * width * shape.kernel * shape.kernel;
  return macs * shape.inputs * shape.outputs / best;
}

// The same time and again, for a ternary convolution with its share of additions.
double run_ternary(const KernelTable& table, Dot dot, const Shape& shape, double density) {
  const ElementType type = dot == Dot::f32 ? ElementType::f32 : ElementType::u8;
  const std::size_t pixel = pixel_bytes(type, shape.inputs);
  const int pad = shape.kernel / 2;
  ConvInfo conv{dot, shape.kernel, shape.kernel, 1, pad, pad};
  conv.tap_bytes = std::size_t(shape.inputs + 63) / 64 * 8;
  const auto outputs = std::size_t(shape.outputs);
  const std::size_t half = outputs * std::size_t(shape.kernel * shape.kernel) * conv.tap_bytes;
  conv.weights.assign(2 * half, 0);
  std::mt19937 generator(1);
  std::bernoulli_distribution chosen(density);
  for (std::size_t bit = 0; bit < 8 * half; ++bit) {
    if (!chosen(generator)) continue;
    const std::size_t sign = generator() % 2;
    conv.weights[sign * half + bit / 8] |= std::uint8_t(1u << bit % 8);
  }
  conv.mul.assign(outputs, 1);
  const TensorInfo input{type, shape.height, shape.width, shape.inputs, 1, 0};
  const PlaneLayout layout = plane_layout(conv, input);
  const PackedTernary packed = pack_ternary(conv, input, layout);
  const std::vector<float> zeros(outputs + kLanes, 0.0f);
  const AlignedMemory memory(std::size_t(shape.height + 1) * std::size_t(shape.width) * pixel);
  const AlignedMemory planes(layout.bytes);

  TernaryTask task{};
  task.input = memory.data();
  task.row_pitch = std::ptrdiff_t(std::size_t(shape.width) * pixel);
  task.pixel_pitch = std::ptrdiff_t(pixel);
  task.height = shape.height;
  task.width = shape.width;
  task.channels = shape.inputs;
  task.pad_y = task.pad_x = pad;
  task.planes = planes.data();
  task.plane_size = layout.size;
  task.plane_pitch = layout.pitch;
  task.taps = packed.taps.data();
  task.tap_count = int(packed.taps.size());
  task.groups = packed.groups.data();
  task.group_count = int(packed.groups.size());
  task.mul = task.add = zeros.data();
  task.epilogue = {nullptr, 0, shape.outputs, shape.width};
  const TernaryKernel& kernel = table.ternary[dot == Dot::int8];
  return shortest(100, [&] {
    kernel.planes(task, 0, shape.height);
    kernel.conv(task, 0, shape.height);
  });
}

void compare_ternary(const KernelTable& table, const Shape& shape) {
  const double macs = double(shape.height) * shape.width * shape.kernel * shape.kernel *
                      shape.inputs * shape.outputs;
  for (const Dot dot : {Dot::f32, Dot::int8}) {
    const double dense = macs / run(table, dot, shape);
    std::printf("  %3dx%3dx%3d ->%4d  %s: dense %5.0f us, ternary of density", shape.height,
                shape.width, shape.inputs, shape.outputs, dot == Dot::f32 ? "f32" : "u8",
                dense * 1e6);
    for (const double density : {0.1, 0.5, 0.9}) {
      const double time = run_ternary(table, dot, shape, density);
      std::printf("  %.1f: %5.0f us (%.2fx)", density, time * 1e6, dense / time);
    }
    std::printf("\n");
  }
}

}  // namespace

int main(int count, char** arguments) {
  const std::string isa = count > 1 ? arguments[1] : usable_isas().front();
  const KernelTable& table = kernels(isa);
  const char* names[] = {"binary", "fp32", "int8"};
  std::vector<double> limit(3, 0.0);
#if defined(__x86_64__) && defined(__GNUC__)
  if (isa == "avx512") limit = limits();
#endif
  const std::vector<Shape> shapes[] = {{{64, 48, 64, 64, 3, 1},
                                        {32, 24, 64, 64, 3, 1},
                                        {16, 12, 128, 128, 3, 1},
                                        {8, 6, 256, 256, 3, 1},
                                        {64, 48, 32, 16, 3, 1},
                                        {64, 48, 16, 8, 3, 1},
                                        {64, 48, 64, 256, 1, 1},
                                        {64, 48, 256, 64, 1, 1}},
                                       {{256, 192, 3, 64, 3, 2},
                                        {128, 96, 64, 64, 3, 2},
                                        {64, 48, 256, 64, 3, 2},
                                        {64, 48, 32, 32, 3, 2},
                                        {32, 24, 64, 128, 3, 2},
                                        {16, 12, 128, 256, 3, 2}},
                                       {}};
  for (int dot = 0; dot < kDots; ++dot) {
    std::printf("%s %s", isa.c_str(), names[dot]);
    if (limit[std::size_t(dot)] > 0)
      std::printf(", at most %.0f GMAC/s", limit[std::size_t(dot)] / 1e9);
    std::printf("\n");
    for (const Shape& s : dot == 2 ? shapes[1] : shapes[dot]) {
      const double rate = run(table, Dot(dot), s);
      std::printf("  %3dx%3dx%3d ->%4d  %dx%d/%d  %6.0f GMAC/s", s.height, s.width, s.inputs,
                  s.outputs, s.kernel, s.kernel, s.stride, rate / 1e9);
      if (limit[std::size_t(dot)] > 0)
        std::printf("  %3.0f %%", 100 * rate / limit[std::size_t(dot)]);
      std::printf("\n");
    }
  }
  std::printf("%s ternary\n", isa.c_str());
  for (const int side : {64, 32, 16, 8}) compare_ternary(table, {side, side, 128, 128, 3, 1});
}
