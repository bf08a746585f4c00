#include "parallel.h"

#ifndef _OPENMP
#include <atomic>
#include <thread>
#include <vector>
#endif

namespace splatalk {

#ifdef _OPENMP
// The OpenMP runtime's threads are the ones torch uses, so the two never compete for cores.
void run_parallel(int n, int threads, void (*body)(void*, int), void* context) {
    if (threads <= 1 || n <= 1) {
        for (int i = 0; i < n; ++i) body(context, i);
        return;
    }
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
    for (int i = 0; i < n; ++i) body(context, i);
}
#else
void run_parallel(int n, int threads, void (*body)(void*, int), void* context) {
    std::atomic<int> next{0};
    auto work = [&] {
        for (int i; (i = next.fetch_add(1, std::memory_order_relaxed)) < n;) body(context, i);
    };
    std::vector<std::thread> helpers;
    for (int t = 1; t < threads && t < n; ++t) helpers.emplace_back(work);
    work();
    for (auto& helper : helpers) helper.join();
}
#endif

}  // namespace splatalk
