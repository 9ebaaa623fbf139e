#include "engine.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>

namespace bihrnet {
namespace {

// Pieces of work per thread and op: enough that a thread that is held up delays the others little.
constexpr int kPiecesPerThread = 4;

std::size_t padded(int channels) { return round_up(std::size_t(channels), kLanes); }

}  // namespace

Engine::Engine(const Network& network, const KernelTable& kernels, int threads)
    : network_(network),
      kernels_(kernels),
      plan_(plan_memory(network_)),
      arena_(plan_.bytes),
      ops_(network_.ops().size()),
      pool_(threads) {
  for (std::size_t number = 0; number < ops_.size(); ++number) prepare(number);
  network_.drop_constants();
}

void Engine::prepare(std::size_t number) {
  PreparedOp& op = ops_[number];
  op.info = &network_.ops()[number];
  prepare_steps(op, number);
  op.epilogue = {op.steps.data(), int(op.steps.size()), op.info->channels, op.info->width};
  switch (op.info->kind) {
    case OpKind::conv:
      return prepare_conv(op);
    case OpKind::conv_ternary:
      return prepare_ternary(op);
    case OpKind::max_pool:
      return prepare_pool(op);
    case OpKind::load:
      break;
  }
}

Step Engine::tensor_step(StepKind kind, int tensor, int channel) const {
  const TensorInfo& info = network_.tensors()[std::size_t(tensor)];
  const Placement& placement = plan_.tensors[std::size_t(tensor)];
  Step step{kind};
  step.data = address(placement);
  step.row_pitch = placement.row_pitch;
  step.pixel_pitch = placement.pixel_pitch;
  if (info.type == ElementType::bits) {
    step.bit_offset = channel;
  } else {
    step.data += pixel_bytes(info.type, channel);
  }
  step.inverse_scale = info.inverse_scale;
  step.zero_point = info.zero_point;
  return step;
}

void Engine::prepare_steps(PreparedOp& op, std::size_t number) {
  if (op.info->kind == OpKind::load) {
    op.steps.push_back(tensor_step(StepKind::add, op.info->input, 0));
    op.steps.back().upsample_shift = op.info->upsample_shift;
  }
  for (std::size_t i = 0; i < op.info->steps.size(); ++i) {
    const StepInfo& info = op.info->steps[i];
    Step step{info.kind};
    if (info.kind == StepKind::mean) {
      step.data = arena_.data() + plan_.row_sums[number][i];
      step.row_pitch = std::ptrdiff_t(padded(op.info->channels) * sizeof(float));
    } else if (info.tensor >= 0) {
      step = tensor_step(info.kind, info.tensor, info.channel);
      step.upsample_shift = info.upsample_shift;
      const int channels = network_.tensors()[std::size_t(info.tensor)].channels;
      const bool repeats = info.kind == StepKind::add && op.info->channels > channels;
      op.groups_share_bytes |= info.kind == StepKind::sign && info.channel % 8 != 0;
      if (repeats) step.tensor_blocks = channels / kLanes;
      if (info.kind == StepKind::multiply) {
        step.channel_values = reinterpret_cast<float*>(step.data);
      }
    }
    if (!info.channel_values.empty()) {
      op.channel_values.emplace_back(info.channel_values.begin(), info.channel_values.end());
      op.channel_values.back().resize(padded(op.info->channels), 0.0f);
      step.channel_values = op.channel_values.back().data();
    }
    Step* const before = op.steps.empty() ? nullptr : &op.steps.back();
    if (before != nullptr && before->kind == StepKind::prelu && step.kind == StepKind::shift) {
      before->kind = StepKind::prelu_shift;
      before->shift_values = step.channel_values;
    } else {
      op.steps.push_back(step);
    }
  }
}

void Engine::prepare_conv(PreparedOp& op) {
  const ConvInfo& conv = op.info->conv;
  const TensorInfo& input = network_.tensors()[std::size_t(op.info->input)];
  const bool f32_image = conv.dot == Dot::f32 && input.type == ElementType::u8;
  const Placement& placement =
      f32_image ? plan_.f32_image : plan_.tensors[std::size_t(op.info->input)];
  op.weights = pack_weights(conv, input, int(placement.pixel_pitch), kernels_);
  op.mul = kernel_mul(conv);
  op.bias = bias_table(conv, input, op.info->height, op.info->width);
  for (const BlockGroup& group : op.weights.groups) {
    ConvTask task{};
    task.input =
        address(placement) - conv.pad_y * placement.row_pitch - conv.pad_x * placement.pixel_pitch;
    task.tap_row = placement.row_pitch;
    task.output_row = conv.stride * placement.row_pitch;
    task.output_pixel = conv.stride * placement.pixel_pitch;
    task.kernel_rows = op.weights.kernel_rows;
    task.run_words = op.weights.run_words;
    task.tail_mask = op.weights.tail_mask;
    task.weights = op.weights.words.data() + group.offset;
    task.first_block = group.first_block;
    task.mul = op.mul.data();
    task.bias = op.bias.bias.data();
    task.bias_row = op.bias.row.data();
    task.bias_column = op.bias.column.data();
    task.epilogue = op.epilogue;
    op.groups.push_back(task);
  }
}

void Engine::prepare_ternary(PreparedOp& op) {
  const ConvInfo& conv = op.info->conv;
  const TensorInfo& input = network_.tensors()[std::size_t(op.info->input)];
  const Placement& placement = plan_.tensors[std::size_t(op.info->input)];
  const PlaneLayout layout = plane_layout(conv, input);
  op.ternary_weights = pack_ternary(conv, input, layout);
  op.mul.assign(conv.mul.begin(), conv.mul.end());
  op.add.assign(conv.add.begin(), conv.add.end());
  for (AlignedFloats* values : {&op.mul, &op.add}) {
    values->resize(padded(op.info->channels), 0.0f);
  }
  TernaryTask& task = op.ternary;
  task.input = address(placement);
  task.row_pitch = placement.row_pitch;
  task.pixel_pitch = placement.pixel_pitch;
  task.height = input.height;
  task.width = input.width;
  task.channels = input.channels;
  task.zero_point = input.zero_point;
  task.pad_y = conv.pad_y;
  task.pad_x = conv.pad_x;
  task.planes = arena_.data() + plan_.ternary_planes;
  task.plane_size = layout.size;
  task.plane_pitch = layout.pitch;
  task.taps = op.ternary_weights.taps.data();
  task.tap_count = int(op.ternary_weights.taps.size());
  task.groups = op.ternary_weights.groups.data();
  task.group_count = int(op.ternary_weights.groups.size());
  task.mul = op.mul.data();
  task.add = op.add.data();
  task.epilogue = op.epilogue;
}

void Engine::prepare_pool(PreparedOp& op) {
  const TensorInfo& input = network_.tensors()[std::size_t(op.info->input)];
  const Placement& placement = plan_.tensors[std::size_t(op.info->input)];
  const PoolInfo& pool = op.info->pool;
  op.pool = {address(placement), placement.row_pitch, placement.pixel_pitch,
             input.height,       input.width,         pool.kernel,
             pool.stride,        pool.padding,        op.epilogue};
}

void Engine::run(const std::uint8_t* images, int count, float* heatmaps) {
  const auto turn = pool_.take_turn();
  const auto image_size = std::size_t(input().height) * std::size_t(input().width) * 3;
  const auto output_size =
      std::size_t(output().height) * std::size_t(output().width) * std::size_t(output().channels);
  for (int i = 0; i < count; ++i) {
    read_image(images + std::size_t(i) * image_size);
    for (std::size_t number = 0; number < ops_.size(); ++number) run_op(number);
    write_heatmaps(heatmaps + std::size_t(i) * output_size);
  }
}

std::vector<double> Engine::measure(const std::uint8_t* image, int runs) {
  using Clock = std::chrono::steady_clock;
  const auto turn = pool_.take_turn();
  std::vector<double> shortest(ops_.size(), std::numeric_limits<double>::infinity());
  for (int i = 0; i < runs; ++i) {
    read_image(image);
    for (std::size_t number = 0; number < ops_.size(); ++number) {
      const auto start = Clock::now();
      run_op(number);
      const std::chrono::duration<double> elapsed = Clock::now() - start;
      shortest[number] = std::min(shortest[number], elapsed.count());
    }
  }
  return shortest;
}

void Engine::read_image(const std::uint8_t* image) {
  const std::size_t row_bytes = std::size_t(input().width) * 3;
  const Placement& bytes = plan_.tensors[std::size_t(network_.input())];
  for (int y = 0; y < input().height; ++y) {
    const std::uint8_t* row = image + std::size_t(y) * row_bytes;
    std::memcpy(address(bytes) + y * bytes.row_pitch, row, row_bytes);
    if (plan_.has_f32_image) {
      const Placement& f32 = plan_.f32_image;
      auto* floats = reinterpret_cast<float*>(address(f32) + y * f32.row_pitch);
      for (std::size_t i = 0; i < row_bytes; ++i) floats[i] = float(row[i]);
    }
  }
}

void Engine::write_heatmaps(float* heatmaps) const {
  const Placement& placement = plan_.tensors[std::size_t(network_.output())];
  const int width = output().width;
  const std::ptrdiff_t plane = std::ptrdiff_t(output().height) * width;
  for (int y = 0; y < output().height; ++y) {
    const auto* row = reinterpret_cast<const float*>(address(placement) + y * placement.row_pitch);
    for (int joint = 0; joint < output().channels; ++joint) {
      float* out = heatmaps + joint * plane + std::ptrdiff_t(y) * width;
      for (int x = 0; x < width; ++x) out[x] = row[x * output().channels + joint];
    }
  }
}

template <class Kernel>
void Engine::share_rows(int rows, int groups, Kernel kernel) {
  // Each thread has its band of rows, and does it in pieces that others can take over.
  const int threads = pool_.threads();
  const int pieces = threads == 1 ? 1 : std::max(1, kPiecesPerThread / groups);
  const auto row = [&](int piece) {
    return int(std::int64_t(rows) * piece / (std::int64_t(threads) * pieces));
  };
  // Groups outermost, so that a group's weights stay in the cache for all rows.
  pool_.run(groups * pieces, [&](int thread, int item) {
    const int piece = thread * pieces + item % pieces;
    if (row(piece) < row(piece + 1)) kernel(item / pieces, row(piece), row(piece + 1));
  });
}

template <class Kernel>
void Engine::share_tiles(int rows, int least, Kernel kernel) {
  const int bands = std::clamp(rows / least, 1, pool_.threads());
  const auto row = [&](int band) { return int(std::int64_t(rows) * band / bands); };
  pool_.run(1, [&](int thread, int) {
    if (thread < bands) kernel(row(thread), row(thread + 1));
  });
}

void Engine::run_op(std::size_t number) {
  const PreparedOp& op = ops_[number];
  switch (op.info->kind) {
    case OpKind::conv:
      run_conv(op);
      break;
    case OpKind::conv_ternary:
      run_ternary(op);
      break;
    case OpKind::max_pool:
      share_rows(op.info->height, 1,
                 [&](int, int begin, int end) { kernels_.max_pool(op.pool, begin, end); });
      break;
    case OpKind::load:
      share_rows(op.info->height, 1,
                 [&](int, int begin, int end) { kernels_.load(op.epilogue, begin, end); });
      break;
  }
  compute_means(number);
}

void Engine::run_conv(const PreparedOp& op) {
  const ConvKernel(&kernels)[kGroupSizes] = kernels_.conv[std::size_t(op.info->conv.dot)];
  const int groups = int(op.groups.size());
  const auto compute = [&](int group, int begin, int end) {
    const auto index = std::size_t(group);
    kernels[op.weights.groups[index].log2_blocks].run(op.groups[index], begin, end);
  };
  if (op.groups_share_bytes) {
    share_rows(op.info->height, 1, [&](int, int begin, int end) {
      for (int group = 0; group < groups; ++group) compute(group, begin, end);
    });
  } else {
    share_rows(op.info->height, groups, compute);
  }
}

void Engine::run_ternary(const PreparedOp& op) {
  const TernaryKernel& kernel = kernels_.ternary[op.info->conv.dot == Dot::int8];
  share_rows(op.ternary.height, 1,
             [&](int, int begin, int end) { kernel.planes(op.ternary, begin, end); });
  // A tile crosses rows, but not bands: many small ones would compute much for nothing.
  share_tiles(op.info->height, std::max(1, kTernaryPixels / op.ternary.plane_pitch),
              [&](int begin, int end) { kernel.conv(op.ternary, begin, end); });
}

void Engine::compute_means(std::size_t number) const {
  const PreparedOp& op = ops_[number];
  for (std::size_t i = 0; i < op.info->steps.size(); ++i) {
    const StepInfo& step = op.info->steps[i];
    if (step.kind != StepKind::mean) continue;
    const Placement& placement = plan_.tensors[std::size_t(step.tensor)];
    float* mean = reinterpret_cast<float*>(address(placement)) + step.channel;
    const auto* sums = reinterpret_cast<const float*>(arena_.data() + plan_.row_sums[number][i]);
    const std::size_t pitch = padded(op.info->channels);
    const float share = 1.0f / (float(op.info->height) * float(op.info->width));
    std::fill_n(mean, op.info->channels, 0.0f);
    for (int y = 0; y < op.info->height; ++y) {
      for (std::size_t c = 0; c < std::size_t(op.info->channels); ++c) {
        mean[c] += sums[std::size_t(y) * pitch + c];
      }
    }
    for (int c = 0; c < op.info->channels; ++c) mean[c] *= share;
  }
}

}  // namespace bihrnet
