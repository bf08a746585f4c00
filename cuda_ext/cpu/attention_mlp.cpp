// Attention of many points to a few tokens, and the perceptron behind it, in blocks of points that never leave the cache.
// Within a block a quantity is stored feature by feature, thirty-two points a row, so that everything between the
// products is plain lanes.
//
//   h0 = silu(encode in)                (only with an encoding layer; else h0 = in)
//   w  = softmax over the tokens of a head (score h0)
//   z1 = direct h0 + value w            the residual sum, already multiplied by the decoder's first layer
//   z2 = second silu(z1)
//   out = last silu(z2)
#include <cstdlib>
#include <cstring>

#include "kernels.h"
#include "parallel.h"
#include "product.h"
#include "simd.h"

namespace splatalk {
namespace SPLATALK_ISA {

namespace {
constexpr int kBlock = kAttentionBlock, kBlocksPerTask = 16;
constexpr int64_t kMaxTasks = 64;  // of the backward pass: each keeps sums of its own

enum LayerName { kEncode, kScore, kDirect, kValue, kSecond, kLast, kLayers };

struct Layer {
    int rows, columns, bias_rows;
    int64_t at;  // floats before it; the bias follows the weights
    int64_t weights() const { return (int64_t)rows * columns; }
};

inline int padded(int n) { return (n + kLanes - 1) / kLanes * kLanes; }

// The layers as they lie one behind the other; `wide` rounds columns up to whole registers.
struct Layers {
    Layer layer[kLayers];
    int64_t size;
    Layers(const AttentionMlp& net, bool wide) : size(0) {
        const int scores = net.heads * net.tokens, h0 = net.width;
        const int shape[kLayers][3] = {
            {net.encoded ? h0 : 0, net.inputs, net.encoded ? h0 : 0}, {scores, h0, scores},
            {net.hidden, h0, net.hidden},                             {net.hidden, scores, 0},
            {net.second, net.hidden, net.second},                     {net.outputs, net.second, net.outputs}};
        for (int l = 0; l < kLayers; ++l) {
            layer[l] = {shape[l][0], wide ? padded(shape[l][1]) : shape[l][1], shape[l][2], size};
            size += layer[l].weights() + layer[l].bias_rows;
        }
    }
};

// Aligned memory of a task, all zero at first.
class Scratch {
public:
    explicit Scratch(int64_t floats) : data_((float*)std::calloc((size_t)floats + kLanes, sizeof(float))) {
        next_ = data_ + (16 - ((uintptr_t)data_ / sizeof(float)) % 16) % 16;
    }
    ~Scratch() { std::free(data_); }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    // `rows` rows of `columns`, the rows rounded up to whole registers.
    float* take(int rows, int columns) {
        float* taken = next_;
        next_ += (int64_t)padded(rows) * columns;
        return taken;
    }

private:
    float *data_, *next_;
};

SIMD_INLINE F16 larger_of(const F16& a, const F16& b) { return select(at_least(a, b), a, b); }
SIMD_INLINE F16 exp_of(const F16& x) { return exp2_of(smallest(larger_of(x * 1.44269504f, splat(-125.0f)), splat(125.0f))); }
SIMD_INLINE F16 sigmoid_of(const F16& x) { return reciprocal(exp_of(splat(0.0f) - x) + 1.0f); }

void silu(const float* z, int rows, float* out) {
    for (int i = 0; i < rows * kBlock; i += kLanes) {
        const F16 x = load(z + i);
        store(out + i, x * sigmoid_of(x));
    }
}

// silu and its derivative.
void silu_slope(const float* z, int rows, float* out, float* slope) {
    for (int i = 0; i < rows * kBlock; i += kLanes) {
        const F16 x = load(z + i), s = sigmoid_of(x), y = x * s;
        store(out + i, y);
        store(slope + i, s + y * (1.0f - s));
    }
}

void scale(const float* by, int rows, float* d) {
    for (int i = 0; i < rows * kBlock; i += kLanes) store(d + i, load(d + i) * load(by + i));
}

void softmax(float* w, int heads, int tokens) {
    for (int h = 0; h < heads; ++h, w += tokens * kBlock)
        for (int i = 0; i < kBlock; i += kLanes) {
            F16 most = load(w + i), sum = splat(0.0f);
            for (int t = 1; t < tokens; ++t) most = larger_of(load(w + t * kBlock + i), most);
            for (int t = 0; t < tokens; ++t) {
                const F16 e = exp_of(load(w + t * kBlock + i) - most);
                sum = sum + e;
                store(w + t * kBlock + i, e);
            }
            const F16 scale = reciprocal(sum);
            for (int t = 0; t < tokens; ++t) store(w + t * kBlock + i, load(w + t * kBlock + i) * scale);
        }
}

// d = w * (d - sum over tokens of w d).
void softmax_backward(const float* w, int heads, int tokens, float* d) {
    for (int h = 0; h < heads; ++h, w += tokens * kBlock, d += tokens * kBlock)
        for (int i = 0; i < kBlock; i += kLanes) {
            F16 mean = splat(0.0f);
            for (int t = 0; t < tokens; ++t) mean = mean + load(w + t * kBlock + i) * load(d + t * kBlock + i);
            for (int t = 0; t < tokens; ++t)
                store(d + t * kBlock + i, load(w + t * kBlock + i) * (load(d + t * kBlock + i) - mean));
        }
}

// What a forward pass leaves for the backward pass, a block after the other: z0 and z1, z2 before their silu, and w.
struct Kept { float *z0, *w, *z1, *z2; };

inline Kept kept_at(const AttentionMlp& net, float* block) {
    Kept k;
    k.z0 = block;
    k.w = k.z0 + (net.encoded ? net.width : 0) * kBlock;
    k.z1 = k.w + net.heads * net.tokens * kBlock;
    k.z2 = k.z1 + net.hidden * kBlock;
    return k;
}

// out (rows, 32) = layer in (+ out), of the weights as they are stored.
inline void apply(const Layers& layers, const float* packed, LayerName name, const float* in, float* out, bool add = false) {
    const Layer& l = layers.layer[name];
    const float* weight = packed + l.at;
    multiply({l.rows, kBlock, l.columns, weight, l.columns, 1, in, kBlock, out, kBlock,
              l.bias_rows ? weight + l.weights() : nullptr, add});
}

// d_in (columns, 32) = transposed layer d_out (+ d_in).
inline void apply_transposed(const Layers& layers, const float* packed, LayerName name, const float* d_out, float* d_in,
                             bool add = false) {
    const Layer& l = layers.layer[name];
    multiply({l.columns, kBlock, l.rows, packed + l.at, 1, l.columns, d_out, kBlock, d_in, kBlock, nullptr, add});
}

// Gradients of a layer += d_out (rows, 32) by in_rows (32, columns).
inline void add_gradient(const Layers& wide, LayerName name, const float* d_out, const float* in_rows, float* sums) {
    const Layer& l = wide.layer[name];
    float* weight = sums + l.at;
    multiply({l.rows, l.columns, kBlock, d_out, kBlock, 1, in_rows, l.columns, weight, l.columns, nullptr, true});
    for (int r = 0; r < l.bias_rows; ++r)
        weight[l.weights() + r] += sum_of(load(d_out + r * kBlock) + load(d_out + r * kBlock + kLanes));
}

// Points of a block as rows of `wide` numbers, zeros behind the last.
void read_block(const float* from, int count, int columns, float* rows, int wide) {
    for (int i = 0; i < count; ++i) std::memcpy(rows + i * wide, from + (int64_t)i * columns, sizeof(float) * (size_t)columns);
    for (int i = count; i < kBlock; ++i) std::memset(rows + i * wide, 0, sizeof(float) * (size_t)columns);
}

void write_block(const float* rows, int wide, int count, int columns, float* to) {
    for (int i = 0; i < count; ++i) std::memcpy(to + (int64_t)i * columns, rows + i * wide, sizeof(float) * (size_t)columns);
}

inline int largest(int a, int b) { return a > b ? a : b; }

inline int64_t blocks_of(int64_t n) { return (n + kBlock - 1) / kBlock; }
}  // namespace

void attention_mlp_forward(const AttentionMlp& net, const float* packed, const float* in, int64_t n, float* out, float* kept,
                           int threads) {
    const Layers layers(net, false);
    const int wide = padded(net.inputs), wide_out = padded(net.outputs);
    const int most = largest(net.hidden, net.second);
    auto task = [&](int t) {
        Scratch scratch(kBlock * (int64_t)(2 * wide + padded(net.width) + padded(most) + 2 * wide_out +
                                           (kept ? 0 : net.kept_rows())));
        float *rows = scratch.take(kBlock, wide), *columns = scratch.take(wide, kBlock);
        float *h0 = scratch.take(net.width, kBlock), *h = scratch.take(most, kBlock);
        float *raw = scratch.take(net.outputs, kBlock), *raw_rows = scratch.take(kBlock, wide_out);
        float* own = kept ? nullptr : scratch.take(0, kBlock);
        const int64_t first = (int64_t)t * kBlocksPerTask, end = first + kBlocksPerTask;
        for (int64_t b = first; b < end && b * kBlock < n; ++b) {
            const int count = n - b * kBlock < kBlock ? (int)(n - b * kBlock) : kBlock;
            const Kept k = kept_at(net, kept ? kept + b * kBlock * net.kept_rows() : own);
            read_block(in + b * kBlock * net.inputs, count, net.inputs, rows, wide);
            transpose(rows, wide, kBlock, wide, columns, kBlock);
            if (net.encoded) {
                apply(layers, packed, kEncode, columns, k.z0);
                silu(k.z0, net.width, h0);
            }
            const float* query = net.encoded ? h0 : columns;
            apply(layers, packed, kScore, query, k.w);
            softmax(k.w, net.heads, net.tokens);
            apply(layers, packed, kDirect, query, k.z1);
            apply(layers, packed, kValue, k.w, k.z1, true);
            silu(k.z1, net.hidden, h);
            apply(layers, packed, kSecond, h, k.z2);
            silu(k.z2, net.second, h);
            apply(layers, packed, kLast, h, raw);
            transpose(raw, kBlock, wide_out, kBlock, raw_rows, wide_out);
            write_block(raw_rows, wide_out, count, net.outputs, out + b * kBlock * net.outputs);
        }
    };
    parallel_for((int)((blocks_of(n) + kBlocksPerTask - 1) / kBlocksPerTask), threads, task);
}

namespace {
// One block's way back. Memory is handed in, so that it stays warm from block to block.
struct BackwardBuffers {
    float *in_rows, *h, *h_rows, *slope, *w_rows, *d_raw_rows, *d_raw, *d2, *d1, *dw, *d0, *d_in, *d_in_rows;
    static int64_t floats(const AttentionMlp& net) {
        const int scores = padded(net.heads * net.tokens), most = largest(padded(net.hidden), padded(net.second));
        return kBlock * (int64_t)(3 * padded(net.inputs) + 3 * largest(most, padded(net.width)) + 2 * scores +
                                  2 * padded(net.outputs) + padded(net.second) + padded(net.hidden) + padded(net.width));
    }
    BackwardBuffers(const AttentionMlp& net, Scratch& s) {
        const int scores = padded(net.heads * net.tokens), in_wide = padded(net.inputs);
        const int most = largest(largest(net.hidden, net.second), net.width);
        in_rows = s.take(kBlock, in_wide);
        h = s.take(most, kBlock), h_rows = s.take(kBlock, padded(most)), slope = s.take(most, kBlock);
        w_rows = s.take(kBlock, scores), dw = s.take(scores, kBlock);
        d_raw_rows = s.take(kBlock, padded(net.outputs)), d_raw = s.take(net.outputs, kBlock);
        d2 = s.take(net.second, kBlock), d1 = s.take(net.hidden, kBlock), d0 = s.take(net.width, kBlock);
        d_in = s.take(in_wide, kBlock), d_in_rows = s.take(kBlock, in_wide);
    }
};

void backward_block(const AttentionMlp& net, const Layers& layers, const Layers& wide, const float* packed, const Kept& k,
                    BackwardBuffers& m, const float* in, const float* d_out, int count, float* d_in, float* sums) {
    const int in_wide = padded(net.inputs), out_wide = padded(net.outputs), score_wide = padded(net.heads * net.tokens);
    read_block(d_out, count, net.outputs, m.d_raw_rows, out_wide);
    transpose(m.d_raw_rows, out_wide, kBlock, out_wide, m.d_raw, kBlock);

    silu_slope(k.z2, net.second, m.h, m.slope);
    transpose(m.h, kBlock, net.second, kBlock, m.h_rows, padded(net.second));
    add_gradient(wide, kLast, m.d_raw, m.h_rows, sums);
    apply_transposed(layers, packed, kLast, m.d_raw, m.d2);
    scale(m.slope, net.second, m.d2);

    silu_slope(k.z1, net.hidden, m.h, m.slope);
    transpose(m.h, kBlock, net.hidden, kBlock, m.h_rows, padded(net.hidden));
    add_gradient(wide, kSecond, m.d2, m.h_rows, sums);
    apply_transposed(layers, packed, kSecond, m.d2, m.d1);
    scale(m.slope, net.hidden, m.d1);

    transpose(k.w, kBlock, net.heads * net.tokens, kBlock, m.w_rows, score_wide);
    add_gradient(wide, kValue, m.d1, m.w_rows, sums);
    apply_transposed(layers, packed, kValue, m.d1, m.dw);
    softmax_backward(k.w, net.heads, net.tokens, m.dw);

    read_block(in, count, net.inputs, m.in_rows, in_wide);
    const float* query_rows = m.in_rows;
    if (net.encoded) {
        silu_slope(k.z0, net.width, m.h, m.slope);
        transpose(m.h, kBlock, net.width, kBlock, m.h_rows, padded(net.width));
        query_rows = m.h_rows;
    }
    add_gradient(wide, kDirect, m.d1, query_rows, sums);
    add_gradient(wide, kScore, m.dw, query_rows, sums);
    float* d_query = net.encoded ? m.d0 : m.d_in;
    apply_transposed(layers, packed, kDirect, m.d1, d_query);
    apply_transposed(layers, packed, kScore, m.dw, d_query, true);
    if (net.encoded) {
        scale(m.slope, net.width, m.d0);
        add_gradient(wide, kEncode, m.d0, m.in_rows, sums);
        if (d_in) apply_transposed(layers, packed, kEncode, m.d0, m.d_in);
    }
    if (!d_in) return;
    transpose(m.d_in, kBlock, in_wide, kBlock, m.d_in_rows, in_wide);
    write_block(m.d_in_rows, in_wide, count, net.inputs, d_in);
}
}  // namespace

void attention_mlp_backward(const AttentionMlp& net, const float* packed, const float* in, int64_t n, const float* kept,
                            const float* d_out, float* d_in, float* d_packed, int threads) {
    const Layers layers(net, false), wide(net, true);
    int64_t per_task = (blocks_of(n) + kMaxTasks - 1) / kMaxTasks;  // by n alone, so that sums do not depend on threads
    if (per_task < kBlocksPerTask) per_task = kBlocksPerTask;
    const int tasks = (int)((blocks_of(n) + per_task - 1) / per_task);
    float* sums = (float*)std::calloc((size_t)(tasks * wide.size) + 1, sizeof(float));
    auto task = [&](int t) {
        Scratch scratch(BackwardBuffers::floats(net));
        BackwardBuffers buffers(net, scratch);
        for (int64_t b = t * per_task; b < (t + 1) * per_task && b * kBlock < n; ++b) {
            const int count = n - b * kBlock < kBlock ? (int)(n - b * kBlock) : kBlock;
            const Kept k = kept_at(net, const_cast<float*>(kept) + b * kBlock * net.kept_rows());
            backward_block(net, layers, wide, packed, k, buffers, in + b * kBlock * net.inputs, d_out + b * kBlock * net.outputs,
                           count, d_in ? d_in + b * kBlock * net.inputs : nullptr, sums + t * wide.size);
        }
    };
    parallel_for(tasks, threads, task);
    // Row by row, the row behind a layer's last being its bias; tasks always in the same order.
    int rows = 0;
    for (const Layer& l : layers.layer) rows += l.rows + 1;
    auto total_row = [&](int r) {
        int l = 0;
        for (; r > layers.layer[l].rows; ++l) r -= layers.layer[l].rows + 1;
        const Layer &to = layers.layer[l], &from = wide.layer[l];
        const int columns = r == to.rows ? to.bias_rows : to.columns;
        float* total = d_packed + to.at + (int64_t)r * to.columns;
        const float* part = sums + from.at + (int64_t)r * from.columns;
        for (int c = 0; c < columns; ++c) total[c] = 0.0f;
        for (int t = 0; t < tasks; ++t, part += wide.size)
            for (int c = 0; c < columns; ++c) total[c] += part[c];
    };
    parallel_for(rows, threads, total_row);
    std::free(sums);
}

}  // namespace SPLATALK_ISA
}  // namespace splatalk
