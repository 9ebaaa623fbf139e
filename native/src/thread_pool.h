// Threads that share the items of one loop at a time. Nothing is allocated per loop.
//
// The caller works too and never waits for a thread that has taken nothing: where the cores are
// busy with something else, a loop costs what one thread needs, not what the scheduler grants.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace bihrnet {

class ThreadPool {
 public:
  // `threads` counts the caller too: 1 means no other thread.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return int(workers_.size()) + 1; }

  // Calls work(item) for every item in [0, items), in any order and on any thread; returns when all
  // are done. One caller at a time; `work` may not throw.
  template <class Work>
  void run(int items, const Work& work) {
    if (workers_.empty() || items == 1) {
      for (int item = 0; item < items; ++item) work(item);
      return;
    }
    share(items, [](const void* context, int item) { (*static_cast<const Work*>(context))(item); },
          &work);
  }

 private:
  using Call = void (*)(const void* context, int item);

  void share(int items, Call call, const void* context);
  // Takes one item of the current loop and runs it; false where none is left.
  bool take_item();
  void work();

  std::vector<std::thread> workers_;
  // The loop. Written only while no item is left, read before an item is taken: a thread that sees
  // a mixture of two loops fails to take an item, because the number of the loop has changed.
  std::atomic<Call> call_{nullptr};
  std::atomic<const void*> context_{nullptr};
  // Number of the loop (high half) and how many of its items are not taken (low half).
  alignas(64) std::atomic<std::uint64_t> left_{0};
  alignas(64) std::atomic<int> finished_{0};
  // Changes with every loop while somebody sleeps; what sleepers wait on.
  alignas(64) std::atomic<std::uint32_t> bell_{0};
  std::atomic<int> sleepers_{0};
  std::atomic<bool> stop_{false};
};

}  // namespace bihrnet
