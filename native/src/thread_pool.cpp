#include "thread_pool.h"

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace bihrnet {
namespace {

// How often a thread without work looks again before it offers its core to others, and then sleeps.
// Spinning lasts some 30 microseconds: within a run, the next loop comes sooner.
constexpr int kSpins = 1000;
constexpr int kYields = 20;

inline void relax() {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#elif defined(__aarch64__) && defined(__GNUC__)
  asm volatile("yield");
#endif
}

constexpr std::uint64_t kItemMask = 0xffffffff;
constexpr std::uint64_t kNextLoop = kItemMask + 1;

}  // namespace

ThreadPool::ThreadPool(int threads) {
  workers_.reserve(std::size_t(threads - 1));
  for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  bell_.fetch_add(1);
  bell_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

bool ThreadPool::take_item() {
  std::uint64_t left = left_.load(std::memory_order_acquire);
  while ((left & kItemMask) != 0) {
    const Call call = call_.load(std::memory_order_relaxed);
    const void* const context = context_.load(std::memory_order_relaxed);
    if (left_.compare_exchange_weak(left, left - 1, std::memory_order_acq_rel,
                                    std::memory_order_acquire)) {
      call(context, int(left & kItemMask) - 1);
      finished_.fetch_add(1, std::memory_order_release);
      return true;
    }
  }
  return false;
}

void ThreadPool::share(int items, Call call, const void* context) {
  call_.store(call, std::memory_order_relaxed);
  context_.store(context, std::memory_order_relaxed);
  finished_.store(0, std::memory_order_relaxed);
  const std::uint64_t loop = (left_.load(std::memory_order_relaxed) & ~kItemMask) + kNextLoop;
  // Sequentially consistent with the sleeper's counterpart: either it sees the items, or we see it.
  left_.store(loop | std::uint64_t(items));
  if (sleepers_.load() != 0) {
    bell_.fetch_add(1);
    bell_.notify_all();
  }
  while (take_item()) {
  }
  for (int spin = 0; finished_.load(std::memory_order_acquire) != items; ++spin) {
    if (spin < kSpins) {
      relax();
    } else {
      std::this_thread::yield();
    }
  }
}

void ThreadPool::work() {
  int waited = 0;
  while (!stop_.load(std::memory_order_relaxed)) {
    if (take_item()) {
      waited = 0;
    } else if (waited < kSpins) {
      ++waited;
      relax();
    } else if (waited < kSpins + kYields) {
      ++waited;
      std::this_thread::yield();
    } else {
      const std::uint32_t bell = bell_.load();
      sleepers_.fetch_add(1);
      if ((left_.load() & kItemMask) == 0 && !stop_.load()) bell_.wait(bell);
      sleepers_.fetch_sub(1);
      waited = 0;
    }
  }
}

}  // namespace bihrnet
