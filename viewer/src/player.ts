// Ties the parts together: what is shown (a frame, a track, the avatar at rest), from where, over what, and when.
import type { Compact } from "./compact/decode";
import { clamp } from "./math";
import { OrbitControl } from "./orbit_control";
import { Clock } from "./playback/clock";
import { Meter } from "./playback/meter";
import { Renderer, type Background, type View } from "./render/renderer";
import { headMoved, plateBehind, softLimits, stageView } from "./stage_camera";
import type { Frame, FrameSource, Player, PlayerEvent } from "./types";

export type BackgroundChoice = "plate" | "color" | "transparent";

/** What a person can choose. Change it through `AvatarPlayer.choose`. */
export interface Choices {
  background: BackgroundChoice;
  /** 0..1 sRGB, behind the person when `background` is "color". */
  color: readonly [number, number, number];
  followHead: boolean;
  loop: boolean;
}

const MAX_PIXEL_RATIO = 2;
const MAX_PIXELS = 2_600_000;
const RESTORE_PATIENCE_MS = 6000;

export interface Places {
  readonly stage: HTMLElement;
  readonly canvas: HTMLCanvasElement;
  readonly panel: HTMLElement;
  readonly notice: (text: string, hint: string) => void;
  readonly stats: (key: string, value: string) => void;
}

export class AvatarPlayer implements Player {
  readonly stage: HTMLElement;
  readonly panel: HTMLElement;
  readonly clock: Clock;
  readonly control: OrbitControl;
  readonly choices: Choices;
  private readonly renderer: Renderer;
  private readonly meter: Meter;
  private readonly listeners = new Map<PlayerEvent | "view" | "draw", Set<() => void>>();
  private context: AudioContext | null = null;
  private source: FrameSource | null = null;
  private shown: Frame;
  private scheduled = 0;
  private dirty = true;
  private quality = 1;

  /** @throws PlayerError the avatar cannot be drawn here. */
  constructor(private readonly places: Places, readonly compact: Compact, plate: ImageBitmap | null) {
    this.stage = places.stage;
    this.panel = places.panel;
    this.shown = compact.rest;
    this.choices = { background: plate ? "plate" : "color", color: [0.85, 0.86, 0.87], followHead: false, loop: false };
    this.renderer = new Renderer(places.canvas, compact, plate);
    this.clock = new Clock(() => this.audio);
    this.meter = new Meter((key, value) => this.stats(key, value), () => this.lowerQuality());
    const reduced = window.matchMedia("(prefers-reduced-motion: reduce)");
    this.control = new OrbitControl(places.stage, softLimits(compact.range), () => this.viewChanged(), () => reduced.matches);
    new ResizeObserver(() => this.invalidate()).observe(places.stage);
    this.surviveLostContext(places.canvas);
    this.stats("Gaussians", compact.count.toLocaleString("en"));
    this.invalidate();
  }

  get coefficients(): number {
    return this.compact.coefficients;
  }

  get rest(): Frame {
    return this.compact.rest;
  }

  get audio(): AudioContext {
    return (this.context ??= new AudioContext({ latencyHint: "interactive" }));
  }

  get time(): number {
    return this.clock.time;
  }

  get duration(): number {
    return this.source?.duration ?? 0;
  }

  get playing(): boolean {
    return this.clock.playing;
  }

  /** The frame on screen. */
  get frame(): Frame {
    return this.shown;
  }

  show(frame: Frame): void {
    if (this.playing) this.pause();
    this.shown = frame;
    this.invalidate();
  }

  setTrack(source: FrameSource | null, sound: AudioBuffer | null): void {
    const was = this.playing;
    this.clock.load(sound);
    this.source = source;
    if (was) this.emit("pause");
    this.shown = source?.frameAt(0) ?? this.rest;
    this.emit("track");
    this.invalidate();
  }

  async play(): Promise<void> {
    if (!this.source || this.playing) return;
    if (this.time >= this.duration) this.clock.seek(0);
    await this.clock.start();
    this.meter.restart();
    this.emit("play");
    this.invalidate();
  }

  pause(): void {
    this.clock.stop();
    this.emit("pause");
  }

  seek(time: number): void {
    this.clock.seek(clamp(time, 0, this.duration));
    this.shown = this.source?.frameAt(this.time) ?? this.shown;
    this.emit("view");
    this.invalidate();
  }

  on(kind: PlayerEvent | "view" | "draw", listener: () => void): () => void {
    const set = this.listeners.get(kind) ?? new Set();
    this.listeners.set(kind, set.add(listener));
    return () => set.delete(listener);
  }

  notice(text: string, hint = ""): void {
    this.places.notice(text, hint);
  }

  stats(key: string, value: string): void {
    this.places.stats(key, value);
  }

  choose(changed: Partial<Choices>): void {
    Object.assign(this.choices, changed);
    this.viewChanged();
  }

  /** What the stage shows, as pixels (RGBA, alpha not multiplied in). Null while the graphics are lost. */
  picture(): ImageData | null {
    const view = this.view();
    return this.renderer.pixels(this.shown, view, this.background(view));
  }

  /** Any frame from any view over any background, as pixels. */
  pixels(frame: Frame, view: View, background: Background): ImageData | null {
    return this.renderer.pixels(frame, view, background);
  }

  /** Draw soon. */
  invalidate(): void {
    this.dirty = true;
    this.schedule();
  }

  private viewChanged(): void {
    this.emit("view");
    this.invalidate();
  }

  private schedule(): void {
    if (!this.scheduled) this.scheduled = requestAnimationFrame(() => this.tick());
  }

  private tick(): void {
    this.scheduled = 0;
    if (this.playing && this.source) this.follow(this.source);
    if (this.dirty) {
      this.dirty = false;
      this.draw();
    }
    if (this.playing) this.schedule();
  }

  /** Show the frame that belongs to the time of the sound. */
  private follow(source: FrameSource): void {
    if (this.time >= source.duration) {
      if (this.choices.loop) {
        this.clock.seek(0);
      } else {
        this.clock.stop();
        this.clock.seek(source.duration);
        this.emit("ended");
      }
    }
    const frame = source.frameAt(this.time);
    if (!frame || frame === this.shown) return;
    this.shown = frame;
    this.dirty = true;
  }

  private draw(): void {
    const view = this.view();
    this.renderer.draw(this.shown, view, this.background(view));
    this.meter.drawn(this.playing ? this.time - this.shown.time : null);
    this.emit("draw");
  }

  private view(): View {
    const { clientWidth, clientHeight } = this.stage;
    const ratio = Math.min(window.devicePixelRatio || 1, MAX_PIXEL_RATIO) * this.quality;
    const limited = Math.min(ratio, Math.sqrt(MAX_PIXELS / Math.max(1, clientWidth * clientHeight)));
    const width = Math.max(1, Math.round(clientWidth * limited)), height = Math.max(1, Math.round(clientHeight * limited));
    const moved = this.choices.followHead ? headMoved(this.compact, this.shown) : undefined;
    return stageView(this.compact, this.control.orbit, width, height, moved);
  }

  private background(view: View): Background {
    const { background, color } = this.choices;
    if (background === "plate") return plateBehind(this.compact.camera, this.control.orbit, view);
    return { kind: "color", color: background === "color" ? color : null };
  }

  /** Fewer pixels on a machine that cannot keep up. */
  private lowerQuality(): void {
    this.quality = Math.max(0.5, this.quality * 0.8);
    this.invalidate();
  }

  private surviveLostContext(canvas: HTMLCanvasElement): void {
    let late = 0;
    canvas.addEventListener("webglcontextlost", (event) => {
      event.preventDefault(); // or it never comes back
      this.notice("The graphics were interrupted.", "The picture comes back by itself in a moment.");
      late = window.setTimeout(() =>
        this.notice("The graphics have not come back.", "Reload the page; close other pages that use graphics if it stays so."),
      RESTORE_PATIENCE_MS);
    });
    canvas.addEventListener("webglcontextrestored", () => {
      window.clearTimeout(late);
      this.renderer.restore();
      this.notice("");
      this.invalidate();
    });
  }

  private emit(kind: PlayerEvent | "view" | "draw"): void {
    this.listeners.get(kind)?.forEach((listener) => listener());
  }
}
