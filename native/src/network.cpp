#include "network.h"

#include <stdexcept>
#include <string>
#include <utility>

namespace bihrnet {
namespace {

// Limits that keep every product of sizes far inside its type.
constexpr int kMaxSide = 4096;
constexpr int kMaxChannels = 8192;
constexpr int kMaxKernel = 15;
constexpr int kMaxStride = 4;
constexpr int kMaxUpsampleShift = 6;
constexpr std::int64_t kMaxTerms = 1 << 16;     // of one sum: 2^16 * 255 * 127 < 2^31
constexpr std::int64_t kMaxElements = 1 << 28;  // of one tensor

void require(bool holds, const char* sentence) {
  if (!holds) throw std::invalid_argument(sentence);
}

template <class T>
void require_size(const std::vector<T>& values, std::int64_t size, const char* sentence) {
  require(std::int64_t(values.size()) == size, sentence);
}

bool within(int value, int low, int high) { return low <= value && value <= high; }

int upsample_shift(int factor) {
  int shift = 0;
  while (shift < kMaxUpsampleShift && (1 << shift) < factor) ++shift;
  require(1 << shift == factor, "an up-sampling factor is not a power of two up to 64");
  return shift;
}

std::size_t tap_bytes(Dot dot, int channels) {
  switch (dot) {
    case Dot::f32:
      return std::size_t(channels) * 4;
    case Dot::int8:
      return std::size_t(channels);
    case Dot::binary:
      break;
  }
  return std::size_t(channels + 63) / 64 * 8;
}

std::int64_t weight_bytes(const ConvInfo& conv) {
  return std::int64_t(conv.mul.size()) * conv.kernel_height * conv.kernel_width *
         std::int64_t(conv.tap_bytes);
}

// What the tensor of a step must be like.
enum class StepTensor {
  none,
  added,      // up-sampled to the op's size; channels may repeat
  same_size,  // of the op's height and width
  factor,     // of one pixel and the op's channels
  one_pixel,
};

// What a step of the model file takes.
struct StepRule {
  const char* name;
  StepKind kind;
  bool values;  // one per channel
  StepTensor tensor = StepTensor::none;
  ElementType type = ElementType::f32;  // of the tensor
};

constexpr StepRule kStepRules[] = {
    {"add", StepKind::add, false, StepTensor::added},
    {"multiply", StepKind::multiply, false, StepTensor::factor},
    {"relu", StepKind::relu, false},
    {"prelu", StepKind::prelu, true},
    {"scale", StepKind::scale, true},
    {"shift", StepKind::shift, true},
    {"sigmoid", StepKind::sigmoid, false},
    {"store", StepKind::store, false, StepTensor::same_size},
    {"sign", StepKind::sign, true, StepTensor::same_size, ElementType::bits},
    {"quantise", StepKind::quantize, false, StepTensor::same_size, ElementType::u8},
    {"mean", StepKind::mean, false, StepTensor::one_pixel},
};

const StepRule& step_rule(const std::string& name) {
  for (const StepRule& rule : kStepRules) {
    if (name == rule.name) return rule;
  }
  throw std::invalid_argument("there is no step " + name);
}

}  // namespace

int Network::tensor(ElementType type, int height, int width, int channels, float inverse_scale,
                    int zero_point) {
  require(within(height, 1, kMaxSide) && within(width, 1, kMaxSide) &&
              within(channels, 1, kMaxChannels) &&
              std::int64_t(height) * width * channels <= kMaxElements,
          "a tensor is out of range");
  require(inverse_scale > 0 && within(zero_point, 0, 255), "a quantization is out of range");
  tensors_.push_back({type, height, width, channels, inverse_scale, zero_point});
  return int(tensors_.size()) - 1;
}

const TensorInfo& Network::find(int tensor) const {
  require(within(tensor, 0, int(tensors_.size()) - 1),
          "an op refers to a tensor that does not exist");
  return tensors_[std::size_t(tensor)];
}

void Network::conv(int input, ConvInfo conv) {
  const TensorInfo& data = find(input);
  const bool reads = (conv.dot == Dot::binary && data.type == ElementType::bits) ||
                     (conv.dot == Dot::int8 && data.type == ElementType::u8) ||
                     (conv.dot == Dot::f32 && data.type != ElementType::bits);
  require(reads, "a convolution cannot read its input");
  conv.tap_bytes = tap_bytes(conv.dot, data.channels);
  if (conv.offset.empty()) {
    conv.offset.assign(std::size_t(data.channels), float(data.zero_point));
  }
  require_size(conv.offset, data.channels, "an offset has the wrong size");
  require_size(conv.weights, weight_bytes(conv), "weights have the wrong size");
  begin_conv(OpKind::conv, input, std::move(conv));
}

void Network::conv_ternary(int input, ConvInfo conv) {
  const TensorInfo& data = find(input);
  require(data.type != ElementType::bits, "a convolution cannot read its input");
  conv.dot = data.type == ElementType::f32 ? Dot::f32 : Dot::int8;
  conv.stride = 1;
  conv.tap_bytes = tap_bytes(Dot::binary, data.channels);
  require_size(conv.weights, 2 * weight_bytes(conv), "weights have the wrong size");
  begin_conv(OpKind::conv_ternary, input, std::move(conv));
}

void Network::begin_conv(OpKind kind, int input, ConvInfo conv) {
  const TensorInfo& data = find(input);
  const std::int64_t channels = std::int64_t(conv.mul.size());
  require(channels >= 1 && channels <= kMaxChannels, "a convolution has no channels, or too many");
  require(within(conv.kernel_height, 1, kMaxKernel) && within(conv.kernel_width, 1, kMaxKernel) &&
              within(conv.stride, 1, kMaxStride) && within(conv.pad_y, 0, conv.kernel_height - 1) &&
              within(conv.pad_x, 0, conv.kernel_width - 1),
          "a kernel, stride or padding is out of range");
  const int taps = conv.kernel_height * conv.kernel_width;
  require(std::int64_t(taps) * data.channels <= kMaxTerms, "a convolution sums too many terms");
  require_size(conv.add, channels, "a convolution's add has the wrong size");
  const int height = (data.height + 2 * conv.pad_y - conv.kernel_height) / conv.stride + 1;
  const int width = (data.width + 2 * conv.pad_x - conv.kernel_width) / conv.stride + 1;
  require(data.height + 2 * conv.pad_y >= conv.kernel_height &&
              data.width + 2 * conv.pad_x >= conv.kernel_width,
          "a kernel is larger than its input");
  OpInfo op{kind, input, height, width, int(channels)};
  op.conv = std::move(conv);
  begin(std::move(op));
}

void Network::begin(OpInfo op) {
  require(!finished(), "the network is finished");
  ops_.push_back(std::move(op));
}

void Network::load(int input, int upsample) {
  const TensorInfo& data = find(input);
  require(data.type == ElementType::f32, "a load cannot read its input");
  const int shift = upsample_shift(upsample);
  require(std::int64_t(data.height) << shift <= kMaxSide &&
              std::int64_t(data.width) << shift <= kMaxSide,
          "a load is out of range");
  begin({OpKind::load, input, data.height << shift, data.width << shift, data.channels, shift});
}

void Network::max_pool(int input, PoolInfo pool) {
  const TensorInfo& data = find(input);
  require(data.type == ElementType::f32, "a pooling cannot read its input");
  require(within(pool.kernel, 1, kMaxKernel) && within(pool.stride, 1, kMaxStride) &&
              within(pool.padding, 0, pool.kernel - 1),
          "a window, stride or padding is out of range");
  const int rows = data.height + 2 * pool.padding - pool.kernel;
  const int columns = data.width + 2 * pool.padding - pool.kernel;
  require(rows >= 0 && columns >= 0, "a window is larger than its input");
  OpInfo op{OpKind::max_pool, input, rows / pool.stride + 1, columns / pool.stride + 1,
            data.channels};
  op.pool = pool;
  begin(std::move(op));
}

const OpInfo& Network::current() const {
  require(!ops_.empty(), "a step belongs to no op");
  return ops_.back();
}

// The tensor, where it has room for the current op's channels from `channel` on.
const TensorInfo& Network::slice(int tensor, int channel, ElementType type) const {
  const TensorInfo& info = find(tensor);
  require(info.type == type && within(channel, 0, info.channels - current().channels),
          "a step's tensor does not fit its op");
  return info;
}

// An added tensor has the op's size once it is up-sampled. Where it has fewer channels, in whole
// blocks, they repeat.
void Network::check_added(const StepSpec& spec, int shift) const {
  const TensorInfo& whole = find(spec.tensor);
  const bool repeats = spec.channel == 0 && whole.type == ElementType::f32 &&
                       whole.channels % kLanes == 0 && current().channels % whole.channels == 0;
  const TensorInfo& info = repeats ? whole : slice(spec.tensor, spec.channel, ElementType::f32);
  require(info.height << shift == current().height && info.width << shift == current().width,
          "an added tensor has the wrong size");
}

void Network::step(StepSpec spec) {
  require(!finished(), "the network is finished");
  const OpInfo& op = current();
  const StepRule& rule = step_rule(spec.name);
  require_size(spec.values, rule.values ? op.channels : 0, "a step's values have the wrong size");
  const int shift = upsample_shift(spec.upsample);
  require(shift == 0 || rule.tensor == StepTensor::added, "a step does not up-sample");
  switch (rule.tensor) {
    case StepTensor::none:
      require(spec.tensor == -1 && spec.channel == 0, "a step takes no tensor");
      break;
    case StepTensor::added:
      check_added(spec, shift);
      break;
    case StepTensor::same_size: {
      const TensorInfo& info = slice(spec.tensor, spec.channel, rule.type);
      require(info.height == op.height && info.width == op.width,
              "a stored tensor has the wrong size");
      break;
    }
    case StepTensor::factor: {
      const TensorInfo& info = slice(spec.tensor, spec.channel, rule.type);
      require(info.height == 1 && info.width == 1 && info.channels == op.channels,
              "a factor has the wrong size");
      break;
    }
    case StepTensor::one_pixel: {
      const TensorInfo& info = slice(spec.tensor, spec.channel, rule.type);
      require(info.height == 1 && info.width == 1, "a mean has the wrong size");
      break;
    }
  }
  ops_.back().steps.push_back(
      {rule.kind, spec.tensor, spec.channel, shift, std::move(spec.values)});
}

void Network::finish(int input, int output) {
  const TensorInfo& image = find(input);
  require(image.type == ElementType::u8, "the image is not a u8 tensor");
  require(find(output).type == ElementType::f32, "the heatmaps are not an f32 tensor");
  require(image.channels == 3, "the image does not have three channels");
  require(!ops_.empty(), "the network has no ops");
  for (const OpInfo& op : ops_) {
    const bool f32 = op.kind == OpKind::conv && op.conv.dot == Dot::f32;
    require(!f32 || find(op.input).type == ElementType::f32 || op.input == input,
            "an f32 convolution reads a u8 tensor that is not the image");
    for (const StepInfo& step : op.steps) {
      require(step.tensor != input, "an op writes the image");
    }
  }
  input_ = input;
  output_ = output;
}

void Network::drop_constants() {
  for (OpInfo& op : ops_) {
    op.conv.weights = {};
    op.conv.mul = op.conv.add = op.conv.offset = {};
    for (StepInfo& step : op.steps) step.channel_values = {};
  }
}

}  // namespace bihrnet
