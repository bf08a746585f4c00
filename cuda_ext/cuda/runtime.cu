// The runtime calls of runtime.h on CUDA; the host shim has its own.
#include "runtime.h"

#include <stdexcept>

#include "device.h"

#ifdef __CUDACC__

namespace splatalk {
namespace {

__global__ void nothing() {}

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
    int driver = 0, count = 0;
    if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) return "no NVIDIA driver";
    const cudaError_t result = cudaGetDeviceCount(&count);
    if (result != cudaSuccess) {
        cudaGetLastError();  // forgotten: the next launch is not to blame
        return cudaGetErrorString(result);
    }
    if (count == 0) return "no CUDA device";
    cudaFuncAttributes attributes;
    const cudaError_t loaded = cudaFuncGetAttributes(&attributes, nothing);  // is there code for this device?
    cudaGetLastError();
    return loaded == cudaSuccess ? "" : cudaGetErrorString(loaded);
}

}  // namespace splatalk

#endif
