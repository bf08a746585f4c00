// An utterance whose frames are still arriving, as something that the player can play.
import type { Frame, FrameSource } from "../types";

/** Frames by their place; any may arrive again, changed by a slider. */
export class Utterance implements FrameSource {
  private readonly frames: (Frame | undefined)[] = [];
  private count = 0;

  constructor(readonly id: number, readonly duration: number, private readonly fps: number) {}

  /** How many different frames are there. */
  get arrived(): number {
    return this.count;
  }

  get total(): number {
    return Math.round(this.duration * this.fps);
  }

  put(frame: Frame): void {
    const place = Math.round(frame.time * this.fps);
    if (place < 0 || place >= this.total) return;
    if (!this.frames[place]) this.count++;
    this.frames[place] = frame;
  }

  /** The latest that is not later and no more than half a second old. */
  frameAt(time: number): Frame | null {
    const place = Math.floor(time * this.fps + 1e-6);
    for (let i = place; i >= 0 && i > place - this.fps / 2; i--) {
      const frame = this.frames[i];
      if (frame) return frame;
    }
    return null;
  }
}
