// The few runtime calls the launchers need, for callers that are compiled by the host's compiler as well.
// `Stream` is a cudaStream_t as torch hands it out (torch.cuda.current_stream().cuda_stream); the host shim ignores it.
// Everything is asynchronous on that stream and can be captured into a CUDA graph.
#pragma once
#include <cstddef>
#include <string>

struct CUstream_st;

namespace splatalk {

using Stream = CUstream_st*;

// Fills device memory with zeros.
void set_zero(void* memory, size_t bytes, Stream stream);

// Copies device memory to page-locked host memory.
void copy_to_host(void* host, const void* device, size_t bytes, Stream stream);

// Throws std::runtime_error when a launch since the last check could not be started.
void check_launches(const char* what);

// "no CUDA driver", "driver too old", ...; empty when there is a device that these kernels can run on.
std::string device_problem();

}  // namespace splatalk
