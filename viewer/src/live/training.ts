// The training page: a picture that is drawn anew every few seconds, two curves, how far it is.
import { clockText, h, svg } from "../ui/dom";
import { Notice } from "../ui/notice";

const EVERY_MS = 1000;
const WIDTH = 480, HEIGHT = 170, LEFT = 46, BOTTOM = 20, TOP = 8;
const TICKS = 4; // about
const SMOOTHED = 15; // points whose mean is drawn boldly
const STAGES: Record<string, string> = {
  starting: "Getting ready", static: "The person at rest", speech: "Speech and expression", finished: "Finished",
};

interface TrainingState {
  readonly name: string;
  readonly stage: string;
  readonly step: number;
  readonly total: number;
  readonly gaussians: number;
  readonly steps_per_s: number | null;
  readonly left_s: number | null;
  readonly curve: { readonly step: number[]; readonly loss: number[]; readonly psnr: number[] };
  readonly preview: number;
}

export function mountTraining(main: HTMLElement): void {
  new TrainingPage(main);
}

class TrainingPage {
  private readonly title = h("h1", {}, "Training");
  private readonly bar = h("progress", { max: 1, "aria-label": "Progress" });
  private readonly facts = h("dl", {});
  private readonly picture = h("img", { alt: "A recorded frame, and the same frame as the avatar draws it now" });
  private readonly figure = h("figure", { hidden: true }, this.picture,
    h("figcaption", {}, h("span", {}, "Recorded"), h("span", {}, "The avatar now")));
  private readonly loss = new Chart("Loss", "");
  private readonly psnr = new Chart("PSNR of the training frames", " dB");
  private readonly notice = new Notice();
  private shown = 0;
  private finished = false;

  constructor(main: HTMLElement) {
    document.body.classList.add("training");
    main.replaceChildren(
      h("header", {}, this.title, this.bar, this.facts),
      this.figure, h("div", { class: "charts" }, this.psnr.element, this.loss.element), this.notice.element);
    void this.follow();
  }

  private async follow(): Promise<void> {
    try {
      const response = await fetch("state");
      if (!response.ok) throw new Error(response.statusText);
      this.show((await response.json()) as TrainingState);
      this.notice.show("");
    } catch {
      if (this.finished) this.notice.show("The avatar is finished.", `Open it with: splatalk view ${this.title.textContent}.avatar`);
      else this.notice.show("The connection to splatalk is lost.", "If the training goes on, so does this page.");
    }
    window.setTimeout(() => void this.follow(), EVERY_MS);
  }

  private show(state: TrainingState): void {
    this.finished = state.stage === "finished";
    this.title.textContent = state.name;
    document.title = `${Math.floor((100 * state.step) / Math.max(1, state.total))} % · ${state.name}`;
    if (state.total) this.bar.value = state.step / state.total;
    const { steps_per_s: speed, left_s: left } = state;
    const last = state.curve.psnr.at(-1);
    const stage = ["Stage", STAGES[state.stage] ?? state.stage];
    const facts = !state.total ? [stage] : [
      stage,
      ["Step", `${state.step} of ${state.total}`],
      ["Speed", speed === null ? "…" : `${speed.toFixed(1)} steps/s`],
      ["Left", this.finished ? "nothing" : left === null ? "…" : clockText(left)],
      ["Gaussians", state.gaussians.toLocaleString("en")],
      ["PSNR", last === undefined ? "…" : `${last.toFixed(1)} dB`],
    ];
    this.facts.replaceChildren(...facts.map(([key, value]) => h("div", {}, h("dt", {}, key!), h("dd", {}, value!))));
    this.loss.draw(state.curve.step, state.curve.loss, state.total);
    this.psnr.draw(state.curve.step, state.curve.psnr, state.total);
    if (state.preview !== this.shown) {
      this.shown = state.preview;
      this.picture.src = `preview.jpg?${state.preview}`;
      this.figure.hidden = false;
    }
  }
}

/** One curve over the steps. */
class Chart {
  readonly element: HTMLElement;
  private readonly drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });

  constructor(private readonly title: string, private readonly unit: string) {
    this.element = h("section", { hidden: true }, h("h2", {}, title), this.drawing);
  }

  draw(steps: readonly number[], values: readonly number[], total: number): void {
    if (values.length < 2) return;
    this.element.hidden = false;
    const [low, high] = limits(values);
    const x = (step: number) => LEFT + ((WIDTH - LEFT - 4) * step) / Math.max(1, total);
    const y = (value: number) => TOP + ((HEIGHT - TOP - BOTTOM) * (high - value)) / (high - low);
    const unit = roundUnit((high - low) / TICKS);
    const ticks: number[] = [];
    for (let tick = Math.ceil(low / unit) * unit; tick <= high; tick += unit) ticks.push(tick);
    const digits = Math.max(0, -Math.floor(Math.log10(unit) + 1e-9));
    const grid = ticks.flatMap((tick) => [
      svg("line", { x1: LEFT, x2: WIDTH - 4, y1: y(tick), y2: y(tick), class: "grid" }),
      text(LEFT - 6, y(tick) + 4, tick.toFixed(digits), "end"),
    ]);
    const line = (heights: readonly number[]) =>
      steps.map((step, i) => `${x(step).toFixed(1)},${y(clamped(heights[i]!, low, high)).toFixed(1)}`).join(" ");
    const ends = [text(LEFT, HEIGHT - 4, "0", "start"), text(WIDTH - 4, HEIGHT - 4, `${total} steps`, "end")];
    this.drawing.setAttribute("aria-label", `${this.title}: ${values.at(-1)!.toPrecision(3)}${this.unit}`);
    this.drawing.replaceChildren(...grid, ...ends, svg("polyline", { points: line(values), class: "curve raw" }),
      svg("polyline", { points: line(smoothed(values)), class: "curve" }));
  }
}

/** From the smallest to the largest, without the wild beginning of a long curve. */
function limits(values: readonly number[]): [number, number] {
  const settled = values.length > 30 ? values.slice(Math.floor(values.length / 20)) : values;
  const low = Math.min(...settled), high = Math.max(...settled);
  const room = Math.max(0.05 * (high - low), 1e-6);
  return [low - room, high + room];
}

/** 1, 2 or 5 times a power of ten, near `size`. */
function roundUnit(size: number): number {
  const power = 10 ** Math.floor(Math.log10(size));
  return power * ([1, 2, 5].find((factor) => factor * power >= size) ?? 10);
}

/** Each value the mean of itself and those before it. */
function smoothed(values: readonly number[]): number[] {
  return values.map((_, i) => {
    const near = values.slice(Math.max(0, i - SMOOTHED + 1), i + 1);
    return near.reduce((a, b) => a + b) / near.length;
  });
}

function clamped(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}

function text(x: number, y: number, content: string, anchor: string): SVGElement {
  const element = svg("text", { x, y, "text-anchor": anchor });
  element.textContent = content;
  return element;
}
