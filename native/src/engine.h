// A network made ready for one instruction set: weights packed, memory planned, every address
// known.
#pragma once

#include <vector>

#include "bias.h"
#include "memory.h"
#include "network.h"
#include "packing.h"
#include "plan.h"
#include "ternary_packing.h"
#include "thread_pool.h"

namespace bihrnet {

class Engine {
 public:
  // Throws std::invalid_argument where the network cannot run.
  Engine(const Network& network, const KernelTable& kernels, int threads);

  // images: (count, height, width, 3) bytes, RGB; heatmaps: (count, joints, height, width) floats.
  // Several threads may call; they take turns.
  void run(const std::uint8_t* images, int count, float* heatmaps);

  // Shortest time of each op over some runs on one image, in seconds.
  std::vector<double> measure(const std::uint8_t* image, int runs);

  const TensorInfo& input() const { return network_.tensors()[std::size_t(network_.input())]; }
  const TensorInfo& output() const { return network_.tensors()[std::size_t(network_.output())]; }
  const char* isa() const { return kernels_.name; }
  int threads() const { return pool_.threads(); }
  std::size_t arena_bytes() const { return plan_.bytes; }

 private:
  // An op as it runs. Pointers lead into this object's other members and into the arena.
  struct PreparedOp {
    const OpInfo* info;
    std::vector<AlignedFloats> channel_values;  // of steps, padded to whole blocks
    std::vector<Step> steps;
    Epilogue epilogue{};
    // Convolutions:
    PackedWeights weights;
    AlignedFloats mul;
    BiasTable bias;
    std::vector<ConvTask> groups;
    // Whether channels of two groups lie in one byte, so that one thread has to write both.
    bool groups_share_bytes = false;
    // Ternary convolutions:
    AlignedFloats add;
    PackedTernary ternary_weights;
    TernaryTask ternary;
    // Pooling:
    PoolTask pool;
  };

  void prepare(std::size_t number);
  void prepare_steps(PreparedOp& op, std::size_t number);
  void prepare_conv(PreparedOp& op);
  void prepare_ternary(PreparedOp& op);
  void prepare_pool(PreparedOp& op);
  Step tensor_step(StepKind kind, int tensor, int channel) const;
  std::uint8_t* address(const Placement& placement) const {
    return arena_.data() + placement.origin;
  }

  void read_image(const std::uint8_t* image);
  void write_heatmaps(float* heatmaps) const;
  void run_op(std::size_t number);
  // Calls kernel(group, begin, end) for bands of rows of each group; shares them among threads.
  template <class Kernel>
  void share_rows(int rows, int groups, Kernel kernel);
  // The same for kernels that work in tiles of `least` rows and more: one band for each thread.
  template <class Kernel>
  void share_tiles(int rows, int least, Kernel kernel);
  void run_conv(const PreparedOp& op);
  void run_ternary(const PreparedOp& op);
  void compute_means(std::size_t number) const;

  Network network_;  // without its constants once everything is prepared
  const KernelTable& kernels_;
  const Plan plan_;
  AlignedMemory arena_;
  std::vector<PreparedOp> ops_;
  ThreadPool pool_;
};

}  // namespace bihrnet
