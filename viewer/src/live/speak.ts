// What makes the avatar speak: a text, a sound file, the microphone.
import { h } from "../ui/dom";
import { section } from "../ui/panel";
import type { Doing, Hello } from "./protocol";

const VOICES: readonly (readonly [string, string])[] = [
  ["en", "English"], ["en-us", "English (US)"], ["de", "German"], ["fr", "French"], ["es", "Spanish"], ["it", "Italian"],
  ["pt", "Portuguese"], ["nl", "Dutch"], ["pl", "Polish"], ["tr", "Turkish"],
];
const TALK_KEY = "t";
const STATES: Record<Doing, string> = {
  idle: "", preparing: "Preparing …", speaking: "Speaking", listening: "Listening", attending: "Listening to you",
};

export interface Wishes {
  say(text: string, voice: string): void;
  sound(file: File): void;
  stop(): void;
  /** With `listen` the avatar listens to the microphone instead of saying what it hears. */
  talk(on: boolean, listen: boolean): void;
}

export class SpeakPanel {
  readonly element: HTMLElement;
  private readonly stop: HTMLButtonElement;
  private readonly talk: HTMLButtonElement;
  private readonly meter = h("i", { class: "level" });
  private readonly state = h("output", { class: "doing" });
  private readonly delay = h("p", { class: "note", hidden: true });
  private readonly listens = h("input", { type: "checkbox" });
  private talking = false;

  constructor(hello: Hello, stage: HTMLElement, private readonly wishes: Wishes) {
    this.stop = h("button", { type: "button", class: "text-button", disabled: true, onclick: () => wishes.stop() }, "Stop");
    this.talk = this.talkButton();
    const parts = hello.speech
      ? [this.textForm(hello), ...this.files(stage), ...(hello.microphone ? [this.talk, this.listensBox(), this.delay] : [])]
      : [h("p", {}, "This avatar cannot speak: it was made from a recording without speech.")];
    this.element = section("Speak", ...parts, h("div", { class: "row" }, this.stop, this.state));
    if (hello.microphone) this.talkKey();
  }

  show(doing: Doing): void {
    this.state.textContent = STATES[doing];
    this.stop.disabled = doing === "idle";
  }

  /** Loudness of the microphone, 0..1. */
  level(value: number): void {
    this.meter.style.setProperty("--level", `${Math.round(100 * Math.sqrt(Math.min(1, value)))}%`);
  }

  /** A line about the delay; an empty one hides it. */
  showDelay(text: string): void {
    this.delay.hidden = text === "";
    this.delay.textContent = text;
  }

  /** The microphone went on or off, by whatever cause. */
  setTalking(on: boolean): void {
    this.talking = on;
    this.talk.setAttribute("aria-pressed", String(on));
    if (!on) this.level(0);
  }

  private textForm(hello: Hello): HTMLElement {
    const text = h("textarea", {
      rows: 3, maxlength: hello.max_text, placeholder: "Type what it should say", "aria-label": "What it should say",
      onkeydown: (event) => {
        const key = event as KeyboardEvent;
        if (key.key !== "Enter" || key.shiftKey) return;
        event.preventDefault();
        form.requestSubmit();
      },
    });
    const voice = h("select", { class: "speed", "aria-label": "Voice" },
      ...VOICES.map(([value, label]) => h("option", { value }, label)));
    const form = h("form", {
      onsubmit: (event) => {
        event.preventDefault();
        if (text.value.trim()) this.wishes.say(text.value, voice.value);
      },
    }, text, h("div", { class: "row" }, h("button", { class: "text-button main" }, "Say it"), voice));
    return form;
  }

  private files(stage: HTMLElement): HTMLElement[] {
    const input = h("input", {
      type: "file", accept: "audio/*,video/*", hidden: true,
      onchange: () => {
        const file = input.files?.[0];
        if (file) this.wishes.sound(file);
        input.value = "";
      },
    });
    stage.addEventListener("dragover", (event) => {
      event.preventDefault();
      stage.classList.add("drop");
    });
    stage.addEventListener("dragleave", () => stage.classList.remove("drop"));
    stage.addEventListener("drop", (event) => {
      event.preventDefault();
      stage.classList.remove("drop");
      const file = event.dataTransfer?.files[0];
      if (file) this.wishes.sound(file);
    });
    const choose = h("button", { type: "button", class: "text-button", onclick: () => input.click() }, "Choose a sound");
    return [h("div", { class: "row" }, choose, input, h("span", { class: "note dropping" }, "or drop one here"))];
  }

  private talkButton(): HTMLButtonElement {
    const down = () => this.turn(true), up = () => this.turn(false);
    const isPress = (event: Event) => /^( |Enter)$/.test((event as KeyboardEvent).key);
    return h("button", {
      type: "button", class: "text-button talk", "aria-pressed": "false", title: `Hold it, or hold the key ${TALK_KEY}`,
      onpointerdown: (event) => {
        (event.target as HTMLElement).setPointerCapture((event as PointerEvent).pointerId);
        down();
      },
      onpointerup: up, onpointercancel: up, onblur: up, oncontextmenu: (event) => event.preventDefault(),
      onkeydown: (event) => { if (isPress(event)) down(); },
      onkeyup: (event) => { if (isPress(event)) up(); },
    }, this.meter, h("span", {}, "Hold and talk"));
  }

  private listensBox(): HTMLElement {
    return h("label", { class: "note" }, this.listens, " It listens to me, without repeating it");
  }

  private talkKey(): void {
    const isKey = (event: KeyboardEvent) => event.key === TALK_KEY && !event.ctrlKey && !event.metaKey && !event.altKey;
    document.addEventListener("keydown", (event) => {
      const typing = (event.target as HTMLElement).matches("input:not([type=range], [type=checkbox]), textarea, select");
      if (isKey(event) && !event.repeat && !typing) this.turn(true);
    });
    document.addEventListener("keyup", (event) => { if (isKey(event)) this.turn(false); });
    window.addEventListener("blur", () => this.turn(false));
  }

  private turn(on: boolean): void {
    if (on === this.talking) return;
    this.setTalking(on);
    this.wishes.talk(on, this.listens.checked);
  }
}
