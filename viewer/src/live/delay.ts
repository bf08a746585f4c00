// How long after a sound its frame is on screen, measured on this page's clock.

const WINDOW_MS = 10_000;
const SAMPLE_RATE = 16_000;

export class DelayMeter {
  private sent = 0;
  /** When the sound up to a sample had been captured. */
  private readonly marks: { samples: number; at: number }[] = [];
  private readonly measured: { at: number; delay: number }[] = [];

  restart(): void {
    this.sent = 0;
    this.marks.length = 0;
    this.measured.length = 0;
  }

  /** `samples` more were captured, the last of them now. */
  captured(samples: number): void {
    this.sent += samples;
    this.marks.push({ samples: this.sent, at: performance.now() });
    if (this.marks.length > 1000) this.marks.splice(0, 500);
  }

  /** The frame of `time` seconds of this sound is on screen now. */
  shown(time: number): void {
    const wanted = time * SAMPLE_RATE;
    const mark = this.marks.find((m) => m.samples >= wanted);
    if (!mark) return;
    const now = performance.now();
    this.measured.push({ at: now, delay: now - (mark.at - (1000 * (mark.samples - wanted)) / SAMPLE_RATE) });
    while (now - this.measured[0]!.at > WINDOW_MS) this.measured.shift();
  }

  /** Milliseconds; null before the first frame. */
  percentile(share: number): number | null {
    const sorted = this.measured.map((m) => m.delay).sort((a, b) => a - b);
    return sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]! : null;
  }
}
