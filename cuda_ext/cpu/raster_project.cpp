// Projection of every Gaussian to the screen, and gradients back from screen sums.
#include "kernels.h"
#include "parallel.h"

namespace splatalk {
namespace SPLATALK_ISA {

namespace {
constexpr int64_t kPerTask = 512;

inline int tasks_for(int64_t count) { return (int)((count + kPerTask - 1) / kPerTask); }
inline int64_t task_end(int task, int64_t count) {
    const int64_t end = (task + 1) * kPerTask;
    return end < count ? end : count;
}
}  // namespace

void project(const View& view, const Gaussians& g, Screen* screen, float* depths, int threads) {
    auto task = [&](int t) {
        for (int64_t i = t * kPerTask, end = task_end(t, g.count); i < end; ++i)
            depths[i] = splatalk::project(view, g.means + 3 * i, g.quats + 4 * i, g.scales + 3 * i, g.opacities[i],
                                          g.colors + 3 * i, screen[i]);
    };
    parallel_for(tasks_for(g.count), threads, task);
}

void project_backward(const View& view, const Gaussians& g, const Screen* screen, const ScreenSums* pair_sums,
                      GaussianGradients out, int threads) {
    auto one = [&](int64_t i) {
        float* d[6] = {out.means + 3 * i,     out.quats + 4 * i,  out.scales + 3 * i,
                       out.opacities + i,     out.colors + 3 * i, out.means2d + 2 * i};
        const int size[6] = {3, 4, 3, 1, 3, 2};
        const Screen& s = screen[i];
        const uint32_t pairs = (uint32_t)(s.tile_x1 - s.tile_x0) * (uint32_t)(s.tile_y1 - s.tile_y0);
        if (pairs == 0) {
            for (int k = 0; k < 6; ++k)
                for (int j = 0; j < size[k]; ++j) d[k][j] = 0;
            return;
        }
        // Always in the same order, so that the result does not depend on threads.
        float total[kSums] = {0};
        for (uint32_t p = 0; p < pairs; ++p) {
            const float* sums = (const float*)&pair_sums[s.first_pair + p];
            for (int j = 0; j < kSums; ++j) total[j] += sums[j];
        }
        const ScreenSums sums = {total[0], total[1], total[2], total[3], total[4],
                                 total[5], total[6], total[7], total[8]};
        splatalk::project_backward(view, g.means + 3 * i, g.quats + 4 * i, g.scales + 3 * i, g.opacities[i], s, sums,
                                   d[0], d[1], d[2], d[3], d[4], d[5]);
    };
    auto task = [&](int t) {
        for (int64_t i = t * kPerTask, end = task_end(t, g.count); i < end; ++i) one(i);
    };
    parallel_for(tasks_for(g.count), threads, task);
}

}  // namespace SPLATALK_ISA
}  // namespace splatalk
