// A labelled slider in the panel.
import { h } from "../ui/dom";

export interface Range {
  readonly low: number;
  readonly high: number;
  readonly start: number;
}

export class Slider {
  readonly element: HTMLElement;
  private readonly input: HTMLInputElement;

  constructor(readonly label: string, private readonly range: Range, changed: (value: number) => void) {
    this.input = h("input", {
      type: "range", min: range.low, max: range.high, step: 0.01, value: range.start, "aria-label": label,
      oninput: () => {
        this.paint();
        changed(this.value);
      },
      ondblclick: () => {
        this.reset();
        changed(this.value);
      },
    });
    this.element = h("div", { class: "slider" }, h("span", {}, label), this.input);
    this.paint();
  }

  get value(): number {
    return Number(this.input.value);
  }

  reset(): void {
    this.input.value = String(this.range.start);
    this.paint();
  }

  /** The track is coloured from where the slider starts to where it stands. */
  private paint(): void {
    const { low, high, start } = this.range;
    const percent = (value: number) => `${(100 * (value - low)) / (high - low)}%`;
    this.input.style.setProperty("--from", percent(Math.min(start, this.value)));
    this.input.style.setProperty("--to", percent(Math.max(start, this.value)));
  }
}
