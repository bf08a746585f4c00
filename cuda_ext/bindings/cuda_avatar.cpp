// Python bindings of the CUDA kernels an avatar is trained and played with. Memory comes in as addresses, which works while
// a CUDA graph is captured and is the same for the GPU and for the host shim; splatalk/kernels/cuda/*.py checks shapes,
// types and devices, and keeps the tensors alive.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <new>
#include <string>

#include "../cuda/hash_triplane.h"
#include "../cuda/playback.h"
#include "../cuda/ssim.h"
#include "cuda_bindings.h"

namespace nb = nanobind;

namespace splatalk {

using namespace cuda;

namespace {

float* floats(Address address) { return at<float>(address); }

using Levels = nb::ndarray<const int32_t, nb::shape<-1, 4>, nb::c_contig, nb::device::cpu>;

// Checked, so that no index can leave the tables.
HashTriplane triplane_of(const Levels& levels, int64_t entries, int features) {
    require(features == 1 || features == 2 || features == 4 || features == 8, "features per level must be 1, 2, 4 or 8");
    require(levels.shape(0) <= kMaxLevels, "too many levels");
    HashTriplane grid = {(int)levels.shape(0), features, (int)entries, {}};
    for (int l = 0; l < grid.levels; ++l) {
        const GridLevel level = ((const GridLevel*)levels.data())[l];
        const int64_t side = (int64_t)level.resolution + 1;
        require(level.resolution >= 1 && level.resolution < (1 << 20) && level.size >= 1 && level.offset >= 0 &&
                    (int64_t)level.offset + level.size <= entries, "a grid level lies outside the tables");
        require(level.dense ? side * side <= level.size : (level.size & (level.size - 1)) == 0, "a grid level has a wrong size");
        grid.level[l] = level;
    }
    return grid;
}

// The pointers of a structure by name; a missing name is an error.
class Named {
public:
    explicit Named(const nb::dict& addresses) : addresses_(addresses) {}
    template <class T> void read(const char* name, T*& pointer) const {
        require(addresses_.contains(name), name);
        pointer = at<T>(nb::cast<Address>(addresses_[name]));
    }

private:
    const nb::dict& addresses_;
};

TokenModel token_model(int inputs, int speech_tokens, int heads, const nb::dict& addresses) {
    require(heads == 1 || heads == 2 || heads == 4, "attention heads must be 1, 2 or 4");
    require(inputs >= 1 && speech_tokens >= 0 && kEmbedded + 1 + speech_tokens <= kMaxTokens, "too many tokens");
    TokenModel m = {};
    m.inputs = inputs, m.speech_tokens = speech_tokens, m.heads = heads;
    const Named named(addresses);
    named.read("embed1", m.embed1), named.read("bias1", m.bias1);
    named.read("embed2", m.embed2), named.read("bias2", m.bias2);
    named.read("constant", m.constant);
    named.read("fold", m.fold), named.read("fold_bias", m.fold_bias);
    named.read("rig", m.rig), named.read("rig_offset", m.rig_offset);
    return m;
}

Canonical canonical(int count, int moving, int sh, const nb::dict& addresses) {
    require(count >= 0 && moving >= 0 && moving <= count, "more moving Gaussians than Gaussians");
    require(sh == 1 || sh == 4 || sh == 9 || sh == 16, "1, 4, 9 or 16 coefficients per colour");
    Canonical c = {};
    c.count = count, c.moving = moving, c.sh = sh;
    const Named named(addresses);
    named.read("order", c.order);
    named.read("means", c.means), named.read("quats", c.quats), named.read("log_scales", c.log_scales);
    named.read("opacity_logits", c.opacity_logits), named.read("colors", c.colors), named.read("bone", c.bone);
    named.read("queries", c.queries), named.read("hidden", c.hidden);
    named.read("corners", c.corners), named.read("corner_weights", c.corner_weights);
    named.read("middle", c.middle), named.read("middle_bias", c.middle_bias);
    named.read("last", c.last), named.read("last_bias", c.last_bias);
    return c;
}

Posed posed_at(Address screen, Address depths, const nb::tuple& splats) {
    Posed out = {at<Screen>(screen), floats(depths), nullptr, nullptr, nullptr, nullptr, nullptr};
    if (splats.size() == 0) return out;
    require(splats.size() == 5, "splats are five arrays");
    float** pointers[5] = {&out.means, &out.quats, &out.scales, &out.opacities, &out.colors};
    for (int i = 0; i < 5; ++i) *pointers[i] = floats(nb::cast<Address>(splats[i]));
    return out;
}

ImagePair pair_of(Address a, Address b, int height, int width, int channels, Address ssim_weight, Address l1_weight) {
    require(height > 0 && width > 0 && channels > 0 && height <= 65536 && width <= 65536 && channels <= 64, "no such image");
    return {floats(a), floats(b), height, width, channels, floats(ssim_weight), floats(l1_weight)};
}

}  // namespace

void bind_avatar(nb::module_& m) {
    m.def("hash_forward", [](Address x, int n, Address tables, Levels levels, int64_t entries, int features, Address out,
                             Address stream) {
        hash_forward(triplane_of(levels, entries, features), floats(x), n, floats(tables), floats(out), stream_at(stream));
        check_launches("hash_forward");
    });
    m.def("hash_backward_tables", [](Address x, int n, Address d_out, Levels levels, int64_t entries, int features,
                                     Address d_tables, Address stream) {
        hash_backward_tables(triplane_of(levels, entries, features), floats(x), n, floats(d_out), floats(d_tables), stream_at(stream));
        check_launches("hash_backward_tables");
    });
    m.def("hash_backward_positions", [](Address x, int n, Address tables, Address d_out, Levels levels, int64_t entries,
                                        int features, Address d_x, Address stream) {
        hash_backward_positions(triplane_of(levels, entries, features), floats(x), n, floats(tables), floats(d_out), floats(d_x),
                                stream_at(stream));
        check_launches("hash_backward_positions");
    });

    m.def("ssim_blocks", &ssim_blocks);
    m.def("ssim_forward", [](Address a, Address b, int height, int width, int channels, Address ssim_weight,
                             Address l1_weight, Address partials, Address block_sums, Address stream) {
        ssim_forward(pair_of(a, b, height, width, channels, ssim_weight, l1_weight), floats(partials), floats(block_sums),
                     stream_at(stream));
        check_launches("ssim_forward");
    });
    m.def("ssim_backward", [](Address a, Address b, int height, int width, int channels, Address l1_weight, Address partials,
                              Address d, float ssim_scale, float l1_scale, Address d_a, Address stream) {
        ssim_backward(pair_of(a, b, height, width, channels, 0, l1_weight), floats(partials), floats(d), ssim_scale, l1_scale,
                      floats(d_a), stream_at(stream));
        check_launches("ssim_backward");
    });

    m.attr("STRIP") = kStrip;
    m.attr("RAW") = kRaw;
    m.attr("MAX_TOKENS") = kMaxTokens;
    m.attr("HEADER") = kHeader;
    m.attr("SCREEN_BYTES") = sizeof(Screen);
    nb::class_<TokenModel>(m, "TokenModel", "Weights that turn a frame's input into keys and values, by address.")
        .def("__init__", [](TokenModel* self, int inputs, int speech_tokens, int heads, nb::dict addresses) {
            new (self) TokenModel(token_model(inputs, speech_tokens, heads, addresses));
        });
    nb::class_<Canonical>(m, "Canonical", "Gaussians and what the network needs of them, by address.")
        .def("__init__", [](Canonical* self, int count, int moving, int sh, nb::dict addresses) {
            new (self) Canonical(canonical(count, moving, sh, addresses));
        });
    m.def("encode_frame", [](const TokenModel& model, Address frame, Address keys, Address values, Address surface,
                             Address stream) {
        encode_frame(model, floats(frame), {floats(keys), floats(values), floats(surface)}, stream_at(stream));
        check_launches("encode_frame");
    });
    m.def("pose_frame", [](const TokenModel& model, const Canonical& gaussians, Address frame, Address keys, Address values,
                           Address surface, int width, int height, Address screen, Address depths, nb::tuple splats,
                           Address stream) {
        pose_frame(model, gaussians, floats(frame), {floats(keys), floats(values), floats(surface)}, width, height,
                   posed_at(screen, depths, splats), stream_at(stream));
        check_launches("pose_frame");
    });
    m.def("to_bytes", [](Address image, int n, Address out, Address stream) {
        to_bytes(floats(image), n, at<unsigned char>(out), stream_at(stream));
        check_launches("to_bytes");
    });
}

}  // namespace splatalk
