// Compares every usable instruction set with the portable kernels over random networks whose values
// are small integers, so that all results are exact. Needs no Python: runs under qemu and under
// sanitizers. (Against NumPy, the same kernels are tested by tests/engine/test_native_kernels.py.)
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "engine.h"
#include "isa.h"

namespace {

using namespace bihrnet;

class Random {
 public:
  explicit Random(unsigned seed) : generator_(seed) {}
  int within(int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(generator_);
  }
  std::vector<float> integers(int count, int low, int high) {
    std::vector<float> values(static_cast<std::size_t>(count));
    for (float& value : values) value = float(within(low, high));
    return values;
  }
  std::vector<std::uint8_t> bytes(std::size_t count) {
    std::vector<std::uint8_t> values(count);
    for (std::uint8_t& value : values) value = std::uint8_t(within(0, 255));
    return values;
  }

 private:
  std::mt19937 generator_;
};

template <class T>
std::vector<std::uint8_t> as_bytes(const std::vector<T>& values) {
  const auto* begin = reinterpret_cast<const std::uint8_t*>(values.data());
  return {begin, begin + values.size() * sizeof(T)};
}

// Small integers as floats, random bytes, or random bits with zero bits behind the last channel.
std::vector<std::uint8_t> weights(Random& random, Dot dot, int taps, int channels) {
  if (dot == Dot::f32) return as_bytes(random.integers(taps * channels, -3, 3));
  if (dot == Dot::int8) return random.bytes(std::size_t(taps) * std::size_t(channels));
  const int words = (channels + 63) / 64;
  std::vector<std::uint64_t> bits(std::size_t(taps) * std::size_t(words));
  for (std::size_t i = 0; i < bits.size(); ++i) {
    const int used = channels - int(i % std::size_t(words)) * 64;
    for (int bit = 0; bit < used && bit < 64; ++bit) {
      bits[i] |= std::uint64_t(random.within(0, 1)) << bit;
    }
  }
  return as_bytes(bits);
}

// Bits of weights that are +1, then of those that are -1: about half of them are 0.
std::vector<std::uint8_t> ternary_weights(Random& random, int taps, int channels) {
  std::vector<std::uint8_t> positive = weights(random, Dot::binary, taps, channels);
  std::vector<std::uint8_t> negative = weights(random, Dot::binary, taps, channels);
  for (std::size_t i = 0; i < positive.size(); ++i) {
    const std::uint8_t both = positive[i] & negative[i];
    positive[i] ^= both;
    negative[i] ^= both;
  }
  positive.insert(positive.end(), negative.begin(), negative.end());
  return positive;
}

ConvInfo conv(Random& random, Dot dot, int inputs, int outputs, int height, int width, int stride,
              int pad_y, int pad_x) {
  ConvInfo info{dot, height, width, stride, pad_y, pad_x};
  info.weights = weights(random, dot, outputs * height * width, inputs);
  info.mul = random.integers(outputs, -1, 1);
  info.add = random.integers(outputs, -9, 9);
  return info;
}

struct Case {
  Network network;
  std::vector<std::uint8_t> images;
  std::size_t heatmap_size;
};

constexpr int kImages = 2;

// The image -> a tensor of the wanted type -> the convolution, binary, f32, int8, or ternary of f32
// or u8 -> every kind of step -> one output.
Case random_case(unsigned seed) {
  Random random(seed);
  const bool ternary = seed % 5 >= 3;
  const Dot dot = Dot(ternary ? seed % 5 - 2 : seed % 5);
  const int largest = seed % 7 == 0 ? 512 : 70;
  const int inputs =
      random.within(1, seed % 3 == 0 ? 16 : largest);  // up to 16 bits: partial words
  const int outputs = random.within(1, largest);
  const int kernel_height = random.within(1, 5);
  const int kernel_width = random.within(1, 5);
  const int height = random.within(5, 14);
  const int width = random.within(5, 14);
  const ElementType types[] = {ElementType::bits, ElementType::f32, ElementType::u8};

  Case result;
  Network& network = result.network;
  const int image = network.tensor(ElementType::u8, height, width, 3, 1, 0);
  const int data =
      network.tensor(types[int(dot)], height, width, inputs, 1, dot == Dot::int8 ? 7 : 0);
  network.conv(image, conv(random, Dot::f32, 3, inputs, 1, 1, 1, 0, 0));
  if (dot == Dot::binary) {
    network.step({.name = "sign", .tensor = data, .channel = 0, .values = random.integers(inputs, -300, 300)});
  } else if (dot == Dot::int8) {
    network.step({.name = "quantise", .tensor = data, .channel = 0});
  } else {
    network.step({.name = "store", .tensor = data, .channel = 0});
  }

  ConvInfo info =
      conv(random, dot, inputs, outputs, kernel_height, kernel_width, random.within(1, 2),
           random.within(0, kernel_height - 1), random.within(0, kernel_width - 1));
  if (ternary) {
    info.stride = 1;
    info.weights = ternary_weights(random, outputs * kernel_height * kernel_width, inputs);
  }
  const int out_height = (height + 2 * info.pad_y - kernel_height) / info.stride + 1;
  const int out_width = (width + 2 * info.pad_x - kernel_width) / info.stride + 1;
  const int offset = random.within(0, 9);
  const int out = network.tensor(ElementType::f32, out_height, out_width, outputs + offset, 1, 0);
  const int bits = network.tensor(ElementType::bits, out_height, out_width, outputs + offset, 1, 0);
  const int bytes = network.tensor(ElementType::u8, out_height, out_width, outputs, 0.5f, 100);
  const int heatmaps = network.tensor(ElementType::f32, out_height, out_width, 3 + outputs, 1, 0);
  if (ternary) {
    network.conv_ternary(data, std::move(info));
  } else {
    network.conv(data, std::move(info));
  }
  network.step({.name = "shift", .values = random.integers(outputs, -5, 5)});
  network.step({.name = "prelu", .values = random.integers(outputs, -2, 2)});
  network.step({.name = "store", .tensor = out, .channel = offset});
  network.step({.name = "add", .tensor = out, .channel = offset, .upsample = 1});
  network.step({.name = "sign", .tensor = bits, .channel = offset, .values = random.integers(outputs, -50, 50)});
  network.step({.name = "relu"});
  network.step({.name = "quantise", .tensor = bytes, .channel = 0});

  const int pooled =
      network.tensor(ElementType::f32, out_height, out_width, outputs + offset, 1, 0);
  network.max_pool(out, {3, 1, 1});
  network.step({.name = "store", .tensor = pooled, .channel = 0});

  // Bits and bytes as numbers again.
  network.conv(bits, conv(random, Dot::binary, outputs + offset, 2, 1, 1, 1, 0, 0));
  network.step({.name = "store", .tensor = heatmaps, .channel = 0});
  network.conv(bytes, conv(random, Dot::int8, outputs, 1, 1, 1, 1, 0, 0));
  network.step({.name = "store", .tensor = heatmaps, .channel = 2});
  network.conv(pooled, conv(random, Dot::f32, outputs + offset, outputs, 1, 1, 1, 0, 0));
  network.step({.name = "store", .tensor = heatmaps, .channel = 3});
  network.finish(image, heatmaps);
  result.images = random.bytes(std::size_t(kImages * height * width * 3));
  result.heatmap_size = std::size_t(kImages * out_height * out_width * (3 + outputs));
  return result;
}

// A gated tensor of whole pairs of blocks, or not, whose signs are stored in one pass, or not; and
// values that no integer holds, quantized.
Case gated_case(unsigned seed) {
  Random random(seed);
  const int channels = random.within(1, 8) * (seed % 3 == 0 ? 5 : 16);
  const int height = random.within(1, 9);
  const int width = random.within(1, 9);
  Case result;
  Network& network = result.network;
  const int image = network.tensor(ElementType::u8, height, width, 3, 1, 0);
  const int x = network.tensor(ElementType::f32, height, width, channels, 1, 0);
  const int gate = network.tensor(ElementType::f32, 1, 1, channels, 1, 0);
  const int offset = seed % 2 == 0 ? 0 : random.within(0, 16);
  const int bits = network.tensor(ElementType::bits, height, width, channels + offset, 1, 0);
  const int bytes = network.tensor(ElementType::u8, height, width, channels, 1, 100);
  const int heatmaps = network.tensor(ElementType::f32, height, width, 3, 1, 0);
  network.conv(image, conv(random, Dot::f32, 3, channels, 1, 1, 1, 0, 0));
  network.step({.name = "store", .tensor = x, .channel = 0});
  network.step({.name = "mean", .tensor = gate, .channel = 0});
  network.load(x, 1);
  network.step({.name = "multiply", .tensor = gate});
  network.step({.name = "sign", .tensor = bits, .channel = offset, .values = random.integers(channels, -300, 300)});
  network.load(x, 1);
  std::vector<float> scale = random.integers(channels, -1, 1);
  for (float& value : scale) value *= random.within(0, 1) != 0 ? 1e20f : 1;
  network.step({.name = "scale", .values = std::move(scale)});
  network.step({.name = "quantise", .tensor = bytes, .channel = 0});
  network.conv(bits, conv(random, Dot::binary, channels + offset, 1, 1, 1, 1, 0, 0));
  network.step({.name = "store", .tensor = heatmaps, .channel = 0});
  network.conv(bytes, conv(random, Dot::int8, channels, 2, 1, 1, 1, 0, 0));
  network.step({.name = "store", .tensor = heatmaps, .channel = 1});
  network.finish(image, heatmaps);
  result.images = random.bytes(std::size_t(kImages * height * width * 3));
  result.heatmap_size = std::size_t(kImages * height * width * 3);
  return result;
}

// Every bit of activations differs from the weights', over so many channels: the largest count.
Case largest_count_case(int inputs) {
  constexpr int kHeight = 2;
  constexpr int kWidth = 4;
  constexpr int kOutputs = 48;
  Random random(1);
  Case result;
  Network& network = result.network;
  const int image = network.tensor(ElementType::u8, kHeight, kWidth, 3, 1, 0);
  const int bits = network.tensor(ElementType::bits, kHeight, kWidth, inputs, 1, 0);
  const int heatmaps = network.tensor(ElementType::f32, 1, 1, kOutputs, 1, 0);
  network.conv(image, conv(random, Dot::f32, 3, inputs, 1, 1, 1, 0, 0));
  network.step({.name = "sign", .tensor = bits, .channel = 0, .values = std::vector<float>(std::size_t(inputs), 1e9f)});
  ConvInfo info = conv(random, Dot::binary, inputs, kOutputs, kHeight, kWidth, 1, 0, 0);
  info.weights.assign(info.weights.size(), 0);
  info.mul.assign(std::size_t(kOutputs), 1.0f);
  network.conv(bits, std::move(info));
  network.step({.name = "store", .tensor = heatmaps, .channel = 0});
  network.finish(image, heatmaps);
  result.images = random.bytes(std::size_t(kImages * kHeight * kWidth * 3));
  result.heatmap_size = std::size_t(kImages * kOutputs);
  return result;
}

std::vector<float> run(const Case& sample, const std::string& isa, int threads) {
  Engine engine(sample.network, kernels(isa), threads);
  std::vector<float> heatmaps(sample.heatmap_size, -1.0f);
  engine.run(sample.images.data(), kImages, heatmaps.data());
  return heatmaps;
}

}  // namespace

int main(int count, char** arguments) {
  const unsigned cases = count > 1 ? unsigned(std::atoi(arguments[1])) : 100;
  int failures = 0;
  const auto compare = [&](const Case& sample, const std::string& isa, const char* kind,
                           unsigned number) {
    if (run(sample, isa, 1 + int(number % 3)) == run(sample, "portable", 1)) return;
    std::printf("%s differs from portable in %s case %u\n", isa.c_str(), kind, number);
    ++failures;
  };
  for (const std::string& isa : usable_isas()) {
    for (unsigned seed = 0; seed < cases; ++seed) {
      compare(random_case(seed), isa, "random", seed);
      compare(gated_case(seed), isa, "gated", seed);
    }
    // 65,528 terms fit into unsigned 16 bits, 65,536 do not.
    for (const int inputs : {8191, 8192}) {
      compare(largest_count_case(inputs), isa, "largest count", unsigned(inputs));
    }
    std::printf("%s: %u cases\n", isa.c_str(), cases);
  }
  return failures == 0 ? 0 : 1;
}
