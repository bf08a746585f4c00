// Bindings of the perceptual distance; splatalk/kernels/perceptual.py packs the weights and allocates the outputs.
#include "../cpu/kernels.h"
#include "arrays.h"

namespace splatalk {
namespace {

int64_t kept_floats(int height, int width) {
    require(height >= kPerceptualSide && width >= kPerceptualSide && height <= 4096 && width <= 4096,
            "pictures must have sides of 35 to 4096 pixels");
    return kernels().perceptual_kept(height, width);
}

PicturePair pair_of(const Cube& a, const Cube& b, const Vec& scale, const Vec& packed, size_t kept) {
    require(a.shape(2) == 3 && b.shape(0) == a.shape(0) && b.shape(1) == a.shape(1) && b.shape(2) == 3,
            "pictures must be (H, W, 3) of one size");
    require(scale.size() == 6 && (int64_t)packed.size() == kernels().perceptual_packed(), "the weights have a wrong size");
    const int height = (int)a.shape(0), width = (int)a.shape(1);
    require((int64_t)kept == kept_floats(height, width), "kept has a wrong size");
    return {a.data(), b.data(), height, width, scale.data()};
}

double forward(Cube a, Cube b, Vec scale, Vec packed, Out<nb::ndim<1>> kept, int threads) {
    const PicturePair pair = pair_of(a, b, scale, packed, kept.size());
    nb::gil_scoped_release unlocked;
    return kernels().perceptual_forward(pair, packed.data(), kept.data(), threads);
}

void backward(Cube a, Cube b, Vec scale, Vec packed, Vec kept, float by, Out<nb::ndim<3>> d_a, int threads) {
    const PicturePair pair = pair_of(a, b, scale, packed, kept.size());
    require(d_a.size() == a.size(), "the gradient must have the shape of the picture");
    nb::gil_scoped_release unlocked;
    kernels().perceptual_backward(pair, packed.data(), kept.data(), by, d_a.data(), threads);
}

}  // namespace

void bind_perceptual(nb::module_& m) {
    m.def("perceptual_kept", &kept_floats);
    m.def("perceptual_forward", &forward);
    m.def("perceptual_backward", &backward);
}

}  // namespace splatalk
