#include "raster_lists.h"

#include <cstring>
#include <stdexcept>
#include <utility>

namespace splatalk {
namespace {

constexpr int kDigitBits = 11, kDigits = 1 << kDigitBits, kPasses = 3;

// Least-significant-digit radix sort; positive floats order like their bits.
void sort_by_depth(uint32_t n, Block<uint32_t>& keys, Block<uint32_t>& ids) {
    if (n == 0) return;
    Block<uint32_t> other_keys = block_of<uint32_t>(n), other_ids = block_of<uint32_t>(n);
    uint32_t counts[kPasses][kDigits] = {{0}};
    for (uint32_t i = 0; i < n; ++i)
        for (int p = 0; p < kPasses; ++p) ++counts[p][(keys[i] >> (p * kDigitBits)) & (kDigits - 1)];
    for (int p = 0; p < kPasses; ++p) {
        uint32_t* start = counts[p];
        const int shift = p * kDigitBits;
        if (start[(keys[0] >> shift) & (kDigits - 1)] == n) continue;  // all alike
        uint32_t sum = 0;
        for (int d = 0; d < kDigits; ++d) sum += std::exchange(start[d], sum);
        for (uint32_t i = 0; i < n; ++i) {
            const uint32_t to = start[(keys[i] >> shift) & (kDigits - 1)]++;
            other_keys[to] = keys[i];
            other_ids[to] = ids[i];
        }
        keys.swap(other_keys);
        ids.swap(other_ids);
    }
}

}  // namespace

OwnedLists list_tiles(int width, int height, int64_t count, Screen* screen, const float* depths) {
    OwnedLists lists;
    lists.tiles_x = (width + kTile - 1) / kTile;
    lists.tiles_y = (height + kTile - 1) / kTile;
    const int tiles = lists.tiles_x * lists.tiles_y;
    lists.tile_start = block_of<uint32_t>((size_t)tiles + 1);
    uint32_t* start = lists.tile_start.get();
    std::memset(start, 0, sizeof(uint32_t) * ((size_t)tiles + 1));

    Block<uint32_t> keys = block_of<uint32_t>((size_t)count), order = block_of<uint32_t>((size_t)count);
    uint32_t drawn = 0;
    uint64_t pairs = 0;
    for (int64_t i = 0; i < count; ++i) {
        Screen& g = screen[i];
        const uint32_t area = (uint32_t)(g.tile_x1 - g.tile_x0) * (uint32_t)(g.tile_y1 - g.tile_y0);
        if (area == 0) continue;
        g.first_pair = (uint32_t)pairs;
        pairs += area;
        if (pairs > 0x7fffffffu) throw std::length_error("the Gaussians cover more than 2^31 tiles together");
        std::memcpy(&keys[drawn], &depths[i], sizeof(uint32_t));
        order[drawn++] = (uint32_t)i;
        for (int y = g.tile_y0; y < g.tile_y1; ++y)
            for (int x = g.tile_x0; x < g.tile_x1; ++x) ++start[y * lists.tiles_x + x + 1];
    }
    sort_by_depth(drawn, keys, order);
    for (int t = 0; t < tiles; ++t) start[t + 1] += start[t];
    lists.pairs = (uint32_t)pairs;
    lists.ids = block_of<uint32_t>(pairs);
    lists.rows = block_of<uint16_t>(kMaxStrips * pairs);
    Block<uint32_t> next = block_of<uint32_t>((size_t)tiles);
    std::memcpy(next.get(), start, sizeof(uint32_t) * (size_t)tiles);
    for (uint32_t j = 0; j < drawn; ++j) {
        const Screen& g = screen[order[j]];
        for (int y = g.tile_y0; y < g.tile_y1; ++y)
            for (int x = g.tile_x0; x < g.tile_x1; ++x) lists.ids[next[y * lists.tiles_x + x]++] = order[j];
    }
    return lists;
}

}  // namespace splatalk
