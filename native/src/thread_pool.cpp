#include "thread_pool.h"

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace bihrnet {
namespace {

// How often a thread without work looks again before it offers its core to others, and then sleeps.
// Spinning lasts some tens of microseconds: within a run, the next loop comes sooner.
constexpr int kSpins = 2000;
constexpr int kYields = 20;

inline void relax() {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#elif defined(__aarch64__) && defined(__GNUC__)
  asm volatile("yield");
#endif
}

constexpr std::uint64_t kMask = 0xffff;
constexpr std::uint64_t kOneFromBegin = 1;
constexpr std::uint64_t kOneFromEnd = 1 << 16;

int begin_of(std::uint64_t range) { return int(range & kMask); }
int end_of(std::uint64_t range) { return int(range >> 16 & kMask); }

}  // namespace

ThreadPool::ThreadPool(int threads) : threads_(threads), ranges_(new Range[std::size_t(threads)]) {
  workers_.reserve(std::size_t(threads - 1));
  try {
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i] { work(i); });
  } catch (...) {
    stop();  // those that did start, or their destructors would end the process
    throw;
  }
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() {
  stop_.store(true);
  loop_.fetch_add(1);
  loop_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

bool ThreadPool::take_from(int owner, int self) {
  std::atomic<std::uint64_t>& range = ranges_[std::size_t(owner)].left;
  std::uint64_t left = range.load(std::memory_order_acquire);
  while (begin_of(left) < end_of(left)) {
    const Call call = call_.load(std::memory_order_relaxed);
    const void* const context = context_.load(std::memory_order_relaxed);
    // Others take from the end, which the owner comes to last.
    const bool own = owner == self;
    const std::uint64_t rest = own ? left + kOneFromBegin : left - kOneFromEnd;
    if (range.compare_exchange_weak(left, rest, std::memory_order_acq_rel,
                                    std::memory_order_acquire)) {
      call(context, owner, own ? begin_of(left) : end_of(left) - 1);
      finished_.fetch_add(1, std::memory_order_release);
      return true;
    }
  }
  return false;
}

bool ThreadPool::take_item(int self) {
  for (int i = 0; i < threads_; ++i) {
    if (take_from((self + i) % threads_, self)) return true;
  }
  return false;
}

void ThreadPool::share(int items, Call call, const void* context) {
  call_.store(call, std::memory_order_relaxed);
  context_.store(context, std::memory_order_relaxed);
  finished_.store(0, std::memory_order_relaxed);
  const std::uint32_t loop = loop_.load(std::memory_order_relaxed) + 1;
  const std::uint64_t range = std::uint64_t(loop) << 32 | std::uint64_t(items) << 16;
  for (int i = 0; i < threads_; ++i) {
    ranges_[std::size_t(i)].left.store(range, std::memory_order_release);
  }
  // Both sequentially consistent: either a thread about to sleep sees the loop, or we see it.
  loop_.store(loop);
  if (sleepers_.load() != 0) loop_.notify_all();
  while (take_item(0)) {
  }
  const int all = items * threads_;
  for (int spin = 0; finished_.load(std::memory_order_acquire) != all; ++spin) {
    if (spin < kSpins) {
      relax();
    } else {
      std::this_thread::yield();
    }
  }
}

void ThreadPool::wait_for_loop(std::uint32_t seen) {
  for (int i = 0; i < kSpins + kYields; ++i) {
    if (loop_.load(std::memory_order_acquire) != seen) return;
    if (i < kSpins) {
      relax();
    } else {
      std::this_thread::yield();
    }
  }
  sleepers_.fetch_add(1);
  loop_.wait(seen);
  sleepers_.fetch_sub(1);
}

void ThreadPool::work(int self) {
  std::uint32_t seen = 0;
  for (;;) {
    wait_for_loop(seen);
    // In this order: who stops sets the flag first, so a loop that is seen brings its flag along.
    seen = loop_.load(std::memory_order_acquire);
    if (stop_.load()) return;
    while (take_item(self)) {
    }
  }
}

}  // namespace bihrnet
