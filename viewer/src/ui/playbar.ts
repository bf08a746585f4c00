// Play, scrub, speed, loop, sound.
import type { AvatarPlayer } from "../player";
import { clockText, h, iconButton, relabel } from "./dom";

const SPEEDS = [0.25, 0.5, 0.75, 1, 1.5, 2];

export class Playbar {
  readonly element: HTMLElement;
  private readonly playButton: HTMLButtonElement;
  private readonly big: HTMLButtonElement;
  private readonly scrub: HTMLInputElement;
  private readonly clock = h("output", { class: "clock", "aria-live": "off" });
  private readonly muteButton: HTMLButtonElement;

  constructor(private readonly player: AvatarPlayer, hasSound: boolean) {
    this.playButton = iconButton("play", "Play (space)", () => this.toggle());
    this.big = iconButton("play", "Play", () => this.toggle(), "big-play");
    this.scrub = h("input", {
      type: "range", class: "scrub", min: 0, max: 1, step: "any", value: 0, "aria-label": "Position",
      oninput: () => player.seek(Number(this.scrub.value)),
    });
    const loop = iconButton("loop", "Play again and again", () => {
      player.choose({ loop: !player.choices.loop });
      loop.setAttribute("aria-pressed", String(player.choices.loop));
    }, "toggle");
    loop.setAttribute("aria-pressed", "false");
    this.muteButton = iconButton("sound", "Sound off (m)", () => this.toggleSound());
    this.muteButton.hidden = !hasSound;
    this.element = h("div", { class: "playbar", role: "group", "aria-label": "Playback" },
      this.playButton, this.scrub, this.clock, this.speeds(), loop, this.muteButton);
    player.stage.append(this.big);
    player.on("play", () => this.update());
    player.on("pause", () => this.update());
    player.on("ended", () => this.update());
    player.on("track", () => this.update());
    player.on("draw", () => this.updateTime());
    player.on("view", () => this.updateTime());
    this.update();
  }

  toggle(): void {
    if (this.player.playing) this.player.pause();
    else void this.player.play();
  }

  toggleSound(): void {
    const { clock } = this.player;
    clock.muted = !clock.muted;
    relabel(this.muteButton, clock.muted ? "Sound on (m)" : "Sound off (m)", clock.muted ? "muted" : "sound");
  }

  private speeds(): HTMLElement {
    const select = h("select", {
      class: "speed", "aria-label": "Speed", title: "Speed",
      onchange: () => { this.player.clock.speed = Number(select.value); },
    }, ...SPEEDS.map((speed) => h("option", { value: speed, selected: speed === 1 }, `${speed}×`)));
    return select;
  }

  private update(): void {
    const { playing, duration } = this.player;
    this.element.hidden = !(duration > 0);
    this.big.hidden = playing || !(duration > 0) || this.player.time > 0;
    relabel(this.playButton, playing ? "Pause (space)" : "Play (space)", playing ? "pause" : "play");
    this.scrub.disabled = !Number.isFinite(duration);
    this.updateTime();
  }

  private updateTime(): void {
    const { duration, time } = this.player;
    if (!(duration > 0) || !Number.isFinite(duration)) return;
    const now = Math.min(time, duration);
    this.scrub.max = String(duration);
    this.scrub.value = String(now);
    this.scrub.style.setProperty("--played", `${(100 * now) / duration}%`);
    this.scrub.setAttribute("aria-valuetext", `${clockText(now)} of ${clockText(duration)}`);
    this.clock.textContent = `${clockText(now)} / ${clockText(duration)}`;
    if (time > 0) this.big.hidden = true;
  }
}
