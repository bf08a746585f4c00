// One function a kernel family, each in its own file; cuda_module.cpp calls them all.
#pragma once
#include <nanobind/nanobind.h>

#include <cstdint>
#include <stdexcept>

#include "../cuda/runtime.h"

namespace splatalk {

void bind_avatar(nanobind::module_& m);
void bind_raster(nanobind::module_& m);

// Addresses and streams come from Python as integers, 0 being null.
using Address = uintptr_t;
template <class T> T* at(Address address) { return reinterpret_cast<T*>(address); }
inline Stream stream_at(Address address) { return reinterpret_cast<Stream>(address); }

inline void require(bool condition, const char* message) {
    if (!condition) throw std::invalid_argument(message);
}

}  // namespace splatalk
