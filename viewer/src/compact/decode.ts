// From the bytes of a compact file to numbers. docs/formats.md holds the layout.
import { PlayerError } from "../errors";
import { matrixPose, type Mat4 } from "../math";
import type { Frame } from "../types";
import { Container, DAMAGED, unpacked } from "./safetensors";
import { Track } from "./track";

/** What moves, in the order of the coefficients. */
export const ATTRIBUTES = ["means", "rotation", "log_scales", "opacity", "color"] as const;
export type Attribute = (typeof ATTRIBUTES)[number];

const VERSION = 1;
const MAX_GAUSSIANS = 1 << 21;
const MAX_COEFFICIENTS = 256; // layers of an array texture that every WebGL2 has
const MAX_FRAMES = 1 << 21;

export interface CaptureCamera {
  readonly width: number;
  readonly height: number;
  readonly fx: number;
  readonly fy: number;
  readonly cx: number;
  readonly cy: number;
  readonly worldToCamera: Mat4;
}

/** One attribute's bases: change of value v of Gaussian g by a unit of coefficient k is scale[k] * data[(k * M + g) * width + v]. */
export interface Basis {
  readonly rank: number;
  readonly width: number;
  readonly data: Int8Array;
  readonly scale: Float32Array;
}

export interface Encoded {
  readonly data: Uint8Array<ArrayBuffer>;
  readonly mime: string;
}

/** An avatar of `count` Gaussians, the first `dynamic` of which move. Names and units as in docs/formats.md. */
export interface Compact {
  readonly fps: number;
  readonly count: number;
  readonly dynamic: number;
  readonly camera: CaptureCamera;
  readonly headCentre: readonly number[];
  readonly range: { readonly yaw: readonly [number, number]; readonly pitch: readonly [number, number] };
  readonly means: Float32Array;
  readonly quats: Float32Array;
  readonly logScales: Float32Array;
  readonly opacityLogits: Float32Array;
  readonly color: Float32Array;
  readonly bone: Float32Array;
  readonly bases: Readonly<Record<Attribute, Basis>>;
  /** Length of a frame's coefficients. */
  readonly coefficients: number;
  readonly rest: Frame;
  readonly track: Track | null;
  readonly sound: Encoded | null;
  readonly plate: Encoded | null;
  readonly provenance: Readonly<Record<string, string>>;
}

/** @throws PlayerError the file is damaged, truncated, newer than the player, or another kind of file. */
export async function decode(bytes: Uint8Array<ArrayBuffer>): Promise<Compact> {
  const container = new Container(await unpacked(bytes));
  const meta = container.metadata("splatalk_compact");
  if (typeof meta.version !== "number") throw damaged("version");
  if (meta.version > VERSION)
    throw new PlayerError("The avatar's file is newer than this player.", "Export it again, or update splatalk.");
  const count = whole(meta, "n_gaussians", 1, MAX_GAUSSIANS);
  const dynamic = whole(meta, "n_dynamic", 0, count);
  const frames = whole(meta, "n_frames", 0, MAX_FRAMES);
  const fps = finite(meta, "fps");
  if (!(fps > 0)) throw damaged("fps");
  const tensors = new Tensors(container, meta);
  const bases = readBases(container, tensors, meta, dynamic);
  const coefficients = ATTRIBUTES.reduce((sum, name) => sum + bases[name].rank, 0);
  if (coefficients > MAX_COEFFICIENTS) throw damaged("ranks");
  const rest: Frame = {
    coefficients: new Float32Array(coefficients),
    head: matrixPose(numbers(meta.rest_head, "rest_head", 16)),
    torso: matrixPose(numbers(meta.rest_torso, "rest_torso", 16)),
    time: 0,
  };
  return {
    fps, count, dynamic, bases, coefficients, rest,
    camera: readCamera(object(meta.camera, "camera")),
    headCentre: numbers(meta.head_centre, "head_centre", 3),
    range: readRange(object(meta.range, "range")),
    means: tensors.linear("means", "U16", [count, 3]),
    quats: normalised(container.tensor("quats", "I8", [count, 4]).data),
    logScales: tensors.linear("log_scales", "U8", [count, 3]),
    opacityLogits: tensors.linear("opacity_logits", "U8", [count]),
    color: tensors.linear("color", "U16", [count, 3]),
    bone: Float32Array.from(container.tensor("bone", "U8", [count]).data, (v) => v / 255),
    track: frames > 0 ? readTrack(container, tensors, fps, frames, coefficients) : null,
    sound: readBlob(container, meta, "sound"),
    plate: readBlob(container, meta, "plate"),
    provenance: strings(meta.provenance),
  };
}

/** Tensors of integers and how to make numbers of them. */
class Tensors {
  private readonly quantised: Record<string, unknown>;

  constructor(private readonly container: Container, meta: Record<string, unknown>) {
    this.quantised = object(meta.quantised, "quantised");
  }

  /** Integers that run linearly from low to high, each a number for all columns or one a column. */
  linear(name: string, dtype: "U8" | "U16", shape: readonly number[]): Float32Array {
    const { data } = this.container.tensor(name, dtype, shape);
    const range = object(this.quantised[name], name);
    const columns = shape.length > 1 ? shape[1] : 1;
    const low = perColumn(range.low, name, columns), high = perColumn(range.high, name, columns);
    const top = dtype === "U8" ? 255 : 65535;
    const out = new Float32Array(data.length);
    for (let i = 0; i < out.length; i++) {
      const column = i % columns;
      out[i] = low[column] + (data[i] / top) * (high[column] - low[column]);
    }
    return out;
  }

  scale(name: string, count: number): Float32Array {
    const found = object(this.quantised[name], name).scale;
    return Float32Array.from(numbers(found, name, count));
  }
}

function readBases(
  container: Container, tensors: Tensors, meta: Record<string, unknown>, dynamic: number,
): Record<Attribute, Basis> {
  const ranks = object(meta.ranks, "ranks");
  const read = (name: Attribute): Basis => {
    const rank = whole(ranks, name, 0, MAX_COEFFICIENTS);
    const width = name === "opacity" ? 1 : 3;
    if (rank === 0) return { rank, width, data: new Int8Array(0), scale: new Float32Array(0) };
    const shape = name === "opacity" ? [rank, dynamic] : [rank, dynamic, 3];
    const { data } = container.tensor(`basis.${name}`, "I8", shape);
    return { rank, width, data, scale: tensors.scale(`basis.${name}`, rank) };
  };
  return Object.fromEntries(ATTRIBUTES.map((name) => [name, read(name)])) as Record<Attribute, Basis>;
}

function readTrack(container: Container, tensors: Tensors, fps: number, frames: number, coefficients: number): Track {
  const packed = container.tensor("track.coefficients", "I16", [frames, coefficients]).data;
  const scale = tensors.scale("track.coefficients", coefficients);
  const head = container.tensor("track.head", "F32", [frames, 7]).data;
  const torso = container.tensor("track.torso", "F32", [frames, 7]).data;
  if (!head.every(Number.isFinite) || !torso.every(Number.isFinite)) throw damaged("track");
  return new Track(fps, Float32Array.from(packed, (v, i) => v * scale[i % coefficients]), coefficients, head, torso);
}

function readCamera(camera: Record<string, unknown>): CaptureCamera {
  return {
    width: whole(camera, "width", 1, 1 << 14),
    height: whole(camera, "height", 1, 1 << 14),
    fx: finite(camera, "fx"),
    fy: finite(camera, "fy"),
    cx: finite(camera, "cx"),
    cy: finite(camera, "cy"),
    worldToCamera: numbers(camera.world_to_camera, "camera", 16),
  };
}

function readRange(range: Record<string, unknown>): Compact["range"] {
  const [yawLow, yawHigh] = numbers(range.yaw, "range", 2), [pitchLow, pitchHigh] = numbers(range.pitch, "range", 2);
  return { yaw: [yawLow, yawHigh], pitch: [pitchLow, pitchHigh] };
}

function readBlob(container: Container, meta: Record<string, unknown>, name: "sound" | "plate"): Encoded | null {
  const about = meta[name];
  if (about === null || about === undefined || !container.has(name)) return null;
  const mime = object(about, name).mime;
  if (typeof mime !== "string") throw damaged(name);
  return { data: container.tensor(name, "U8", [-1]).data as Uint8Array<ArrayBuffer>, mime };
}

function normalised(quats: Int8Array): Float32Array {
  const out = new Float32Array(quats.length);
  for (let i = 0; i < quats.length; i += 4) {
    const norm = Math.hypot(quats[i], quats[i + 1], quats[i + 2], quats[i + 3]) || 1;
    for (let j = i; j < i + 4; j++) out[j] = quats[j] / norm;
  }
  return out;
}

function damaged(what: string): PlayerError {
  return new PlayerError(`The avatar's file is damaged: ${what} is not as it should be.`, DAMAGED);
}

function object(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null) throw damaged(what);
  return value as Record<string, unknown>;
}

function finite(from: Record<string, unknown>, key: string): number {
  const value = from[key];
  if (typeof value !== "number" || !Number.isFinite(value)) throw damaged(key);
  return value;
}

function whole(from: Record<string, unknown>, key: string, low: number, high: number): number {
  const value = finite(from, key);
  if (!Number.isInteger(value) || value < low || value > high) throw damaged(key);
  return value;
}

/** `count` finite numbers, however they are nested. */
function numbers(value: unknown, what: string, count: number): number[] {
  const flat: unknown[] = Array.isArray(value) ? value.flat(3) : [value];
  if (flat.length !== count || !flat.every((v) => typeof v === "number" && Number.isFinite(v))) throw damaged(what);
  return flat as number[];
}

function perColumn(value: unknown, what: string, columns: number): number[] {
  const single = !Array.isArray(value) || value.length === 1;
  return single ? new Array<number>(columns).fill(numbers(value, what, 1)[0]) : numbers(value, what, columns);
}

function strings(value: unknown): Record<string, string> {
  if (typeof value !== "object" || value === null) return {};
  return Object.fromEntries(Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === "string"));
}
