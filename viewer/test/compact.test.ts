import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { ATTRIBUTES, decode } from "../src/compact/decode";
import { PlayerError } from "../src/errors";
import { matrixPose, poseMatrix, translation } from "../src/math";
import { DepthSorter } from "../src/render/sort";

declare const ROOT: string;
const FOLDER = `${ROOT}/tests/export/compact_sample`;
const packed = new Uint8Array(readFileSync(`${FOLDER}/sample.compact`));
const plain = new Uint8Array(gunzipSync(packed));
const expected = JSON.parse(readFileSync(`${FOLDER}/sample.json`, "utf8"));

function close(got: ArrayLike<number>, wanted: number[], tolerance: number, what: string): void {
  assert.equal(got.length, wanted.length, what);
  for (let i = 0; i < wanted.length; i++)
    assert.ok(Math.abs(got[i] - wanted[i]) <= tolerance * (1 + Math.abs(wanted[i])), `${what}[${i}]: ${got[i]}, ${wanted[i]}`);
}

for (const [name, bytes] of [["packed", packed], ["plain", plain]] as const) {
  test(`reads what Python reads, ${name}`, async () => {
    const compact = await decode(bytes);
    assert.equal(compact.count, expected.n_gaussians);
    assert.equal(compact.dynamic, expected.n_dynamic);
    assert.equal(compact.fps, expected.fps);
    assert.deepEqual(compact.range, expected.range);
    assert.deepEqual(compact.provenance, expected.provenance);
    const canonical = {
      means: compact.means, quats: compact.quats, log_scales: compact.logScales,
      opacity_logits: compact.opacityLogits, color: compact.color, bone: compact.bone,
    };
    for (const [field, values] of Object.entries(canonical)) close(values, expected.canonical[field], 1e-6, field);
    for (const attribute of ATTRIBUTES) {
      const { rank, data, scale } = compact.bases[attribute];
      assert.equal(rank, expected.ranks[attribute]);
      const values = Array.from(data, (q, i) => q * scale[Math.floor((i * rank) / data.length)]);
      close(values, expected.bases[attribute], 1e-6, attribute);
    }
    assert.equal(compact.plate!.data.length, expected.plate.bytes);
    assert.deepEqual([...compact.sound!.data], expected.sound.data);
  });
}

test("the track is Python's, poses as matrices included", async () => {
  const { track, coefficients } = await decode(packed);
  assert.equal(track!.length, expected.n_frames);
  assert.equal(track!.duration, expected.n_frames / expected.fps);
  for (let i = 0; i < track!.length; i++) {
    const frame = track!.frame(i);
    assert.equal(frame.coefficients.length, coefficients);
    close(frame.coefficients, expected.coefficients.slice(i * coefficients, (i + 1) * coefficients), 1e-6, "coefficients");
    close(poseMatrix(frame.head), expected.head.slice(16 * i, 16 * i + 16), 1e-5, "head");
    close(poseMatrix(frame.torso), expected.torso.slice(16 * i, 16 * i + 16), 1e-5, "torso");
    assert.equal(track!.frameAt(i / expected.fps), frame, "a frame stands from its own time on");
    assert.equal(track!.frameAt((i + 0.9) / expected.fps), frame);
  }
  assert.equal(track!.frameAt(1e9), track!.frame(track!.length - 1));
});

test("means that are sorted by are Python's posed means", async () => {
  const compact = await decode(packed);
  const sorter = new DepthSorter(compact);
  const order = new Uint32Array(compact.count);
  for (const [index, posed] of Object.entries<{ means: number[] }>(expected.posed)) {
    const frame = compact.track!.frame(Number(index));
    sorter.pose(frame);
    const visible = sorter.sort(frame, translation(0, 0, 0), order);
    const depths = Array.from({ length: compact.count }, (_, i) => posed.means[3 * i + 2]);
    const wanted = depths.map((_, i) => i).filter((i) => depths[i] > 0.01).sort((a, b) => depths[b] - depths[a]);
    assert.equal(visible, wanted.length);
    const spread = Math.max(...depths) - Math.min(...depths);
    wanted.forEach((i, at) => assert.ok(Math.abs(depths[order[at]] - depths[i]) < spread / 30000, `place ${at}`));
  }
});

test("a matrix and its pose are the same, also for half turns", () => {
  for (const q of [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0.5, -0.5, 0.5, 0.5], [0.1, 0.2, -0.9, 0.3]]) {
    const m = poseMatrix(new Float32Array([...q, 1, 2, 3]));
    close(poseMatrix(matrixPose(m)), [...m], 1e-6, "pose");
  }
});

test("a damaged file is told in words, never anything else", async () => {
  const attempts: Uint8Array[] = [new Uint8Array(0), new Uint8Array(7), new TextEncoder().encode("<html>not found</html>")];
  for (let cut = 0; cut < plain.length; cut += Math.ceil(plain.length / 150)) attempts.push(plain.slice(0, cut));
  for (let cut = 2; cut < packed.length; cut += Math.ceil(packed.length / 40)) attempts.push(packed.slice(0, cut));
  let random = 12345;
  const next = (below: number): number => (random = (random * 1103515245 + 12345) % 2 ** 31) % below;
  const headerLength = 8 + Number(new DataView(plain.buffer, plain.byteOffset).getBigUint64(0, true));
  for (let i = 0; i < 400; i++) {
    const broken = plain.slice();
    for (let j = 0; j < 1 + next(3); j++) broken[next(i % 2 ? headerLength : broken.length)] = next(256);
    attempts.push(i % 4 ? broken : new Uint8Array(gzipSync(broken)));
  }
  let refused = 0;
  for (const bytes of attempts) {
    try {
      await decode(bytes as Uint8Array<ArrayBuffer>);
    } catch (error) {
      assert.ok(error instanceof PlayerError, `${error}`);
      assert.ok(error.message.length > 10 && error.hint.length > 10);
      refused++;
    }
  }
  assert.ok(refused > 300, `only ${refused} of ${attempts.length} were refused`);
});

test("a newer version is refused with a hint", async () => {
  const text = new TextDecoder("latin1").decode(plain);
  const newer = Uint8Array.from(text.replace('\\"version\\": 1', '\\"version\\": 9'), (c) => c.charCodeAt(0));
  await assert.rejects(decode(newer), (error: PlayerError) => /newer/.test(error.message));
});
