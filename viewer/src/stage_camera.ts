// Where the person is seen from: the capture camera, turned around the head, shifted and magnified.
import type { CaptureCamera, Compact } from "./compact/decode";
import { clamp, multiply, poseMatrix, transform, translation, type Mat4 } from "./math";
import type { Background, View } from "./render/renderer";
import type { Frame } from "./types";

export interface Orbit {
  /** Degrees; positive is towards the subject's left. */
  yaw: number;
  /** Degrees; positive is up. */
  pitch: number;
  /** Magnification; 1 is as captured. */
  zoom: number;
  /** Shift of the picture in stage heights, right and down. */
  panX: number;
  panY: number;
}

export const FRONT: Readonly<Orbit> = { yaw: 0, pitch: 0, zoom: 1, panX: 0, panY: 0 };

/** Of the captured width, what a narrow stage still shows. */
const NARROWEST = 0.74;
/** How far the plate moves when the camera turns: a wall some way behind the person. */
const PLATE_PARALLAX = 0.5;

/** The view of a stage of width x height pixels.
 *  @param moved metres that the head went from rest, when the camera follows it */
export function stageView(
  compact: Compact, orbit: Orbit, width: number, height: number, moved: readonly number[] = [0, 0, 0],
): View {
  const { camera } = compact;
  const scale = stageScale(camera, width, height) * orbit.zoom;
  // Magnified about the head, which the capture camera sees here:
  const head = transform(camera.worldToCamera, compact.headCentre);
  const headX = (camera.fx * head[0]) / head[2] + camera.cx, headY = (camera.fy * head[1]) / head[2] + camera.cy;
  const base = stageScale(camera, width, height);
  const anchorX = width / 2 + (headX - camera.width / 2) * base;
  const anchorY = height + (headY - camera.height) * base; // the captured bottom edge is the stage's
  const follow = multiply(camera.worldToCamera, translation(-moved[0], -moved[1], -moved[2]));
  return {
    width, height,
    fx: camera.fx * scale,
    fy: camera.fy * scale,
    cx: anchorX - (headX - camera.cx) * scale + orbit.panX * height,
    cy: anchorY - (headY - camera.cy) * scale + orbit.panY * height,
    worldToCamera: multiply(turn(head, orbit.yaw, orbit.pitch), follow),
  };
}

/** Stage pixels a captured pixel. Wide stages show the full captured height, narrow ones lose a little at both sides. */
function stageScale(camera: CaptureCamera, width: number, height: number): number {
  return Math.min(height / camera.height, width / (NARROWEST * camera.width));
}

/** Rotation by yaw, then pitch, that leaves the point `centre` (camera axes) where it is. */
function turn(centre: readonly number[], yaw: number, pitch: number): Mat4 {
  const y = (yaw * Math.PI) / 180, p = (pitch * Math.PI) / 180;
  const cy = Math.cos(y), sy = Math.sin(y), cp = Math.cos(p), sp = Math.sin(p);
  const turned: Mat4 = multiply(
    [1, 0, 0, 0, 0, cp, -sp, 0, 0, sp, cp, 0, 0, 0, 0, 1], [cy, 0, sy, 0, 0, 1, 0, 0, -sy, 0, cy, 0, 0, 0, 0, 1],
  );
  return multiply(translation(centre[0], centre[1], centre[2]), multiply(turned, translation(-centre[0], -centre[1], -centre[2])));
}

/** Where the plate lies behind a view: exactly as captured from the front, scrolling like a far wall when turned. */
export function plateBehind(camera: CaptureCamera, orbit: Orbit, view: View): Background {
  const scaleX = camera.fx / view.fx, scaleY = camera.fy / view.fy;
  const shiftX = PLATE_PARALLAX * camera.fx * ((orbit.yaw * Math.PI) / 180);
  const shiftY = PLATE_PARALLAX * camera.fy * ((orbit.pitch * Math.PI) / 180);
  return {
    kind: "plate",
    toPlate: [
      scaleX / camera.width, scaleY / camera.height,
      (camera.cx - view.cx * scaleX - shiftX) / camera.width, (camera.cy - view.cy * scaleY + shiftY) / camera.height,
    ],
  };
}

/** Metres from where the head is at rest to where a frame has it. */
export function headMoved(compact: Compact, frame: Frame): [number, number, number] {
  const rest = poseMatrix(compact.rest.head), now = poseMatrix(frame.head);
  return [now[3] - rest[3], now[7] - rest[7], now[11] - rest[11]];
}

/** The capture camera itself. */
export function captureView(camera: CaptureCamera): View {
  const { width, height, fx, fy, cx, cy, worldToCamera } = camera;
  return { width, height, fx, fy, cx, cy, worldToCamera };
}

/** Degrees around the head within which a recording shows the person; never so narrow that nothing can be turned. */
export function softLimits(range: Compact["range"]): { yaw: [number, number]; pitch: [number, number] } {
  const widened = ([low, high]: readonly [number, number]): [number, number] => [Math.min(low, -6), Math.max(high, 6)];
  return { yaw: widened(range.yaw), pitch: widened(range.pitch) };
}

/** A value beyond its limits is held back like by a rubber band that stretches to `stretch` at most. */
export function rubberBand(value: number, [low, high]: readonly [number, number], stretch = 14): number {
  const over = value > high ? value - high : value < low ? value - low : 0;
  return clamp(value, low, high) + Math.sign(over) * stretch * (1 - Math.exp(-Math.abs(over) / (2 * stretch)));
}

