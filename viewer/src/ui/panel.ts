// The drawer at the side (a sheet from below on a phone): view, statistics, about. Other panels append sections.
import type { BackgroundChoice, AvatarPlayer } from "../player";
import { h, iconButton } from "./dom";

const LABELS: Record<string, string> = {
  synthetic: "What it is", consent: "Consent", recording: "Recording", enrolled: "Made", generator: "Made with",
};

/** An empty drawer; `open` is told when it opens or closes. */
export class Drawer {
  readonly element: HTMLElement;
  readonly content = h("div", { class: "drawer-content" });
  private readonly onchange: (open: boolean) => void;

  constructor(onchange: (open: boolean) => void) {
    this.onchange = onchange;
    const close = iconButton("close", "Close the panel", () => this.toggle(false), "drawer-close");
    this.element = h("aside", { class: "drawer", "aria-label": "Settings and information", hidden: true }, close, this.content);
    this.element.addEventListener("keydown", (event) => { if (event.key === "Escape") this.toggle(false); });
  }

  get open(): boolean {
    return !this.element.hidden;
  }

  toggle(open = !this.open): void {
    this.element.hidden = !open;
    this.onchange(open);
    if (open) this.element.querySelector<HTMLElement>(".drawer-close")?.focus({ preventScroll: true });
  }
}

export class Statistics {
  readonly section = section("Statistics");
  private readonly list = h("dl", {});
  private readonly values = new Map<string, HTMLElement>();

  constructor() {
    this.section.append(this.list);
  }

  set(key: string, value: string): void {
    let shown = this.values.get(key);
    if (!shown && value) {
      shown = h("dd", {});
      this.list.append(h("div", {}, h("dt", {}, key), shown));
      this.values.set(key, shown);
    }
    if (value && shown) shown.textContent = value;
    else if (shown) {
      shown.parentElement?.remove();
      this.values.delete(key);
    }
  }
}

export function section(title: string, ...children: Node[]): HTMLElement {
  return h("section", {}, h("h2", {}, title), ...children);
}

export function viewSection(player: AvatarPlayer): HTMLElement {
  const { control, choices } = player;
  const follow = checkbox("Camera follows the head", choices.followHead, (on) => player.choose({ followHead: on }));
  const free = checkbox("Turn beyond what was recorded", control.free, (on) => { control.free = on; });
  const reset = h("button", { type: "button", class: "text-button", onclick: () => control.reset() }, "Look from the front");
  const keys = h("p", { class: "note" },
    "Drag or arrow keys turn, right drag or two fingers shift, wheel, pinch or + and − zoom, double-click goes back.");
  return section("View", backgrounds(player), follow, free, reset, keys);
}

function backgrounds(player: AvatarPlayer): HTMLElement {
  const all: [BackgroundChoice, string][] = [["plate", "As recorded"], ["color", "Colour"], ["transparent", "None"]];
  const offered = player.compact.plate ? all : all.slice(1);
  const color = h("input", {
    type: "color", value: hex(player.choices.color), "aria-label": "Background colour",
    oninput: () => {
      player.choose({ background: "color", color: rgb(color.value) });
      const radio = field.querySelector<HTMLInputElement>('input[value="color"]');
      if (radio) radio.checked = true;
    },
  });
  const field = h("fieldset", { class: "segments" }, h("legend", {}, "Background"),
    ...offered.map(([value, label]) => h("label", {}, h("input", {
      type: "radio", name: "background", value, checked: player.choices.background === value,
      onchange: () => player.choose({ background: value }),
    }), h("span", {}, label))), color);
  return field;
}

function checkbox(label: string, checked: boolean, change: (on: boolean) => void): HTMLElement {
  const input = h("input", { type: "checkbox", checked, onchange: () => change(input.checked) });
  return h("label", { class: "check" }, input, label);
}

export function aboutSection(provenance: Readonly<Record<string, string>>): HTMLElement {
  const known = Object.keys(LABELS).filter((key) => provenance[key]);
  const others = Object.keys(provenance).filter((key) => !(key in LABELS));
  const rows = [...known, ...others].map((key) =>
    h("div", {}, h("dt", {}, LABELS[key] ?? key.replaceAll("_", " ")), h("dd", {}, readable(provenance[key]))));
  return section("About", h("p", {}, "A computer-generated avatar. What it says and does was never recorded."),
    h("dl", {}, ...rows));
}

/** A moment as a date, any other text as it is. */
function readable(text: string): string {
  const moment = /^\d{4}-\d{2}-\d{2}T[\d:.+Z-]+$/.test(text) ? new Date(text) : null;
  return moment && !Number.isNaN(moment.valueOf()) ? moment.toLocaleDateString("en", { dateStyle: "long" }) : text;
}

function hex(color: readonly number[]): string {
  return `#${color.map((v) => Math.round(255 * v).toString(16).padStart(2, "0")).join("")}`;
}

function rgb(text: string): [number, number, number] {
  const value = parseInt(text.slice(1), 16);
  return [(value >> 16) / 255, ((value >> 8) & 255) / 255, (value & 255) / 255];
}
