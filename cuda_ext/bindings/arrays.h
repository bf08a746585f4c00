// What the bindings share: array types and the check of arguments.
#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include <optional>
#include <stdexcept>

#include "../cpu/kernels.h"

namespace splatalk {

namespace nb = nanobind;

template <class... Shape> using Floats = nb::ndarray<const float, Shape..., nb::c_contig, nb::device::cpu>;
template <class... Shape> using Out = nb::ndarray<float, Shape..., nb::c_contig, nb::device::cpu>;
using Vec = Floats<nb::ndim<1>>;
using Mat = Floats<nb::ndim<2>>;
using Cube = Floats<nb::ndim<3>>;
using MaybeMat = std::optional<Mat>;

inline void require(bool condition, const char* message) {
    if (!condition) throw std::invalid_argument(message);
}

// The kernels between tokens and posed Gaussians, see avatar.cpp.
void bind_avatar_kernels(nb::module_& m);
void bind_perceptual(nb::module_& m);

}  // namespace splatalk
