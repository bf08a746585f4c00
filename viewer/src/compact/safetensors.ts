// The container of compact files: u64 header length, JSON header, raw little-endian data. Everything a stranger's file
// says about sizes is checked against the bytes that are there before anything is allocated.
import { PlayerError } from "../errors";

const DTYPES = { U8: Uint8Array, I8: Int8Array, U16: Uint16Array, I16: Int16Array, F32: Float32Array } as const;
type Dtype = keyof typeof DTYPES;
export type TensorOf<D extends Dtype> = { shape: readonly number[]; data: InstanceType<(typeof DTYPES)[D]> };

const MAX_HEADER = 8 << 20;
const MAX_UNPACKED = 512 << 20;

export const DAMAGED = "Download or export the file again; it did not arrive whole.";

export class Container {
  private readonly header: Record<string, unknown>;
  private readonly data: Uint8Array;

  /** @throws PlayerError the bytes are no container, or a damaged one. */
  constructor(bytes: Uint8Array) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const length = bytes.byteLength < 8 ? -1 : Number(view.getBigUint64(0, true));
    if (length < 2 || length > MAX_HEADER) throw new PlayerError("This is not a compact avatar.", DAMAGED);
    if (8 + length > bytes.byteLength) throw new PlayerError("The avatar's file ends too early.", DAMAGED);
    this.header = parseObject(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
    this.data = bytes.subarray(8 + length);
  }

  /** The JSON that stands as text under a key of the header's metadata. */
  metadata(key: string): Record<string, unknown> {
    const text = (this.header.__metadata__ as Record<string, unknown> | undefined)?.[key];
    if (typeof text !== "string") throw new PlayerError("This is not a compact avatar.", DAMAGED);
    return parseObject(text);
  }

  has(name: string): boolean {
    return Object.hasOwn(this.header, name);
  }

  /** The tensor `name`, which must have this type and shape (-1: any size). Copied, so that it is aligned. */
  tensor<D extends Dtype>(name: string, dtype: D, shape: readonly number[]): TensorOf<D> {
    const entry = this.has(name) ? (this.header[name] as { dtype?: unknown; shape?: unknown; data_offsets?: unknown }) : null;
    const damaged = (): PlayerError => new PlayerError(`The avatar's file is damaged: ${name} is not as it should be.`, DAMAGED);
    if (entry?.dtype !== dtype || !isSizes(entry.shape) || !isSizes(entry.data_offsets)) throw damaged();
    const got = entry.shape;
    if (got.length !== shape.length || shape.some((size, i) => size >= 0 && size !== got[i])) throw damaged();
    const [start, end] = entry.data_offsets;
    const type = DTYPES[dtype];
    const count = got.reduce((a, b) => a * b, 1);
    if (end > this.data.byteLength) throw new PlayerError("The avatar's file ends too early.", DAMAGED);
    if (!(start <= end && end - start === count * type.BYTES_PER_ELEMENT)) throw damaged();
    return { shape: got, data: new type(this.data.slice(start, end).buffer) as InstanceType<(typeof DTYPES)[D]> };
  }
}

function parseObject(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new PlayerError("The avatar's file is damaged: its header cannot be read.", DAMAGED);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new PlayerError("The avatar's file is damaged: its header cannot be read.", DAMAGED);
  return value as Record<string, unknown>;
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((v) => Number.isSafeInteger(v) && v >= 0);
}

/** The bytes themselves, or what is inside when they are gzip. */
export async function unpacked(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")).getReader();
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let total = 0;
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      total += next.value.byteLength;
      if (total > MAX_UNPACKED) break;
      chunks.push(next.value);
    }
  } catch {
    throw new PlayerError("The avatar's file is damaged: it cannot be unpacked.", DAMAGED);
  }
  if (total > MAX_UNPACKED) {
    void reader.cancel();
    throw new PlayerError("The avatar's file is too large for a browser.", "Export it again with fewer bases.");
  }
  const out = new Uint8Array(total);
  let at = 0;
  for (const chunk of chunks) {
    out.set(chunk, at);
    at += chunk.byteLength;
  }
  return out;
}
