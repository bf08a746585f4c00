// The Python module of the CUDA kernels: _cuda from nvcc, _cuda_host from the host shim. Every function takes device
// addresses and a stream as integers; shapes, types and devices are checked by splatalk/kernels/cuda, which owns the memory.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <string>

#include "../cuda/runtime.h"
#include "cuda_bindings.h"

#ifdef SPLATALK_CUDA_ON_HOST
#include "../cuda/host_shim.h"
#endif

namespace nb = nanobind;

NB_MODULE(SPLATALK_CUDA_MODULE, m) {
    m.doc() = "Compiled CUDA kernels of splatalk; use them through splatalk.kernels.cuda.";
    m.attr("architectures") = SPLATALK_CUDA_ARCHITECTURES;
    m.def("device_problem", &splatalk::device_problem, "Why no CUDA device can be used; empty when one can.");
#ifdef SPLATALK_CUDA_ON_HOST
    m.def("set_order", &splatalk::shim::set_order,
          "The order in which simulated threads and blocks take turns: 0 ascending, 1 descending, else a random seed.");
#endif
    splatalk::bind_avatar(m);
    splatalk::bind_raster(m);
}
