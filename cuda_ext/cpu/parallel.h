// Work sharing between threads. The kernels give the same numbers whichever thread takes which piece.
#pragma once

namespace splatalk {

// Calls body(context, i) once for each 0 <= i < n on up to `threads` threads, in any order.
void run_parallel(int n, int threads, void (*body)(void*, int), void* context);

template <class Body>
static inline void parallel_for(int n, int threads, const Body& body) {
    run_parallel(n, threads, [](void* context, int i) { (*static_cast<const Body*>(context))(i); }, const_cast<Body*>(&body));
}

}  // namespace splatalk
