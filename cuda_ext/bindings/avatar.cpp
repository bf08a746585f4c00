// Bindings of the kernels between tokens and posed Gaussians. Shapes are checked here, because an index leaves its array
// otherwise; splatalk/kernels/attention_mlp.py and posing.py allocate the outputs.
#include <nanobind/stl/array.h>
#include <nanobind/stl/tuple.h>

#include <array>
#include <tuple>

#include "../cpu/raster_lists.h"
#include "arrays.h"

namespace splatalk {
namespace {

using Sizes = std::tuple<bool, int, int, int, int, int, int, int>;  // in the order of AttentionMlp


AttentionMlp attention_mlp_of(const Sizes& s, const Vec& packed) {
    const AttentionMlp net = {std::get<0>(s), std::get<1>(s), std::get<2>(s), std::get<3>(s),
                              std::get<4>(s), std::get<5>(s), std::get<6>(s), std::get<7>(s)};
    for (int size : {net.inputs, net.width, net.heads, net.tokens, net.hidden, net.second, net.outputs})
        require(size >= 1 && size <= 4096, "sizes of the network must be in 1..4096");
    require(net.encoded || net.width == net.inputs, "without an encoding layer the inputs are the features");
    require((int64_t)packed.size() == net.packed_floats(), "the weights do not fit the sizes");
    return net;
}

int64_t attention_mlp_kept(Sizes sizes, Vec packed, int64_t n) { return attention_mlp_of(sizes, packed).kept_floats(n); }

void attention_mlp_forward(Sizes sizes, Vec packed, Mat in, Out<nb::ndim<2>> out, std::optional<Out<nb::ndim<1>>> kept,
                           int threads) {
    const AttentionMlp net = attention_mlp_of(sizes, packed);
    const int64_t n = (int64_t)in.shape(0);
    require(in.shape(1) == (size_t)net.inputs && out.shape(0) == in.shape(0) && out.shape(1) == (size_t)net.outputs &&
                (!kept || (int64_t)kept->size() == net.kept_floats(n)), "in must be (N, inputs) and out (N, outputs)");
    nb::gil_scoped_release unlocked;
    kernels().attention_mlp_forward(net, packed.data(), in.data(), n, out.data(), kept ? kept->data() : nullptr, threads);
}

void attention_mlp_backward(Sizes sizes, Vec packed, Mat in, Vec kept, Mat d_out, std::optional<Out<nb::ndim<2>>> d_in,
                            Out<nb::ndim<1>> d_packed, int threads) {
    const AttentionMlp net = attention_mlp_of(sizes, packed);
    const int64_t n = (int64_t)in.shape(0);
    require(in.shape(1) == (size_t)net.inputs && d_out.shape(0) == in.shape(0) && d_out.shape(1) == (size_t)net.outputs &&
                (int64_t)kept.size() == net.kept_floats(n) && (!d_in || d_in->size() == in.size()) &&
                d_packed.size() == packed.size(), "gradients must have the shapes of their values");
    nb::gil_scoped_release unlocked;
    kernels().attention_mlp_backward(net, packed.data(), in.data(), n, kept.data(), d_out.data(),
                                     d_in ? d_in->data() : nullptr, d_packed.data(), threads);
}


using AnyFloats = Floats<>;
template <class T> using Whole = nb::ndarray<const T, nb::c_contig, nb::device::cpu>;
template <size_t count> using Arrays = std::array<AnyFloats, count>;
template <size_t count> using OutArrays = std::array<Out<>, count>;
using Bones = nb::ndarray<const float, nb::shape<2, kBoneNumbers>, nb::c_contig, nb::device::cpu>;

constexpr size_t kOffsets = 13;
constexpr size_t kCanonicalColumns[6] = {3, 4, 3, 1, 3, 1}, kPosedColumns[5] = {3, 4, 3, 1, 3};

template <class List> void require_rows(const List& arrays, const size_t* columns, size_t n) {
    for (size_t k = 0; k < arrays.size(); ++k)
        require(arrays[k].size() == n * columns[k], "an array of the Gaussians has a wrong length");
}

// What moves canonical Gaussians; `rows` says which row of the offsets belongs to each.
struct OwnedMovement {
    Block<int32_t> rows;
    Movement view;
};

OwnedMovement movement_of(size_t n, const Whole<bool>& dynamic, const MaybeMat& offsets, const Whole<int64_t>& corners,
                          const AnyFloats& corner_weights, const MaybeMat& surface) {
    require(dynamic.size() == n && corners.size() == 3 * n && corner_weights.size() == 3 * n,
            "dynamic must be (N,), corners and corner_weights (N, 3)");
    OwnedMovement m;
    m.rows = block_of<int32_t>(n);
    int32_t row = 0;
    for (size_t i = 0; i < n; ++i) m.rows[i] = dynamic.data()[i] ? row++ : -1;
    require(!offsets || offsets->size() == kOffsets * (size_t)row, "offsets must be (M, 13) for M dynamic Gaussians");
    require(!surface || surface->shape(1) == 3, "surface must be (V, 3)");
    for (size_t k = 0; surface && k < 3 * n; ++k)
        require((uint64_t)corners.data()[k] < surface->shape(0) || !dynamic.data()[k / 3], "a corner lies outside the surface");
    m.view = {m.rows.get(), offsets ? offsets->data() : nullptr, corners.data(), corner_weights.data(),
              surface ? surface->data() : nullptr};
    return m;
}

Canonical canonical_of(const Arrays<6>& a) {
    const size_t n = a[5].size();
    require_rows(a, kCanonicalColumns, n);
    return {(int64_t)n, a[0].data(), a[1].data(), a[2].data(), a[3].data(), a[4].data(), a[5].data()};
}

void pose(Arrays<6> canonical, Whole<bool> dynamic, MaybeMat offsets, Whole<int64_t> corners, AnyFloats corner_weights,
          MaybeMat surface, Bones bones, OutArrays<5> out, int threads) {
    const Canonical g = canonical_of(canonical);
    const OwnedMovement m = movement_of((size_t)g.count, dynamic, offsets, corners, corner_weights, surface);
    require_rows(out, kPosedColumns, (size_t)g.count);
    nb::gil_scoped_release unlocked;
    kernels().pose(g, m.view, (const Bone*)bones.data(),
                   {out[0].data(), out[1].data(), out[2].data(), out[3].data(), out[4].data()}, threads);
}

// posed: what the forward pass gave. d_posed, d_canonical, d_bones: gradients in the shapes of their values.
void pose_backward(Arrays<6> canonical, Whole<bool> dynamic, MaybeMat offsets, Whole<int64_t> corners,
                   AnyFloats corner_weights, MaybeMat surface, Bones bones, AnyFloats scales, AnyFloats opacities,
                   Arrays<5> d_posed, OutArrays<6> d_canonical, std::optional<Out<nb::ndim<2>>> d_offsets,
                   Out<nb::shape<2, kBoneNumbers>> d_bones, int threads) {
    const Canonical g = canonical_of(canonical);
    const size_t n = (size_t)g.count;
    const OwnedMovement m = movement_of(n, dynamic, offsets, corners, corner_weights, surface);
    require_rows(d_posed, kPosedColumns, n);
    require_rows(d_canonical, kCanonicalColumns, n);
    require(scales.size() == 3 * n && opacities.size() == n, "scales must be (N, 3) and opacities (N,)");
    require(offsets.has_value() == d_offsets.has_value() && (!offsets || d_offsets->size() == offsets->size()),
            "d_offsets must have the shape of the offsets");
    nb::gil_scoped_release unlocked;
    const auto& d = d_posed;
    const auto& to = d_canonical;
    kernels().pose_backward(g, m.view, (const Bone*)bones.data(), {scales.data(), opacities.data()},
                            {d[0].data(), d[1].data(), d[2].data(), d[3].data(), d[4].data()},
                            {to[0].data(), to[1].data(), to[2].data(), to[3].data(), to[4].data(), to[5].data(),
                             d_offsets ? d_offsets->data() : nullptr}, d_bones.data(), threads);
}

}  // namespace

void bind_avatar_kernels(nb::module_& m) {
    m.def("attention_mlp_kept", &attention_mlp_kept);
    m.def("attention_mlp_forward", &attention_mlp_forward, nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg().none(),
          nb::arg());
    m.def("attention_mlp_backward", &attention_mlp_backward, nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(),
          nb::arg().none(), nb::arg(), nb::arg());
    m.def("pose", &pose, nb::arg(), nb::arg(), nb::arg().none(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg(),
          nb::arg(), nb::arg());
    m.def("pose_backward", &pose_backward, nb::arg(), nb::arg(), nb::arg().none(), nb::arg(), nb::arg(), nb::arg().none(),
          nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg(), nb::arg());
}

}  // namespace splatalk
