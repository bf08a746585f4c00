// Counts frames while a track plays: how many a second, how late, and whether the machine keeps up.

const WINDOW_MS = 1000;
const SLOW = 18; // frames a second
const PATIENCE = 3; // slow seconds in a row

export class Meter {
  private count = 0;
  private late = 0;
  private since = 0;
  private slow = 0;

  constructor(private readonly report: (key: string, value: string) => void, private readonly tooSlow: () => void) {}

  restart(): void {
    this.count = this.late = this.slow = 0;
    this.since = performance.now();
  }

  /** A frame was drawn, `age` seconds after its time; null when no track plays. */
  drawn(age: number | null): void {
    if (age === null) return;
    this.count++;
    this.late += age;
    const passed = performance.now() - this.since;
    if (passed < WINDOW_MS) return;
    const rate = (1000 * this.count) / passed;
    this.report("Frames a second", rate.toFixed(0));
    this.report("Picture after sound", `${((1000 * this.late) / this.count).toFixed(0)} ms`);
    this.slow = rate < SLOW ? this.slow + 1 : 0;
    if (this.slow === PATIENCE) {
      this.slow = 0;
      this.tooSlow();
    }
    this.count = this.late = 0;
    this.since = performance.now();
  }
}
