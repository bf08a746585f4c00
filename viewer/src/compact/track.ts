import { clamp } from "../math";
import type { Frame, FrameSource } from "../types";

/** Frames at a steady rate: frame i is on screen from i / fps on. */
export class Track implements FrameSource {
  readonly length: number;
  private readonly frames: Frame[] = [];

  /** coefficients (F, K), head and torso (F, 7), one after another. */
  constructor(
    readonly fps: number, private readonly coefficients: Float32Array, private readonly width: number,
    private readonly head: Float32Array, private readonly torso: Float32Array,
  ) {
    this.length = head.length / 7;
  }

  get duration(): number {
    return this.length / this.fps;
  }

  frame(i: number): Frame {
    return (this.frames[i] ??= {
      coefficients: this.coefficients.subarray(i * this.width, (i + 1) * this.width),
      head: this.head.subarray(i * 7, i * 7 + 7),
      torso: this.torso.subarray(i * 7, i * 7 + 7),
      time: i / this.fps,
    });
  }

  frameAt(time: number): Frame {
    // A hair is added because i / fps * fps may fall just short of i.
    return this.frame(clamp(Math.floor(time * this.fps + 1e-4), 0, this.length - 1));
  }
}
