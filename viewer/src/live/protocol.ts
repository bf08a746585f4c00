// What page and server say to each other; docs/protocol.md shows the conversation, splatalk/serve/messages.py its layout.
import type { Frame } from "../types";

export interface Controls {
  readonly expression: Readonly<Record<string, number>>;
  readonly emotion: Readonly<Record<string, number>>;
  readonly lip_scale: number;
  /** Yaw to the subject's left and pitch up, radians. */
  readonly gaze: readonly [number, number];
  readonly head: "natural" | "still";
}

export type ToServer =
  | ({ readonly type: "controls" } & Controls)
  | { readonly type: "say"; readonly text: string; readonly voice: string }
  | { readonly type: "sound"; readonly name: string; readonly bytes: number }
  | { readonly type: "mic"; readonly on: boolean; readonly listen?: boolean }
  | { readonly type: "clock"; readonly utterance: number; readonly time: number }
  | { readonly type: "stop" };

export interface Hello {
  readonly type: "hello";
  readonly name: string;
  readonly fingerprint: string;
  readonly fps: number;
  readonly coefficients: number;
  readonly expression: readonly string[];
  readonly emotions: readonly string[];
  readonly speech: boolean;
  readonly microphone: boolean;
  readonly lookahead_ms: number;
  readonly max_text: number;
  readonly max_sound_bytes: number;
  readonly max_sound_s: number;
}
export interface UtteranceBegins {
  readonly type: "utterance";
  readonly id: number;
  readonly seconds: number;
  readonly text: string;
}
export type Doing = "idle" | "preparing" | "speaking" | "listening" | "attending";
export type FromServer =
  | Hello
  | UtteranceBegins
  | { readonly type: "state"; readonly doing: Doing }
  | { readonly type: "delay"; readonly p50_ms: number; readonly p99_ms: number }
  | { readonly type: "error"; readonly message: string; readonly hint: string };

export const IDLE = 1, UTTERANCE = 2, MICROPHONE = 3, SOUND = 16;
const POSES = 14; // numbers of head and torso

export interface LiveFrame {
  readonly kind: typeof IDLE | typeof UTTERANCE | typeof MICROPHONE;
  readonly utterance: number;
  readonly frame: Frame;
}
export interface SoundOf {
  readonly kind: typeof SOUND;
  readonly utterance: number;
  readonly wav: ArrayBuffer;
}

/** A binary message. Null when it is none that this page knows. */
export function decodeBinary(data: ArrayBuffer, coefficients: number): LiveFrame | SoundOf | null {
  if (data.byteLength < 8) return null;
  const view = new DataView(data);
  const kind = view.getUint32(0, true), utterance = view.getUint32(4, true);
  if (kind === SOUND) return { kind, utterance, wav: data.slice(8) };
  if (kind !== IDLE && kind !== UTTERANCE && kind !== MICROPHONE) return null;
  if (data.byteLength !== 16 + 4 * (coefficients + POSES)) return null;
  const values = new Float32Array(data, 16);
  const frame = {
    coefficients: values.subarray(0, coefficients),
    head: values.subarray(coefficients, coefficients + 7),
    torso: values.subarray(coefficients + 7),
    time: view.getFloat64(8, true),
  };
  return { kind, utterance, frame };
}
