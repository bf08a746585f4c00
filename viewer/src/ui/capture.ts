// Taking pictures and recording films of the stage.
import { PlayerError } from "../errors";
import type { AvatarPlayer } from "../player";
import { download, iconButton, relabel } from "./dom";
import { withText } from "./png_text";

const FILM_TYPES = ["video/webm;codecs=vp9,opus", "video/webm;codecs=vp8,opus", "video/webm", "video/mp4"];
const BITS_PER_SECOND = 6_000_000;

export function pictureButton(player: AvatarPlayer): HTMLButtonElement {
  return iconButton("picture", "Take a picture (PNG)", () => void savePicture(player));
}

async function savePicture(player: AvatarPlayer): Promise<void> {
  const image = player.picture();
  if (!image) return;
  const canvas = new OffscreenCanvas(image.width, image.height);
  canvas.getContext("2d")!.putImageData(image, 0, 0);
  const png = new Uint8Array(await (await canvas.convertToBlob({ type: "image/png" })).arrayBuffer());
  const { provenance } = player.compact;
  const told = ["synthetic", "generator", "consent"].map((key) => provenance[key]).filter(Boolean).join("; ");
  download(new Blob([withText(png, "Comment", told || "computer-generated avatar")], { type: "image/png" }), "avatar.png");
}

/** Records picture and sound: a track from its beginning to its end, a live picture until pressed again. */
export class FilmRecorder {
  readonly button: HTMLButtonElement;
  private recorder: MediaRecorder | null = null;

  constructor(private readonly player: AvatarPlayer, private readonly canvas: HTMLCanvasElement) {
    this.button = iconButton("record", "Record a film (WebM)", () => {
      if (this.recorder) this.stop();
      else void this.start().catch((error: unknown) => this.fail(error));
    }, "toggle");
    this.button.setAttribute("aria-pressed", "false");
    player.on("ended", () => this.stop());
  }

  private async start(): Promise<void> {
    const type = "MediaRecorder" in window ? FILM_TYPES.find((t) => MediaRecorder.isTypeSupported(t)) : undefined;
    if (!type || !("captureStream" in this.canvas))
      throw new PlayerError("This browser cannot record films.", "Try a current Chrome, Edge or Firefox, or use `splatalk speak`.");
    const { player } = this;
    const sound = player.audio.createMediaStreamDestination();
    const disconnect = player.clock.connectTo(sound);
    const stream = new MediaStream([...this.canvas.captureStream().getTracks(), ...sound.stream.getTracks()]);
    const chunks: Blob[] = [];
    const recorder = new MediaRecorder(stream, { mimeType: type, videoBitsPerSecond: BITS_PER_SECOND });
    recorder.ondataavailable = (event) => chunks.push(event.data);
    recorder.onstop = () => {
      disconnect();
      stream.getTracks().forEach((track) => track.stop());
      const film = type.split(";")[0];
      download(new Blob(chunks, { type: film }), `avatar.${film.split("/")[1]}`);
    };
    this.recorder = recorder;
    this.button.setAttribute("aria-pressed", "true");
    relabel(this.button, "Stop recording", "stop");
    player.pause();
    player.seek(0);
    recorder.start(1000);
    player.invalidate(); // so that the first picture is in the film
    await player.play();
  }

  private stop(): void {
    if (!this.recorder) return;
    const recorder = this.recorder;
    this.recorder = null;
    this.player.pause();
    this.button.setAttribute("aria-pressed", "false");
    relabel(this.button, "Record a film (WebM)", "record");
    setTimeout(() => recorder.stop(), 100); // the last picture is still on its way
  }

  private fail(error: unknown): void {
    const known = error instanceof PlayerError;
    this.player.notice(known ? error.message : "The film could not be recorded.", known ? error.hint : "Try another browser.");
  }
}
