import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32 as zlibCrc } from "node:zlib";
import type { Compact } from "../src/compact/decode";
import { transform, translation } from "../src/math";
import { captureView, plateBehind, rubberBand, softLimits, stageView, FRONT } from "../src/stage_camera";
import { crc32, withText } from "../src/ui/png_text";

const IDENTITY = translation(0, 0, 0);
const camera = { width: 512, height: 480, fx: 900, fy: 910, cx: 250, cy: 245, worldToCamera: IDENTITY };
const compact = { camera, headCentre: [0.02, -0.01, 0.8] } as unknown as Compact;
const project = (view: ReturnType<typeof stageView>, point: number[]): [number, number] => {
  const [x, y, z] = transform(view.worldToCamera, point);
  return [(view.fx * x) / z + view.cx, (view.fy * y) / z + view.cy];
};
const near = (got: readonly number[], wanted: readonly number[]): void =>
  got.forEach((value, i) => assert.ok(Math.abs(value - wanted[i]) < 1e-6, `${got} is not ${wanted}`));

test("from the front a stage of the captured size shows the captured view, plate included", () => {
  const view = stageView(compact, FRONT, 512, 480);
  const capture = captureView(camera);
  for (const key of ["fx", "fy", "cx", "cy"] as const) near([view[key]], [capture[key]]);
  near(view.worldToCamera, IDENTITY);
  const plate = plateBehind(camera, FRONT, view);
  near((plate as { toPlate: number[] }).toPlate, [1 / 512, 1 / 480, 0, 0]);
});

test("turning and zooming leave the head where it is", () => {
  const front = project(stageView(compact, FRONT, 800, 600), [...compact.headCentre]);
  const turned = stageView(compact, { ...FRONT, yaw: 30, pitch: -12, zoom: 2.5 }, 800, 600);
  near(project(turned, [...compact.headCentre]), front);
});

test("positive yaw looks from the subject's left, positive pitch from above", () => {
  // The subject faces the camera, so its left (x to its left) is the image's right. A camera that goes there sees what
  // is in front of the head move to the image's left, and going up sees it move down.
  const nose = [0.02, -0.01, 0.7];
  const front = project(stageView(compact, FRONT, 512, 480), nose);
  const [x] = project(stageView(compact, { ...FRONT, yaw: 10 }, 512, 480), nose);
  const [, y] = project(stageView(compact, { ...FRONT, pitch: 10 }, 512, 480), nose);
  assert.ok(x < front[0] - 5 && y > front[1] + 5, `${x} ${y} ${front}`);
});

test("following the head cancels its motion", () => {
  const moved = [0.03, -0.02, 0.05];
  const still = project(stageView(compact, FRONT, 512, 480), [...compact.headCentre]);
  const head = compact.headCentre.map((value, i) => value + moved[i]);
  near(project(stageView(compact, FRONT, 512, 480, moved), head), still);
});

test("limits hold softly", () => {
  const { yaw, pitch } = softLimits({ yaw: [-20, 25], pitch: [-1, 2] });
  assert.deepEqual([yaw, pitch], [[-20, 25], [-6, 6]]);
  assert.equal(rubberBand(10, yaw), 10);
  assert.ok(rubberBand(40, yaw) > 25 && rubberBand(40, yaw) < 40);
  assert.ok(rubberBand(4000, yaw) <= 25 + 14);
  assert.ok(rubberBand(-4000, yaw) >= -20 - 14);
});

test("a picture tells where it comes from", () => {
  const bytes = new TextEncoder().encode("iTXt and more");
  assert.equal(crc32(bytes), zlibCrc ? zlibCrc(bytes) : crc32(bytes));
  const png = withText(new Uint8Array(60).fill(7), "Comment", "made up");
  assert.equal(png.length, 60 + 12 + "Comment".length + 5 + "made up".length);
  assert.ok(new TextDecoder("latin1").decode(png).includes("iTXtComment\0\0\0\0\0made up"));
});
