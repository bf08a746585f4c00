// Turns gestures and keys into an Orbit: drag or arrows turn, right drag or two fingers shift, wheel or pinch magnify.
import { clamp } from "./math";
import { FRONT, rubberBand, type Orbit } from "./stage_camera";

const DEGREES_PER_HEIGHT = 120; // of a drag across the stage's height
const KEY_STEP = 3; // degrees
const ZOOM = [0.6, 8] as const;
const SETTLE_MS = 260;

export interface Limits {
  readonly yaw: readonly [number, number];
  readonly pitch: readonly [number, number];
}

export class OrbitControl {
  readonly orbit: Orbit = { ...FRONT };
  /** Where the hand has dragged to; the orbit shows it held back by the limits. */
  private raw = { yaw: 0, pitch: 0 };
  private readonly pointers = new Map<number, { x: number; y: number }>();
  private settling = 0;
  private unlimited = false;

  constructor(
    private readonly element: HTMLElement, private readonly limits: Limits, private readonly changed: () => void,
    private readonly reducedMotion: () => boolean,
  ) {
    element.addEventListener("pointerdown", (e) => this.down(e));
    element.addEventListener("pointermove", (e) => this.move(e));
    for (const kind of ["pointerup", "pointercancel", "lostpointercapture"] as const)
      element.addEventListener(kind, (e) => this.up(e));
    element.addEventListener("wheel", (e) => this.wheel(e), { passive: false });
    element.addEventListener("dblclick", () => this.reset());
    element.addEventListener("contextmenu", (e) => e.preventDefault());
    element.addEventListener("keydown", (e) => this.key(e));
  }

  /** Without limits the camera goes all the way round. */
  get free(): boolean {
    return this.unlimited;
  }

  set free(value: boolean) {
    this.halt();
    this.unlimited = value;
    this.raw = { yaw: this.orbit.yaw, pitch: this.orbit.pitch };
    if (!value) this.settle();
    this.changed();
  }

  reset(): void {
    this.raw = { yaw: 0, pitch: 0 };
    this.glide({ ...FRONT });
  }

  /** Degrees. */
  turnTo(yaw: number, pitch: number): void {
    this.raw = { yaw, pitch };
    this.show();
    this.settle();
  }

  private down(event: PointerEvent): void {
    if (event.target !== this.element && !(event.target instanceof HTMLCanvasElement)) return;
    this.halt();
    this.raw = { yaw: this.orbit.yaw, pitch: this.orbit.pitch };
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    this.element.setPointerCapture(event.pointerId);
    this.element.focus({ preventScroll: true });
  }

  private move(event: PointerEvent): void {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const height = this.element.clientHeight || 1;
    const dx = (event.clientX - before.x) / height, dy = (event.clientY - before.y) / height;
    if (this.pointers.size === 1) {
      const shifts = (event.buttons & 6) !== 0 || event.shiftKey;
      if (shifts) this.pan(dx, dy);
      else this.turn(-dx * DEGREES_PER_HEIGHT, dy * DEGREES_PER_HEIGHT);
    } else if (this.pointers.size === 2) {
      const other = [...this.pointers].find(([id]) => id !== event.pointerId)![1];
      const was = Math.hypot(before.x - other.x, before.y - other.y);
      const is = Math.hypot(event.clientX - other.x, event.clientY - other.y);
      if (was > 0) this.zoom(is / was);
      this.pan(dx / 2, dy / 2);
    }
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  }

  private up(event: PointerEvent): void {
    if (this.pointers.delete(event.pointerId) && this.pointers.size === 0) this.settle();
  }

  private wheel(event: WheelEvent): void {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    this.zoom(Math.exp(-clamp(event.deltaY * lines, -200, 200) / 500));
  }

  private key(event: KeyboardEvent): void {
    if (event.target !== this.element || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = event.shiftKey ? 3 * KEY_STEP : KEY_STEP;
    const actions: Record<string, () => void> = {
      ArrowLeft: () => this.keyTurn(-step, 0),
      ArrowRight: () => this.keyTurn(step, 0),
      ArrowUp: () => this.keyTurn(0, step),
      ArrowDown: () => this.keyTurn(0, -step),
      "+": () => this.zoom(1.15),
      "=": () => this.zoom(1.15),
      "-": () => this.zoom(1 / 1.15),
      "0": () => this.reset(),
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }

  private keyTurn(yaw: number, pitch: number): void {
    this.raw = { yaw: this.orbit.yaw, pitch: this.orbit.pitch };
    this.turn(yaw, pitch);
    this.settle();
  }

  private turn(yaw: number, pitch: number): void {
    this.raw.yaw += yaw;
    this.raw.pitch += pitch;
    this.show();
  }

  private show(): void {
    this.halt();
    if (this.unlimited) {
      this.orbit.yaw = ((((this.raw.yaw + 180) % 360) + 360) % 360) - 180;
      this.orbit.pitch = clamp(this.raw.pitch, -80, 80);
    } else {
      this.orbit.yaw = rubberBand(this.raw.yaw, this.limits.yaw);
      this.orbit.pitch = rubberBand(this.raw.pitch, this.limits.pitch);
    }
    this.changed();
  }

  private pan(dx: number, dy: number): void {
    this.halt();
    this.orbit.panX = clamp(this.orbit.panX + dx, -1.5, 1.5);
    this.orbit.panY = clamp(this.orbit.panY + dy, -1.5, 1.5);
    this.changed();
  }

  private zoom(factor: number): void {
    this.halt();
    this.orbit.zoom = clamp(this.orbit.zoom * factor, ZOOM[0], ZOOM[1]);
    this.changed();
    if (this.pointers.size === 0) this.settle();
  }

  /** The rubber band pulls back what went beyond the limits. */
  private settle(): void {
    if (this.unlimited) return;
    const { yaw, pitch } = this.limits;
    this.raw = { yaw: clamp(this.orbit.yaw, yaw[0], yaw[1]), pitch: clamp(this.orbit.pitch, pitch[0], pitch[1]) };
    if (this.raw.yaw !== this.orbit.yaw || this.raw.pitch !== this.orbit.pitch) this.glide(this.raw);
  }

  /** Whatever a hand does ends the glide under way, which would otherwise take the view back from it. */
  private halt(): void {
    cancelAnimationFrame(this.settling);
  }

  private glide(to: Partial<Orbit>): void {
    this.halt();
    const from = { ...this.orbit };
    const start = performance.now();
    const step = (now: number): void => {
      const t = this.reducedMotion() ? 1 : clamp((now - start) / SETTLE_MS, 0, 1);
      const eased = 1 - (1 - t) ** 3;
      for (const key of Object.keys(to) as (keyof Orbit)[]) this.orbit[key] = from[key] + (to[key]! - from[key]) * eased;
      this.changed();
      if (t < 1) this.settling = requestAnimationFrame(step);
    };
    step(start);
  }
}
