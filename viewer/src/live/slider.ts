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

  private paint(): void {
    const { low, high } = this.range;
    this.input.style.setProperty("--played", `${(100 * (this.value - low)) / (high - low)}%`);
  }
}
