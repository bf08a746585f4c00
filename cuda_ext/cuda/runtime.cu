// The runtime calls of runtime.h on CUDA; the host shim has its own.
#include "runtime.h"

#include <stdexcept>

#include "device.h"

#ifdef __CUDACC__

namespace splatalk {
namespace {

void require(cudaError_t result, const char* what) {
    if (result == cudaSuccess) return;
    throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(result));
}

}  // namespace

void set_zero(void* memory, size_t bytes, Stream stream) {
    if (bytes) require(cudaMemsetAsync(memory, 0, bytes, stream), "clearing memory");
}

void copy_to_host(void* host, const void* device, size_t bytes, Stream stream) {
    require(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, stream), "copying from the GPU");
}

void check_launches(const char* what) { require(cudaGetLastError(), what); }

std::string device_problem() {
    int count = 0;
    const cudaError_t result = cudaGetDeviceCount(&count);
    if (result != cudaSuccess) {
        cudaGetLastError();  // forgotten: the next launch is not to blame
        return cudaGetErrorString(result);
    }
    return count > 0 ? "" : "no CUDA device";
}

}  // namespace splatalk

#endif
