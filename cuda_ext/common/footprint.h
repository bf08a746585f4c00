// Exact tests whether the ellipse in which a Gaussian is seen (alpha >= kMinAlpha) reaches a rectangle of pixel centres.
#pragma once
#include <cmath>

#include "gaussian.h"

namespace splatalk {

// The ellipse row by row: at height dy from its centre it is centred at slope * dy and half as wide as
// half_row * sqrt(1 - (dy / half_height)^2).
struct Footprint {
    float x, y;
    float slope, half_row, half_height;
    float lean;   // dy of the right-most point; the left-most is at -lean
    float slack;  // px, covers rounding here and in the evaluation of alpha
};

SPLATALK_FN Footprint footprint_of(const Screen& g) {
    Footprint f;
    f.x = g.x, f.y = g.y;
    f.half_height = g.half_height;
    f.half_row = std::sqrt((g.log2_opacity - kLog2Min) / -g.a);
    f.slope = -0.5f * g.b / g.a;
    const float across = f.slope * g.half_height;
    f.lean = g.half_height * across / std::sqrt(fmaf(f.half_row, f.half_row, across * across));
    f.slack = fmaf(1e-5f, std::fabs(across), 0.02f);
    return f;
}

// x of the edge at height dy, relative to the centre; side = 1 for the right edge, -1 for the left one.
SPLATALK_FN float edge_at(const Footprint& f, float dy, float side) {
    const float t = dy / f.half_height;
    return fmaf(f.slope, dy, side * f.half_row * std::sqrt(larger(fmaf(-t, t, 1.0f), 0)));
}

// Whether the ellipse meets the rectangle left <= x <= right, top <= y <= bottom (px); true also when that is not sure.
// The ellipse within the rows top..bottom is convex, so its x-extent decides. Multiplications that feed additions are
// written as fmaf: every kernel must come to the same answer, whatever its compiler fuses.
SPLATALK_FN bool reaches(const Footprint& f, float left, float right, float top, float bottom) {
    const float low = larger(top - f.y, -f.half_height), high = smaller(bottom - f.y, f.half_height);
    if (low > high + f.slack) return false;
    const float to_right = edge_at(f, clamped(f.lean, low, high), 1), to_left = edge_at(f, clamped(-f.lean, low, high), -1);
    return !(f.x + to_right + f.slack < left || f.x + to_left - f.slack > right);
}

// The same for tile (column, row).
SPLATALK_FN bool reaches_tile(const Footprint& f, int column, int row) {
    const float left = (float)(column * kTile) + 0.5f, top = (float)(row * kTile) + 0.5f;
    return reaches(f, left, left + (kTile - 1), top, top + (kTile - 1));
}

}  // namespace splatalk
