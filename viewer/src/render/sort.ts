// The order in which Gaussians are drawn: back to front, for exactly the frame that is drawn.
import type { Compact } from "../compact/decode";
import { multiply, poseMatrix, type Mat4 } from "../math";
import type { Frame } from "../types";

const NEAR = 0.01; // metres, as in the reference renderer
const BUCKETS = 1 << 16;

export class DepthSorter {
  /** Canonical means of the frame, (N, 3). */
  readonly means: Float32Array;
  private readonly depths: Float32Array;
  private readonly keys: Uint16Array;
  private readonly starts = new Uint32Array(BUCKETS + 1);

  constructor(private readonly compact: Compact) {
    this.means = compact.means.slice();
    this.depths = new Float32Array(compact.count);
    this.keys = new Uint16Array(compact.count);
  }

  /** Move the dynamic Gaussians' canonical means to where a frame has them. */
  pose(frame: Frame): void {
    const { dynamic, means, bases } = this.compact;
    const n = 3 * dynamic;
    const moved = this.means;
    moved.set(means.subarray(0, n));
    const { rank, data, scale } = bases.means; // the first of the attributes, so its coefficients come first
    for (let k = 0; k < rank; k++) {
      const weight = frame.coefficients[k] * scale[k];
      if (weight === 0) continue;
      for (let i = 0, at = k * n; i < n; i++, at++) moved[i] += weight * data[at];
    }
  }

  /** Write the Gaussians that are in front of the camera to `order`, far ones first. Returns how many they are. */
  sort(frame: Frame, worldToCamera: Mat4, order: Uint32Array): number {
    const { low, high } = this.measure(frame, worldToCamera);
    const { depths, keys, starts } = this;
    const count = depths.length;
    const scale = (BUCKETS - 1) / Math.max(high - low, 1e-9);
    starts.fill(0);
    let visible = 0;
    for (let i = 0; i < count; i++) {
      if (!(depths[i] > NEAR)) continue;
      const key = BUCKETS - 1 - ((depths[i] - low) * scale | 0);
      keys[i] = key;
      starts[key + 1]++;
      visible++;
    }
    for (let key = 0; key < BUCKETS; key++) starts[key + 1] += starts[key];
    // Backwards, so that of equal depths the first comes last: in front, as in the reference.
    for (let i = count - 1; i >= 0; i--) if (depths[i] > NEAR) order[starts[keys[i]]++] = i;
    return visible;
  }

  /** Depths of all, metres, and the range of those in front of the camera. */
  private measure(frame: Frame, worldToCamera: Mat4): { low: number; high: number } {
    const head = multiply(worldToCamera, poseMatrix(frame.head));
    const torso = multiply(worldToCamera, poseMatrix(frame.torso));
    const [h0, h1, h2, h3] = head.slice(8, 12), [t0, t1, t2, t3] = torso.slice(8, 12);
    const { bone } = this.compact;
    const { means, depths } = this;
    let low = Infinity, high = -Infinity;
    for (let i = 0, j = 0; i < depths.length; i++, j += 3) {
      const x = means[j], y = means[j + 1], z = means[j + 2], w = bone[i];
      const depth = w * (h0 * x + h1 * y + h2 * z + h3) + (1 - w) * (t0 * x + t1 * y + t2 * z + t3);
      depths[i] = depth;
      if (depth > NEAR) {
        if (depth < low) low = depth;
        if (depth > high) high = depth;
      }
    }
    return { low, high };
  }
}
