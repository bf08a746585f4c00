// Quaternions w x y z and rigid 4x4 matrices, row major, in plain number arrays.
import type { Pose } from "./types";

export type Mat4 = readonly number[];

export function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}

export function multiply(a: Mat4, b: Mat4): Mat4 {
  const out = new Array<number>(16);
  for (let row = 0; row < 4; row++)
    for (let col = 0; col < 4; col++) {
      let sum = 0;
      for (let k = 0; k < 4; k++) sum += a[4 * row + k] * b[4 * k + col];
      out[4 * row + col] = sum;
    }
  return out;
}

/** A point (x, y, z) through a rigid transform. */
export function transform(m: Mat4, p: readonly number[]): [number, number, number] {
  const at = (row: number): number => m[4 * row] * p[0] + m[4 * row + 1] * p[1] + m[4 * row + 2] * p[2] + m[4 * row + 3];
  return [at(0), at(1), at(2)];
}

export function translation(x: number, y: number, z: number): Mat4 {
  return [1, 0, 0, x, 0, 1, 0, y, 0, 0, 1, z, 0, 0, 0, 1];
}

/** A pose as a matrix; its quaternion need not be normalised. */
export function poseMatrix(pose: Pose): Mat4 {
  const n = Math.hypot(pose[0], pose[1], pose[2], pose[3]) || 1;
  const w = pose[0] / n, x = pose[1] / n, y = pose[2] / n, z = pose[3] / n;
  return [
    1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y), pose[4],
    2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x), pose[5],
    2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y), pose[6],
    0, 0, 0, 1,
  ];
}

/** The pose of a rigid matrix. Of the four ways to its quaternion, the one that divides by the largest number. */
export function matrixPose(m: Mat4): Pose {
  const candidates = [
    [1 + m[0] + m[5] + m[10], m[9] - m[6], m[2] - m[8], m[4] - m[1]],
    [m[9] - m[6], 1 + m[0] - m[5] - m[10], m[1] + m[4], m[2] + m[8]],
    [m[2] - m[8], m[1] + m[4], 1 - m[0] + m[5] - m[10], m[6] + m[9]],
    [m[4] - m[1], m[2] + m[8], m[6] + m[9], 1 - m[0] - m[5] + m[10]],
  ];
  let best = 0;
  for (let i = 1; i < 4; i++) if (candidates[i][i] > candidates[best][best]) best = i;
  const q = candidates[best];
  const scale = (q[0] < 0 ? -1 : 1) / Math.hypot(q[0], q[1], q[2], q[3]);
  return new Float32Array([q[0] * scale, q[1] * scale, q[2] * scale, q[3] * scale, m[3], m[7], m[11]]);
}
