// Sliders for everything about the face: a short main set, all ARKit curves behind "more", with a search.
import { h } from "../ui/dom";
import { section } from "../ui/panel";
import type { Controls, Hello } from "./protocol";
import { Slider, type Range } from "./slider";

/** Label of a main slider and the curves that it moves together. */
const MAIN: readonly (readonly [string, readonly string[]])[] = [
  ["Brows up", ["browInnerUp", "browOuterUpLeft", "browOuterUpRight"]],
  ["Brows down", ["browDownLeft", "browDownRight"]],
  ["Blink", ["eyeBlinkLeft", "eyeBlinkRight"]],
  ["Eyes wide", ["eyeWideLeft", "eyeWideRight"]],
  ["Squint", ["eyeSquintLeft", "eyeSquintRight"]],
  ["Smile", ["mouthSmileLeft", "mouthSmileRight"]],
  ["Frown", ["mouthFrownLeft", "mouthFrownRight"]],
  ["Jaw open", ["jawOpen"]],
  ["Pucker", ["mouthPucker"]],
];
const GROUPS: readonly (readonly [string, RegExp])[] = [
  ["Brows", /^brow/], ["Eyes", /^eye/], ["Jaw", /^jaw/], ["Mouth", /^mouth|^tongue/], ["Cheeks and nose", /^cheek|^nose/],
];
const SHARE: Range = { low: 0, high: 1, start: 0 };
const LIPS: Range = { low: 0, high: 2, start: 1 };
const GAZE: Range = { low: -0.45, high: 0.45, start: 0 }; // radians
const EVERY_MS = 50;

export class FacePanel {
  readonly element: HTMLElement;
  private readonly main = new Map<Slider, readonly string[]>();
  private readonly single = new Map<string, Slider>();
  private readonly emotions = new Map<string, Slider>();
  private readonly lips = this.slider("Lip movement", LIPS);
  private readonly yaw = this.slider("Look aside", GAZE);
  private readonly pitch = this.slider("Look up", GAZE);
  private readonly still: HTMLInputElement;
  private waiting = 0;

  /** `changed` is called at most every 50 ms. */
  constructor(hello: Hello, private readonly changed: (controls: Controls) => void) {
    const known = new Set(hello.expression);
    for (const [label, names] of MAIN) {
      if (names.every((name) => known.has(name))) this.main.set(this.slider(label, SHARE), names);
    }
    for (const name of hello.expression) this.single.set(name, this.slider(words(name), SHARE));
    for (const name of hello.emotions) this.emotions.set(name, this.slider(words(name), SHARE));
    this.still = h("input", { type: "checkbox", onchange: () => this.change() });
    this.element = section("Face",
      ...elements(this.main.keys()), this.yaw.element, this.pitch.element, this.lips.element,
      h("label", { class: "check" }, this.still, "Hold the head still"),
      h("details", {}, h("summary", {}, "Emotions"), ...elements(this.emotions.values())),
      h("details", {}, h("summary", {}, `All ${this.single.size} curves`), ...this.curves()),
      h("button", { type: "button", class: "text-button", onclick: () => this.reset() }, "All back to neutral"));
  }

  get controls(): Controls {
    const expression: Record<string, number> = {};
    const add = (name: string, value: number) => {
      if (value !== 0) expression[name] = Math.min(1, (expression[name] ?? 0) + value);
    };
    for (const [slider, names] of this.main) names.forEach((name) => add(name, slider.value));
    for (const [name, slider] of this.single) add(name, slider.value);
    const felt = [...this.emotions].filter(([, slider]) => slider.value !== 0);
    return {
      expression,
      emotion: Object.fromEntries(felt.map(([name, slider]) => [name, slider.value])),
      lip_scale: this.lips.value,
      gaze: [this.yaw.value, this.pitch.value],
      head: this.still.checked ? "still" : "natural",
    };
  }

  private reset(): void {
    const all = [...this.main.keys(), ...this.single.values(), ...this.emotions.values(), this.lips, this.yaw, this.pitch];
    all.forEach((slider) => slider.reset());
    this.still.checked = false;
    this.change();
  }

  private curves(): HTMLElement[] {
    const groups = GROUPS.map(([title, pattern]) => h("div", { class: "group" }, h("h3", {}, title),
      ...elements([...this.single].filter(([name]) => pattern.test(name)).map(([, slider]) => slider))));
    const search = h("input", {
      type: "search", placeholder: "Search, such as brow or smile", "aria-label": "Search the curves",
      oninput: () => this.filter(search.value, groups),
    });
    return [search, ...groups];
  }

  private filter(text: string, groups: readonly HTMLElement[]): void {
    const wanted = text.toLowerCase().split(/\s+/).filter(Boolean);
    for (const [name, slider] of this.single) {
      const label = `${name} ${slider.label}`.toLowerCase();
      slider.element.hidden = !wanted.every((word) => label.includes(word));
    }
    for (const group of groups) group.hidden = !group.querySelector(".slider:not([hidden])");
  }

  private slider(label: string, range: Range): Slider {
    return new Slider(label, range, () => this.change());
  }

  private change(): void {
    if (this.waiting) return;
    this.waiting = window.setTimeout(() => {
      this.waiting = 0;
      this.changed(this.controls);
    }, EVERY_MS);
  }
}

function elements(sliders: Iterable<Slider>): HTMLElement[] {
  return [...sliders].map((slider) => slider.element);
}

/** `browInnerUp` → `Brow inner up`. */
function words(name: string): string {
  const spaced = name.replace(/([A-Z])/g, (letter) => ` ${letter.toLowerCase()}`);
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}
