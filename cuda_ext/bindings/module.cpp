// Python bindings. Arrays come in through DLPack or the buffer protocol, so no array library is linked.
// Shapes and types are checked by splatalk/kernels/*.py, which allocate the outputs; a mismatch here is a TypeError.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>

#include <optional>
#include <utility>

#include "../cpu/raster_lists.h"
#include "arrays.h"

using namespace splatalk;

namespace {

// What the backward pass needs of a forward pass.
struct RasterState {
    View view;
    Block<Screen> screen;
    OwnedLists lists;
    int64_t count;
};

View view_of(const Mat& world_to_camera, float fx, float fy, float cx, float cy, int width, int height) {
    require(world_to_camera.shape(0) == 4 && world_to_camera.shape(1) == 4, "world_to_camera must be (4, 4)");
    require(width > 0 && height > 0 && width <= 65536 && height <= 65536, "image sides must be in 1..65536");
    const float* m = world_to_camera.data();
    return {{m[0], m[1], m[2], m[4], m[5], m[6], m[8], m[9], m[10]}, {m[3], m[7], m[11]}, fx, fy, cx, cy, width, height};
}

Gaussians gaussians_of(const Mat& means, const Mat& quats, const Mat& scales, const Vec& opacities, const Mat& colors) {
    const size_t n = means.shape(0);
    require(quats.shape(0) == n && scales.shape(0) == n && opacities.shape(0) == n && colors.shape(0) == n,
            "Gaussian arrays differ in length");
    require(means.shape(1) == 3 && quats.shape(1) == 4 && scales.shape(1) == 3 && colors.shape(1) == 3,
            "Gaussian arrays must be (N,3) (N,4) (N,3) (N,) (N,3)");
    return {(int64_t)n, means.data(), quats.data(), scales.data(), opacities.data(), colors.data()};
}

RasterState* raster_forward(Mat means, Mat quats, Mat scales, Vec opacities, Mat colors, Mat world_to_camera, float fx,
                            float fy, float cx, float cy, int width, int height, Floats<> background,
                            Out<nb::ndim<3>> image, Out<nb::ndim<2>> alpha, Out<nb::ndim<1>> radii, int threads) {
    const size_t pixels = (size_t)width * (size_t)height;
    require(background.size() == 3 || background.size() == 3 * pixels, "background must be (3,) or (H, W, 3)");
    require(image.size() == 3 * pixels && alpha.size() == pixels, "image must be (H, W, 3) and alpha (H, W)");
    auto state = std::make_unique<RasterState>();
    state->view = view_of(world_to_camera, fx, fy, cx, cy, width, height);
    const Gaussians g = gaussians_of(means, quats, scales, opacities, colors);
    require(radii.size() == (size_t)g.count, "radii must be (N,)");
    const Background behind = {background.data(), background.size() != 3};
    nb::gil_scoped_release unlocked;
    state->count = g.count;
    state->screen = block_of<Screen>((size_t)g.count);
    Block<float> depths = block_of<float>((size_t)g.count);
    kernels().project(state->view, g, state->screen.get(), depths.get(), threads);
    state->lists = list_tiles(width, height, g.count, state->screen.get(), depths.get());
    kernels().tiles_forward(state->view, state->screen.get(), state->lists.view(), behind, image.data(), alpha.data(), threads);
    for (int64_t i = 0; i < g.count; ++i) radii.data()[i] = state->screen[i].radius;
    return state.release();
}

void raster_backward(const RasterState& state, Mat means, Mat quats, Mat scales, Vec opacities, Mat colors, Cube image,
                     Mat alpha, Cube d_image, std::optional<Mat> d_alpha, Out<nb::ndim<2>> d_means,
                     Out<nb::ndim<2>> d_quats, Out<nb::ndim<2>> d_scales, Out<nb::ndim<1>> d_opacities,
                     Out<nb::ndim<2>> d_colors, Out<nb::ndim<2>> d_means2d, int threads) {
    const Gaussians g = gaussians_of(means, quats, scales, opacities, colors);
    const size_t pixels = (size_t)state.view.width * (size_t)state.view.height, n = (size_t)g.count;
    require(g.count == state.count, "the state belongs to another set of Gaussians");
    require(image.size() == 3 * pixels && d_image.size() == 3 * pixels && alpha.size() == pixels &&
                (!d_alpha || d_alpha->size() == pixels), "images must be those of the forward pass");
    require(d_means.size() == 3 * n && d_quats.size() == 4 * n && d_scales.size() == 3 * n && d_opacities.size() == n &&
                d_colors.size() == 3 * n && d_means2d.size() == 2 * n, "gradients must have the shapes of their inputs");
    nb::gil_scoped_release unlocked;
    Block<ScreenSums> sums = block_of<ScreenSums>(state.lists.pairs);
    kernels().tiles_backward(state.view, state.screen.get(), state.lists.view(), image.data(), alpha.data(),
                             d_image.data(), d_alpha ? d_alpha->data() : nullptr, sums.get(), threads);
    kernels().project_backward(state.view, g, state.screen.get(), sums.get(),
                               {d_means.data(), d_quats.data(), d_scales.data(), d_opacities.data(), d_colors.data(),
                                d_means2d.data()}, threads);
}

using Levels = nb::ndarray<const int32_t, nb::shape<-1, 4>, nb::c_contig, nb::device::cpu>;

// Checked, so that no index can leave the tables.
HashTriplane triplane_of(const Levels& levels, size_t planes, size_t entries, size_t features) {
    require(planes == 3, "tables must be (3, entries, features)");
    require(features == 1 || features == 2 || features == 4 || features == 8, "features per level must be 1, 2, 4 or 8");
    const GridLevel* level = (const GridLevel*)levels.data();
    for (size_t l = 0; l < levels.shape(0); ++l) {
        const int64_t side = (int64_t)level[l].resolution + 1, size = level[l].size;
        require(level[l].resolution >= 1 && level[l].resolution < (1 << 20) && size >= 1 && level[l].offset >= 0 &&
                    (size_t)level[l].offset + (size_t)size <= entries, "a grid level lies outside the tables");
        require(level[l].dense ? side * side <= size : (size & (size - 1)) == 0, "a grid level has a wrong size");
    }
    return {(int)levels.shape(0), (int)features, (int)entries, level};
}

void hash_forward(Mat x, Cube tables, Levels levels, Out<nb::ndim<2>> out, int threads) {
    const HashTriplane grid = triplane_of(levels, tables.shape(0), tables.shape(1), tables.shape(2));
    require(x.shape(1) == 3 && out.shape(0) == x.shape(0) && out.shape(1) == (size_t)(3 * grid.levels * grid.features),
            "x must be (N, 3) and out (N, 3 * levels * features)");
    nb::gil_scoped_release unlocked;
    kernels().hash_forward(grid, x.data(), (int64_t)x.shape(0), tables.data(), out.data(), threads);
}

void hash_backward_tables(Mat x, Mat d_out, Levels levels, Out<nb::ndim<3>> d_tables, int threads) {
    const HashTriplane grid = triplane_of(levels, d_tables.shape(0), d_tables.shape(1), d_tables.shape(2));
    require(x.shape(1) == 3 && d_out.shape(0) == x.shape(0) && d_out.shape(1) == (size_t)(3 * grid.levels * grid.features),
            "x must be (N, 3) and d_out (N, 3 * levels * features)");
    nb::gil_scoped_release unlocked;
    kernels().hash_backward_tables(grid, x.data(), (int64_t)x.shape(0), d_out.data(), d_tables.data(), threads);
}

void hash_backward_positions(Mat x, Cube tables, Mat d_out, Levels levels, Out<nb::ndim<2>> d_x, int threads) {
    const HashTriplane grid = triplane_of(levels, tables.shape(0), tables.shape(1), tables.shape(2));
    require(x.shape(1) == 3 && d_out.shape(0) == x.shape(0) && d_x.size() == x.size() &&
                d_out.shape(1) == (size_t)(3 * grid.levels * grid.features), "x and d_x must be (N, 3)");
    nb::gil_scoped_release unlocked;
    kernels().hash_backward_positions(grid, x.data(), (int64_t)x.shape(0), tables.data(), d_out.data(), d_x.data(), threads);
}

ImagePair pair_of(const Cube& a, const Cube& b, const MaybeMat& ssim_weight, const MaybeMat& l1_weight) {
    const size_t height = a.shape(0), width = a.shape(1), channels = a.shape(2);
    require(b.shape(0) == height && b.shape(1) == width && b.shape(2) == channels, "images differ in shape");
    require(height <= 65536 && width <= 65536 && channels <= 64, "images are too large");
    for (const MaybeMat* weight : {&ssim_weight, &l1_weight})
        require(!*weight || ((*weight)->shape(0) == height && (*weight)->shape(1) == width), "weights must be (H, W)");
    return {a.data(), b.data(), (int)height, (int)width, (int)channels, ssim_weight ? ssim_weight->data() : nullptr,
            l1_weight ? l1_weight->data() : nullptr};
}

std::pair<double, double> ssim_forward(Cube a, Cube b, MaybeMat ssim_weight, MaybeMat l1_weight,
                                       std::optional<Out<nb::ndim<4>>> partials, int threads) {
    const ImagePair pair = pair_of(a, b, ssim_weight, l1_weight);
    require(!partials || partials->size() == 3 * a.size(), "partials must be (3, H, W, C)");
    nb::gil_scoped_release unlocked;
    const SimilaritySums sums = kernels().ssim_forward(pair, partials ? partials->data() : nullptr, threads);
    return {sums.ssim, sums.l1};
}

void ssim_backward(Cube a, Cube b, MaybeMat l1_weight, Floats<nb::ndim<4>> partials, float ssim_scale, float l1_scale,
                   Out<nb::ndim<3>> d_a, int threads) {
    const ImagePair pair = pair_of(a, b, std::nullopt, l1_weight);
    require(partials.size() == 3 * a.size() && d_a.size() == a.size(), "gradients must have the shape of the image");
    nb::gil_scoped_release unlocked;
    kernels().ssim_backward(pair, partials.data(), ssim_scale, l1_scale, d_a.data(), threads);
}

}  // namespace

NB_MODULE(_native, m) {
    nb::set_leak_warnings(false);  // a tensor alive at exit keeps its graph and so its RasterState: not an error
    m.doc() = "Compiled CPU kernels of splatalk; use them through splatalk.kernels.";
    nb::class_<RasterState>(m, "RasterState", "Projected Gaussians and tile lists of one forward pass.");
    m.def("isa", [] { return std::string(kernels().name); }, "The instruction set in use: baseline, v3 or v4.");
    m.def("raster_forward", &raster_forward);
    m.def("raster_backward", &raster_backward, nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(),
          nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(),
          nb::arg(), nb::arg());
    m.def("hash_forward", &hash_forward);
    m.def("hash_backward_tables", &hash_backward_tables);
    m.def("hash_backward_positions", &hash_backward_positions);
    m.def("ssim_forward", &ssim_forward, nb::arg(), nb::arg(), nb::arg().none(), nb::arg().none(), nb::arg().none(),
          nb::arg());
    m.def("ssim_backward", &ssim_backward, nb::arg(), nb::arg(), nb::arg().none(), nb::arg(), nb::arg(), nb::arg(),
          nb::arg(), nb::arg());
    bind_avatar_kernels(m);
    bind_perceptual(m);
}
