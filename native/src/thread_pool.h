// Threads that share the items of one loop at a time. Nothing is allocated per loop.
//
// Every thread has a range of items of its own, the same in every loop, so that it finds in its
// cache what it wrote in the loop before. A thread that is done takes over items of others, and the
// caller never waits for a thread that has taken nothing: where the cores are busy with something
// else, a loop costs what one thread needs, not what the scheduler grants.
//
// fork() copies all memory but only the calling thread. In the child every pool starts afresh: new
// threads with its first loop, and the turn is free, whoever had it in the parent.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
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

  int threads() const { return threads_; }

  // Callers that share a pool, and what its loops write, hold the turn meanwhile.
  [[nodiscard]] std::unique_lock<std::mutex> take_turn() {
    return std::unique_lock<std::mutex>(turn_);
  }

  // Calls work(thread, item) for each thread's items [0, items), in any order and not necessarily
  // on that thread; returns when all are done. One caller at a time; `work` may not throw.
  template <class Work>
  void run(int items, const Work& work) {
    if (threads_ == 1) {
      for (int item = 0; item < items; ++item) work(0, item);
      return;
    }
    share(
        items,
        [](const void* context, int thread, int item) {
          (*static_cast<const Work*>(context))(thread, item);
        },
        &work);
  }

 private:
  using Call = void (*)(const void* context, int thread, int item);
  using Workers = std::vector<std::thread>;
  // All pools of this process, for the handlers of fork().
  class Registry;

  // What is left of a thread's range: number of the loop, end, begin (32, 16, 16 bits).
  struct alignas(64) Range {
    std::atomic<std::uint64_t> left{0};
  };

  void share(int items, Call call, const void* context);
  // Takes an item, of this thread's range first, and runs it; false where none is left.
  bool take_item(int self);
  bool take_from(int owner, int self);
  // What a thread does until stop(), from the first loop after `seen`.
  void work(int self, std::uint32_t seen);
  void start();
  // Ends the threads that run.
  void stop();
  // In the child of a fork, whose only thread calls it: forgets the threads and what they were at.
  void reset_in_child();
  // Waits until the number of the loop is not `seen` any more.
  void wait_for_loop(std::uint32_t seen);

  const int threads_;
  std::unique_ptr<Range[]> ranges_;
  // The loop. Written only while no item is left, read before an item is taken: a thread that sees
  // a mixture of two loops fails to take an item, because the number of the loop has changed.
  std::atomic<Call> call_{nullptr};
  std::atomic<const void*> context_{nullptr};
  alignas(64) std::atomic<std::uint32_t> loop_{0};
  alignas(64) std::atomic<int> finished_{0};
  alignas(64) std::atomic<int> sleepers_{0};
  std::atomic<bool> stop_{false};
  std::mutex turn_;
  std::unique_ptr<Workers> workers_;  // null in the child of a fork, until its first loop
};

}  // namespace bihrnet
