// The live page: what the server computes is shown, what the person wants is sent.
import type { Player } from "../types";
import { Connection } from "./connection";
import { DelayMeter } from "./delay";
import { FacePanel } from "./face";
import { Microphone, MicrophoneError } from "./microphone";
import { MICROPHONE, SOUND, UTTERANCE, type Doing, type FromServer, type Hello, type LiveFrame, type SoundOf } from "./protocol";
import { SpeakPanel } from "./speak";
import { Utterance } from "./utterance";

const CLOCK_MS = 100;
const FRAMES_BEFORE_SOUND = 4;
const NOTICE_MS = 7000;
const LOST = "The connection to splatalk is lost.";

/** Adds the live controls to the panel and plays what the server sends. */
export function mountLive(player: Player): void {
  new Live(player);
}

class Live {
  private readonly connection: Connection;
  private readonly microphone: Microphone;
  private readonly delay = new DelayMeter();
  private hello: Hello | null = null;
  private face: FacePanel | null = null;
  private speak: SpeakPanel | null = null;
  private utterance: Utterance | null = null;
  private sound: AudioBuffer | null = null;
  private begun = false;
  private isLost = false;
  private talking = false;
  private serverDelay = "";
  private noticeTimer = 0;

  constructor(private readonly player: Player) {
    this.microphone = new Microphone(() => player.audio, (samples, level) => this.heard(samples, level));
    this.connection = new Connection(player.coefficients, {
      connected: () => this.connected(),
      lost: () => this.lost(),
      message: (message) => this.receive(message),
      binary: (message) => void this.show(message),
    });
    player.on("ended", () => this.tellClock());
    window.setInterval(() => this.tellClock(), CLOCK_MS);
    window.setInterval(() => this.showDelay(), 500);
  }

  private connected(): void {
    if (this.isLost) this.player.notice("");
    this.isLost = false;
  }

  private lost(): void {
    this.isLost = true;
    this.talk(false);
    this.player.notice(LOST, "Start it again if it was stopped: this page connects by itself.");
    this.player.stats("Live", "not connected");
  }

  // --- from the server

  private receive(message: FromServer): void {
    switch (message.type) {
      case "hello": return this.greet(message);
      case "state": return this.setState(message.doing);
      case "utterance":
        this.sound = null;
        this.begun = false;
        this.utterance = new Utterance(message.id, message.seconds, this.hello!.fps);
        return;
      case "delay":
        this.serverDelay = `${message.p50_ms.toFixed(0)} ms of it computing`;
        return;
      case "error": return this.tell(message.message, message.hint);
    }
  }

  private greet(hello: Hello): void {
    if (this.hello && this.hello.fingerprint !== hello.fingerprint) {
      location.reload(); // another avatar
      return;
    }
    this.player.stats("Live", "connected");
    if (this.face) {
      this.connection.send({ type: "controls", ...this.face.controls });
      this.leaveUtterance();
      return;
    }
    this.hello = hello;
    document.title = hello.name;
    this.face = new FacePanel(hello, (controls) => this.connection.send({ type: "controls", ...controls }));
    this.speak = new SpeakPanel(hello, this.player.stage, {
      say: (text, voice) => this.wish(() => this.connection.send({ type: "say", text, voice })),
      sound: (file) => void this.sendFile(file),
      stop: () => this.wish(() => this.connection.send({ type: "stop" })),
      talk: (on, listen) => void this.talk(on, listen),
    });
    this.player.panel.prepend(this.speak.element, this.face.element);
  }

  private setState(doing: Doing): void {
    this.speak?.show(doing);
    if (doing !== "speaking") this.leaveUtterance();
  }

  private async show(message: LiveFrame | SoundOf): Promise<void> {
    if (message.kind === SOUND) {
      await this.takeSound(message);
    } else if (message.kind !== UTTERANCE) {
      if (this.utterance) return;
      this.player.show(message.frame);
      if (this.talking && message.kind === MICROPHONE) requestAnimationFrame(() => this.delay.shown(message.frame.time));
    } else if (this.utterance?.id === message.utterance) {
      this.utterance.put(message.frame);
      this.begin();
    }
  }

  private async takeSound(message: SoundOf): Promise<void> {
    const { utterance } = this;
    // An offline context decodes without asking for the loudspeaker, which has to wait for a click.
    const sound = await new OfflineAudioContext(1, 1, 48_000).decodeAudioData(message.wav);
    if (this.utterance !== utterance || utterance?.id !== message.utterance) return; // interrupted meanwhile
    this.sound = sound;
    this.begin();
  }

  /** Sound and the first frames are there: play. Without a click on the page so far the sound must wait for one. */
  private begin(): void {
    const { utterance, sound } = this;
    if (this.begun || !utterance || !sound || utterance.arrived < Math.min(FRAMES_BEFORE_SOUND, utterance.total)) return;
    this.begun = true;
    this.player.setTrack(utterance, sound);
    if (navigator.userActivation.hasBeenActive) void this.player.play();
  }

  private leaveUtterance(): void {
    if (this.utterance && this.begun) this.player.setTrack(null, null);
    this.utterance = null;
  }

  // --- to the server

  private tellClock(): void {
    if (this.utterance && this.begun) {
      this.connection.send({ type: "clock", utterance: this.utterance.id, time: this.player.time });
    }
  }

  private wish(send: () => boolean): void {
    this.player.audio.resume().catch(() => {}); // inside the click, so that the sound may play later
    this.leaveUtterance();
    if (!send()) this.tell(LOST, "Wait until it is back.");
  }

  private async sendFile(file: File): Promise<void> {
    const { max_sound_bytes: limit } = this.hello!;
    if (file.size > limit) {
      this.tell(`${file.name} is too large.`, `Use at most ${Math.floor(limit / 1e6)} MB.`);
      return;
    }
    if (!file.size) return this.tell(`${file.name} is empty.`, "Choose another file.");
    const data = await file.arrayBuffer();
    const name = file.name.slice(0, 200);
    this.wish(() => this.connection.send({ type: "sound", name, bytes: data.byteLength }, data));
  }

  private async talk(on: boolean, listen = false): Promise<void> {
    if (on === this.talking) return;
    this.talking = on;
    this.speak?.setTalking(on);
    if (!on) {
      this.microphone.stop();
      this.connection.send({ type: "mic", on: false });
      return;
    }
    try {
      await this.microphone.start();
    } catch (error) {
      this.talking = false;
      this.speak?.setTalking(false);
      if (!(error instanceof MicrophoneError)) throw error;
      this.tell(error.message, error.hint);
      return;
    }
    if (!this.talking) return this.microphone.stop(); // let go while the browser was asking
    this.delay.restart();
    this.serverDelay = "";
    this.wish(() => this.connection.send({ type: "mic", on: true, listen }));
  }

  private heard(samples: Int16Array<ArrayBuffer>, level: number): void {
    this.delay.captured(samples.length);
    this.connection.sendSound(samples);
    this.speak?.level(level);
  }

  // --- telling

  private showDelay(): void {
    if (!this.talking) return;
    const typical = this.delay.percentile(0.5), worst = this.delay.percentile(0.99);
    if (typical === null || worst === null) return;
    const text = `${typical.toFixed(0)} ms, 99 % within ${worst.toFixed(0)} ms`;
    this.player.stats("Delay of the mouth", text);
    this.speak?.showDelay(`Delay ${text}${this.serverDelay ? `; ${this.serverDelay}` : ""}.`);
  }

  private tell(text: string, hint: string): void {
    this.player.notice(text, hint);
    window.clearTimeout(this.noticeTimer);
    this.noticeTimer = window.setTimeout(() => { if (!this.isLost) this.player.notice(""); }, NOTICE_MS);
  }
}
