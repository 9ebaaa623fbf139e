#include "plan.h"

#include <algorithm>
#include <map>
#include <stdexcept>
#include <tuple>

#include "memory.h"
#include "packing.h"
#include "ternary_packing.h"

namespace bihrnet {
namespace {

constexpr std::size_t kMaxBytes = std::size_t(8) << 30;
constexpr int kNever = -1;

// Everything that two tensors must have in common to take turns in a slot.
using Geometry = std::tuple<ElementType, int, int, int, int>;

// An access of an op to a range of a tensor's channels.
struct Access {
  int op;
  int begin;
  int end;
  bool in_place;  // reads pixel by pixel, each before the op stores at the same place
};

struct Life {
  int border = 0;
  int first_write = kNever;
  int last_read = kNever;
  std::vector<Access> reads;
  std::vector<Access> writes;
};

bool overlap(const Access& a, const Access& b) { return a.begin < b.end && b.begin < a.end; }

// Gives tensors of one type and size the widest border that any of them needs: a few more bytes,
// and all of them can take each other's place.
void widen_borders(const Network& network, std::vector<Life>& lives) {
  std::map<std::tuple<ElementType, int, int, int>, int> widest;
  const auto border = [&](std::size_t tensor) -> int& {
    const TensorInfo& info = network.tensors()[tensor];
    return widest[{info.type, info.height, info.width, info.channels}];
  };
  for (std::size_t i = 0; i < lives.size(); ++i) border(i) = std::max(border(i), lives[i].border);
  for (std::size_t i = 0; i < lives.size(); ++i) lives[i].border = border(i);
}

std::vector<Life> lives(const Network& network) {
  std::vector<Life> all(network.tensors().size());
  all[std::size_t(network.input())].first_write = 0;
  const auto read = [&](int tensor, int op, int begin, int end, bool in_place) {
    Life& life = all[std::size_t(tensor)];
    if (life.first_write == kNever)
      throw std::invalid_argument("an op reads a tensor before it is written");
    life.last_read = op;
    life.reads.push_back({op, begin, end, in_place});
  };
  for (std::size_t number = 0; number < network.ops().size(); ++number) {
    const OpInfo& op = network.ops()[number];
    const int n = int(number);
    read(op.input, n, 0, network.tensors()[std::size_t(op.input)].channels,
         op.kind == OpKind::load && op.upsample_shift == 0);
    if (op.kind == OpKind::conv) {
      int& border = all[std::size_t(op.input)].border;
      border = std::max({border, op.conv.pad_y, op.conv.pad_x});
    }
    bool stored = false;
    for (const StepInfo& step : op.steps) {
      if (step.tensor < 0) continue;
      const int end = step.channel + op.channels;
      if (step.kind == StepKind::add) {
        const int channels = network.tensors()[std::size_t(step.tensor)].channels;
        const bool same_place = step.upsample_shift == 0 && end <= channels;
        read(step.tensor, n, step.channel, std::min(end, channels), same_place && !stored);
      } else if (step.kind == StepKind::multiply) {
        read(step.tensor, n, 0, end, false);
      } else {
        Life& life = all[std::size_t(step.tensor)];
        if (life.first_write == kNever) life.first_write = n;
        life.writes.push_back({n, step.channel, end, false});
        stored = true;
      }
    }
  }
  widen_borders(network, all);
  read(network.output(), int(network.ops().size()), 0, 0, false);
  return all;
}

// Whether `heir` may be written over `owner`: what a store destroys is not read any more, except
// by the same op at the same place, before it stores.
bool can_replace(const Life& owner, const Life& heir) {
  for (const Access& write : owner.writes) {
    if (write.op >= heir.first_write) return false;
  }
  for (const Access& write : heir.writes) {
    for (const Access& read : owner.reads) {
      if (read.op < write.op || !overlap(read, write)) continue;
      if (read.op > write.op || !read.in_place || read.begin != write.begin) return false;
    }
  }
  return true;
}

class Planner {
 public:
  explicit Planner(const Network& network) : network_(network), lives_(lives(network)) {}

  Plan run() {
    plan_.tensors.resize(lives_.size());
    plan_.row_sums.resize(network_.ops().size());
    place_new(network_.input());
    for (std::size_t number = 0; number < network_.ops().size(); ++number) {
      place_op(int(number));
      release(int(number));
    }
    place_f32_image();
    place_ternary_planes();
    // Kernels may read, not write, behind a row: a tile of pixels, and one vector more.
    plan_.bytes += slack_;
    if (plan_.bytes > kMaxBytes) throw std::invalid_argument("the network is too large to run");
    return plan_;
  }

 private:
  Geometry geometry(int tensor) const {
    const TensorInfo& info = network_.tensors()[std::size_t(tensor)];
    return {info.type, info.height, info.width, info.channels, lives_[std::size_t(tensor)].border};
  }

  std::size_t reserve(std::size_t bytes) {
    const std::size_t offset = plan_.bytes;
    plan_.bytes += round_up(bytes, kCacheLine);
    return offset;
  }

  Placement place(const TensorInfo& info, ElementType type, int border) {
    const std::size_t pixel = pixel_bytes(type, info.channels);
    const std::size_t row = (std::size_t(info.width) + 2 * std::size_t(border)) * pixel;
    const std::size_t before = std::size_t(border) * (row + pixel);
    // The first pixel starts a cache line, and so do all others of 16 floats and more.
    const std::size_t lead = round_up(before, kCacheLine) - before;
    const std::size_t rows = std::size_t(info.height) + 2 * std::size_t(border);
    const std::size_t offset = reserve(lead + rows * row);
    slack_ = std::max(slack_, kMaxTile * pixel * 4 + 16 * kCacheLine);  // 4: the largest stride
    return {offset + lead + before, std::ptrdiff_t(row), std::ptrdiff_t(pixel)};
  }

  void place_new(int tensor) {
    const auto index = std::size_t(tensor);
    std::vector<Placement>& free = free_[geometry(tensor)];
    if (free.empty()) {
      const TensorInfo& info = network_.tensors()[index];
      plan_.tensors[index] = place(info, info.type, lives_[index].border);
    } else {
      plan_.tensors[index] = free.back();
      free.pop_back();
    }
    live_.push_back(tensor);
  }

  // Takes over the memory of a tensor that dies in the process, if there is one.
  bool place_over(int tensor, int op) {
    for (int& owner : live_) {
      const Life& life = lives_[std::size_t(owner)];
      const bool candidate = owner != network_.output() && owner != network_.input() &&
                             life.last_read >= op && geometry(owner) == geometry(tensor);
      if (candidate && can_replace(life, lives_[std::size_t(tensor)])) {
        plan_.tensors[std::size_t(tensor)] = plan_.tensors[std::size_t(owner)];
        owner = tensor;
        return true;
      }
    }
    return false;
  }

  void place_op(int number) {
    const OpInfo& op = network_.ops()[std::size_t(number)];
    std::vector<std::size_t>& row_sums = plan_.row_sums[std::size_t(number)];
    row_sums.resize(op.steps.size(), 0);
    for (std::size_t i = 0; i < op.steps.size(); ++i) {
      const StepInfo& step = op.steps[i];
      const bool reads = step.kind == StepKind::add || step.kind == StepKind::multiply;
      if (reads || step.tensor < 0) continue;
      if (step.kind == StepKind::mean) {
        const std::size_t lanes = round_up(std::size_t(op.channels), kLanes);
        row_sums[i] = reserve(std::size_t(op.height) * lanes * sizeof(float));
      }
      if (lives_[std::size_t(step.tensor)].first_write != number) continue;
      if (std::find(live_.begin(), live_.end(), step.tensor) != live_.end()) continue;
      if (!place_over(step.tensor, number)) place_new(step.tensor);
    }
  }

  void release(int op) {
    const auto dead = [&](int tensor) {
      if (lives_[std::size_t(tensor)].last_read > op) return false;
      free_[geometry(tensor)].push_back(plan_.tensors[std::size_t(tensor)]);
      return true;
    };
    live_.erase(std::remove_if(live_.begin(), live_.end(), dead), live_.end());
  }

  void place_f32_image() {
    const auto reads_image = [&](const OpInfo& op) {
      return op.kind == OpKind::conv && op.conv.dot == Dot::f32 && op.input == network_.input();
    };
    plan_.has_f32_image = std::any_of(network_.ops().begin(), network_.ops().end(), reads_image);
    if (!plan_.has_f32_image) return;
    const auto image = std::size_t(network_.input());
    plan_.f32_image = place(network_.tensors()[image], ElementType::f32, lives_[image].border);
  }

  void place_ternary_planes() {
    std::size_t bytes = 0;
    for (const OpInfo& op : network_.ops()) {
      if (op.kind != OpKind::conv_ternary) continue;
      const TensorInfo& input = network_.tensors()[std::size_t(op.input)];
      bytes = std::max(bytes, plane_layout(op.conv, input).bytes);
    }
    plan_.ternary_planes = reserve(bytes);
  }

  const Network& network_;
  std::vector<Life> lives_;
  Plan plan_;
  std::map<Geometry, std::vector<Placement>> free_;
  std::vector<int> live_;
  std::size_t slack_ = 0;
};

}  // namespace

Plan plan_memory(const Network& network) { return Planner(network).run(); }

}  // namespace bihrnet
