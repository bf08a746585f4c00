// Sorting Gaussians by depth and listing them per tile.
#pragma once
#include <cstdint>
#include <memory>

#include "kernels.h"

namespace splatalk {

// Memory that is not cleared.
template <class T> using Block = std::unique_ptr<T[]>;
template <class T> static inline Block<T> block_of(size_t n) { return Block<T>(new T[n ? n : 1]); }

struct OwnedLists {
    int tiles_x = 0, tiles_y = 0;
    uint32_t pairs = 0;
    Block<uint32_t> tile_start, ids;
    Block<uint16_t> rows;
    TileLists view() const { return {tiles_x, tiles_y, tile_start.get(), ids.get(), rows.get()}; }
};

// Fills first_pair in `screen`. Equal depths keep the order of the input.
// Throws std::length_error when the Gaussians cover too many tiles for 32-bit indices.
OwnedLists list_tiles(int width, int height, int64_t count, Screen* screen, const float* depths);

}  // namespace splatalk
