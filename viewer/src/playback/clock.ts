// Time on the clock of a track. With sound the AudioContext is the clock, so the picture follows what is heard; without,
// or where sound cannot run, the wall clock is.
/** Seconds an AudioContext may take to start running before the wall clock takes over. */
const PATIENCE = 1.5;

export class Clock {
  private source: AudioBufferSourceNode | null = null;
  private startedAt = 0; // of the running clock, seconds
  private offset = 0; // track time at that moment
  private running = false;
  private byAudio = false;
  private pending = 0; // counts starts, so that a late resume of an old one does nothing
  private sound: AudioBuffer | null = null;
  private speedNow = 1;
  private muted_ = false;
  private gain: GainNode | null = null;

  constructor(private readonly context: () => AudioContext) {}

  get playing(): boolean {
    return this.running;
  }

  get speed(): number {
    return this.speedNow;
  }

  set speed(value: number) {
    const again = this.running;
    const at = this.time;
    this.stop();
    this.speedNow = value;
    this.offset = at;
    if (again) this.begin(this.soundAhead && this.context().state === "running");
  }

  get muted(): boolean {
    return this.muted_;
  }

  set muted(value: boolean) {
    this.muted_ = value;
    if (this.gain) this.gain.gain.value = value ? 0 : 1;
  }

  /** Seconds into the track of what is heard (seen) now. */
  get time(): number {
    if (!this.running) return this.offset;
    return Math.max(this.offset, this.offset + (this.now() - this.startedAt) * this.speedNow);
  }

  /** Where sound goes besides the loudspeaker (a recorder). */
  connectTo(node: AudioNode): () => void {
    const output = this.output();
    output.connect(node);
    return () => output.disconnect(node);
  }

  load(sound: AudioBuffer | null): void {
    this.stop();
    this.sound = sound;
    this.offset = 0;
  }

  seek(time: number): void {
    const again = this.running;
    this.stop();
    this.offset = Math.max(0, time);
    if (again) this.begin(this.soundAhead && this.context().state === "running");
  }

  /** Run from where it stands. Resolves when it does, which takes a moment when the sound device has to wake up. */
  async start(): Promise<void> {
    if (this.running) return;
    const attempt = ++this.pending;
    const heard = this.soundAhead && (await this.audioRuns());
    if (attempt === this.pending) this.begin(heard);
  }

  stop(): void {
    this.pending++;
    if (!this.running) return;
    this.offset = this.time;
    this.running = false;
    this.source?.stop();
    this.source?.disconnect();
    this.source = null;
  }

  private get soundAhead(): boolean {
    return this.sound !== null && this.offset < this.sound.duration;
  }

  private begin(byAudio: boolean): void {
    this.byAudio = byAudio;
    this.running = true;
    this.startedAt = byAudio ? this.context().currentTime : this.now();
    if (!byAudio) return;
    const source = this.context().createBufferSource();
    source.buffer = this.sound;
    source.playbackRate.value = this.speedNow;
    source.connect(this.output());
    source.start(0, this.offset);
    this.source = source;
  }

  /** Seconds on the running clock of what is heard now; what starts now is heard a latency later. */
  private now(): number {
    if (!this.byAudio) return performance.now() / 1000;
    const context = this.context();
    return context.currentTime - (context.outputLatency || context.baseLatency || 0);
  }

  private output(): GainNode {
    if (!this.gain) {
      const context = this.context();
      this.gain = context.createGain();
      this.gain.gain.value = this.muted_ ? 0 : 1;
      this.gain.connect(context.destination);
    }
    return this.gain;
  }

  /** False where there is no sound device, or the browser waits for a click. */
  private async audioRuns(): Promise<boolean> {
    try {
      const context = this.context();
      const late = new Promise<void>((resolve) => setTimeout(resolve, 1000 * PATIENCE));
      if (context.state !== "running") await Promise.race([context.resume(), late]);
      return context.state === "running";
    } catch {
      return false;
    }
  }
}
