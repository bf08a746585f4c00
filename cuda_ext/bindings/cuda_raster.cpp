// The CUDA rasterizer. Arrays are addresses of contiguous float32 unless said; 0 stands for an array that is not there.
#include <nanobind/ndarray.h>
#include <nanobind/stl/array.h>

#include <array>

#include "../cuda/raster.h"
#include "cuda_bindings.h"

namespace nb = nanobind;

namespace splatalk {

using namespace cuda;

namespace {

using Matrix = nb::ndarray<const float, nb::shape<4, 4>, nb::c_contig, nb::device::cpu>;
using Intrinsics = std::array<float, 4>;
using Addresses5 = std::array<Address, 5>;  // means, quats, scales, opacities, colors
using Addresses6 = std::array<Address, 6>;  // the same, means2d

float* floats(Address address) { return at<float>(address); }

RasterSize size_of(int gaussians, int width, int height, uint32_t capacity) {
    require(gaussians >= 0 && width > 0 && height > 0 && width <= 65536 && height <= 65536, "no such picture");
    require(capacity > 0, "there must be room for a pair");
    return {gaussians, width, height, capacity};
}

View view_of(const Matrix& world_to_camera, const Intrinsics& k, int width, int height) {
    const float* m = world_to_camera.data();
    return {{m[0], m[1], m[2], m[4], m[5], m[6], m[8], m[9], m[10]}, {m[3], m[7], m[11]}, k[0], k[1], k[2], k[3], width,
            height};
}

GaussianArrays gaussians_at(const Addresses5& a) {
    return {floats(a[0]), floats(a[1]), floats(a[2]), floats(a[3]), floats(a[4])};
}

size_t state_bytes(int gaussians, int width, int height, uint32_t capacity) {
    return raster_state_bytes(size_of(gaussians, width, height, capacity));
}

size_t status_offset(int gaussians, int width, int height, uint32_t capacity) {
    const RasterState state = raster_state_at(nullptr, size_of(gaussians, width, height, capacity));
    return (size_t)((const unsigned char*)state.status - (const unsigned char*)nullptr);
}

void forward(const Addresses5& gaussians, int count, const Matrix& world_to_camera, const Intrinsics& intrinsics, int width,
             int height, Address background, bool plate, Address image, Address alpha, Address radii, Address memory,
             uint32_t capacity, Address most_pairs, Address stream) {
    const RasterSize size = size_of(count, width, height, capacity);
    const RasterState state = raster_state_at(at<void>(memory), size);
    const View view = view_of(world_to_camera, intrinsics, width, height);
    nb::gil_scoped_release unlocked;
    project_and_count(view, gaussians_at(gaussians), size, state, floats(radii), stream_at(stream));
    list_pairs(size, state, at<uint32_t>(most_pairs), stream_at(stream));
    draw_tiles(size, state, {floats(background), plate}, floats(image), floats(alpha), stream_at(stream));
    check_launches("raster_forward");
}

void backward(const Addresses5& gaussians, int count, const Matrix& world_to_camera, const Intrinsics& intrinsics, int width,
              int height, Address image, Address alpha, Address d_image, Address d_alpha, Address memory, uint32_t capacity,
              Address pair_sums, const Addresses6& gradients, Address stream) {
    const RasterSize size = size_of(count, width, height, capacity);
    const RasterState state = raster_state_at(at<void>(memory), size);
    const View view = view_of(world_to_camera, intrinsics, width, height);
    const GradientArrays out = {floats(gradients[0]), floats(gradients[1]), floats(gradients[2]), floats(gradients[3]),
                                floats(gradients[4]), floats(gradients[5])};
    nb::gil_scoped_release unlocked;
    draw_tiles_backward(size, state, floats(image), floats(alpha), floats(d_image), floats(d_alpha), floats(pair_sums),
                        stream_at(stream));
    project_backward(view, gaussians_at(gaussians), size, state, floats(pair_sums), out, stream_at(stream));
    check_launches("raster_backward");
}

void projected(Address screen, Address depths, int count, int width, int height, Address background, bool plate,
               Address image, Address alpha, Address most_pairs, Address memory, uint32_t capacity, Address stream) {
    const RasterSize size = size_of(count, width, height, capacity);
    RasterState state = raster_state_at(at<void>(memory), size);
    state.screen = at<Screen>(screen);
    state.depths = floats(depths);
    nb::gil_scoped_release unlocked;
    count_pairs(size, state, stream_at(stream));
    list_pairs(size, state, at<uint32_t>(most_pairs), stream_at(stream));
    draw_tiles(size, state, {floats(background), plate}, floats(image), floats(alpha), stream_at(stream));
    check_launches("raster_projected");
}

}  // namespace

void bind_raster(nb::module_& m) {
    m.attr("screen_bytes") = sizeof(Screen);
    m.def("raster_state_bytes", &state_bytes, "Bytes of device memory for N Gaussians, width, height and a capacity of pairs.");
    m.def("raster_status_offset", &status_offset, "Where in that memory two uint32 say: pairs needed, whether they did not fit.");
    m.def("raster_forward", &forward);
    m.def("raster_backward", &backward);
    m.def("raster_projected", &projected,
          "Draws Screens that are there already; most_pairs (a uint32 on the device, or 0) is raised to the pairs needed.");
}

}  // namespace splatalk
