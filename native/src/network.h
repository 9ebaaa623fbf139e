// A network as it is described to the engine, op by op, in the words of the model file
// (docs/engine-format.md). It owns copies of all constants and checks everything that a kernel
// relies on; an `Engine` (engine.h) makes it ready to run.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/types.h"

namespace bihrnet {

enum class ElementType { f32, bits, u8 };

struct TensorInfo {
  ElementType type;
  int height;
  int width;
  int channels;
  float inverse_scale;  // u8: stored value = round(v * inverse_scale) + zero_point
  int zero_point;
};

// A step as it is described, in the words of the model file.
struct StepSpec {
  std::string name;
  int tensor = -1;              // number of the tensor that it reads or writes
  int channel = 0;              // first channel of that tensor
  int upsample = 1;             // add: factor of nearest-neighbor up-sampling
  std::vector<float> values{};  // one per channel of the op: scale, shift, slope or threshold
};

// A step of an op, on tensors instead of addresses.
struct StepInfo {
  StepKind kind;
  int tensor = -1;                      // add, multiply, store, sign, quantize, mean
  int channel = 0;                      // first channel of the tensor
  int upsample_shift = 0;               // add
  std::vector<float> channel_values{};  // prelu: slope; scale; shift; sign: threshold
};

struct ConvInfo {
  Dot dot;
  int kernel_height;
  int kernel_width;
  int stride;
  int pad_y;
  int pad_x;
  // Weights, (out, kernel height, kernel width) times a pixel of `tap_bytes`: floats, int8 or bits
  // in whole 64-bit words. Ternary: twice, bits of those that are +1, then of those that are -1.
  std::vector<std::uint8_t> weights;
  std::size_t tap_bytes;
  std::vector<float> mul;
  std::vector<float> add;
  // Per input channel, what is subtracted from a stored value: the image's offset, else the
  // tensor's zero point.
  std::vector<float> offset;
};

struct PoolInfo {
  int kernel;
  int stride;
  int padding;
};

enum class OpKind { conv, conv_ternary, load, max_pool };

struct OpInfo {
  OpKind kind;
  int input;
  int height;
  int width;
  int channels;
  int upsample_shift = 0;  // load
  ConvInfo conv{};         // conv, conv_ternary
  PoolInfo pool{};         // max_pool
  std::vector<StepInfo> steps{};
};

class Network {
 public:
  // Every method throws std::invalid_argument, with a sentence, where something does not fit.
  // Tensors are known by the number that this returns, counted from 0.
  int tensor(ElementType type, int height, int width, int channels, float inverse_scale,
             int zero_point);

  // These begin an op. Steps that follow belong to it and run in their order.
  // An empty `conv.offset` stands for the input's zero point.
  void conv(int input, ConvInfo conv);
  // `conv.dot` and the offset follow from the input, the stride is 1.
  void conv_ternary(int input, ConvInfo conv);
  void load(int input, int upsample);
  void max_pool(int input, PoolInfo pool);

  // Adds a step to the last op. The table in network.cpp says what each kind of step takes.
  void step(StepSpec spec);

  // Names the image (u8, 3 channels) and the heatmaps (f32). Nothing can be added afterwards.
  void finish(int input, int output);
  bool finished() const { return output_ >= 0; }

  // Frees weights and values per channel, once kernels have copies in their layout.
  void drop_constants();

  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  const std::vector<OpInfo>& ops() const { return ops_; }
  int input() const { return input_; }
  int output() const { return output_; }

 private:
  void begin(OpInfo op);
  void begin_conv(OpKind kind, int input, ConvInfo conv);
  const TensorInfo& find(int tensor) const;
  const TensorInfo& slice(int tensor, int channel, ElementType type) const;
  const OpInfo& current() const;
  void check_added(const StepSpec& spec, int shift) const;

  std::vector<TensorInfo> tensors_;
  std::vector<OpInfo> ops_;
  int input_ = -1;
  int output_ = -1;
};

}  // namespace bihrnet
