#include "thread_pool.h"

#include <algorithm>
#include <new>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

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

#if defined(__unix__) || defined(__APPLE__)
class ThreadPool::Registry {
 public:
  static void add(ThreadPool* pool) {
    const std::lock_guard<std::mutex> lock(instance_->mutex_);
    instance_->pools_.push_back(pool);
  }

  static void remove(ThreadPool* pool) {
    const std::lock_guard<std::mutex> lock(instance_->mutex_);
    std::erase(instance_->pools_, pool);
  }

 private:
  static Registry* create();
  // Held across fork(), so that the child never finds the list half changed by another thread.
  // Turns are not waited for: a run may take seconds, and the child starts afresh anyway.
  static void before_fork() { instance_->mutex_.lock(); }
  static void in_parent() { instance_->mutex_.unlock(); }
  static void in_child() {
    for (ThreadPool* pool : instance_->pools_) pool->reset_in_child();
    instance_->mutex_.unlock();
  }

  // Made when the library is loaded, so that no thread can be at it during a fork; never destroyed,
  // as a process may fork, or destroy a pool, while it exits.
  static Registry* const instance_;

  std::mutex mutex_;
  std::vector<ThreadPool*> pools_;
};

ThreadPool::Registry* const ThreadPool::Registry::instance_ = ThreadPool::Registry::create();

ThreadPool::Registry* ThreadPool::Registry::create() {
  if (pthread_atfork(before_fork, in_parent, in_child) != 0) throw std::bad_alloc();
  return new Registry;
}
#else
class ThreadPool::Registry {
 public:
  static void add(ThreadPool*) {}
  static void remove(ThreadPool*) {}
};
#endif

ThreadPool::ThreadPool(int threads) : threads_(threads), ranges_(new Range[std::size_t(threads)]) {
  start();
  try {
    Registry::add(this);
  } catch (...) {
    stop();
    throw;
  }
}

ThreadPool::~ThreadPool() {
  Registry::remove(this);
  if (workers_) stop();
}

void ThreadPool::start() {
  // Items of a loop that a fork interrupted may be left, but their context is gone.
  const std::uint32_t seen = loop_.load();
  stop_.store(false);
  workers_ = std::make_unique<Workers>();
  workers_->reserve(std::size_t(threads_ - 1));
  try {
    for (int i = 1; i < threads_; ++i) workers_->emplace_back([this, i, seen] { work(i, seen); });
  } catch (...) {
    stop();  // those that did start, or their destructors would end the process
    throw;
  }
}

void ThreadPool::stop() {
  stop_.store(true);
  loop_.fetch_add(1);
  loop_.notify_all();
  for (std::thread& worker : *workers_) worker.join();
  workers_.reset();
}

void ThreadPool::reset_in_child() {
  // Leaked on purpose: join() and detach() would read the stacks of threads that are gone, which
  // belong to the C library again, and the destructor of a std::thread that is neither joined nor
  // detached ends the process.
  static_cast<void>(workers_.release());
  // A mutex that a lost thread holds can be neither unlocked nor destroyed, only made anew.
  new (&turn_) std::mutex;
  sleepers_.store(0);
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
  if (!workers_) start();
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

void ThreadPool::work(int self, std::uint32_t seen) {
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
