// The microphone as pieces of 16 kHz sound.

const WORKLET = "microphone.js";
const KEEP_MS = 30_000;

/** What went wrong, in words for the person at the page. */
export class MicrophoneError extends Error {
  constructor(message: string, readonly hint: string) {
    super(message);
  }
}

export class Microphone {
  private node: AudioWorkletNode | null = null;
  private stream: MediaStream | null = null;
  private opening: Promise<void> | null = null;
  private on = false;
  private closing = 0;

  constructor(
    private readonly audio: () => AudioContext,
    private readonly heard: (samples: Int16Array<ArrayBuffer>, level: number) => void,
  ) {}

  /** Sound comes from now on. Call inside a click or key handler.
   * @throws MicrophoneError there is none, or the person said no. */
  async start(): Promise<void> {
    this.on = true;
    window.clearTimeout(this.closing);
    await this.audio().resume();
    this.opening ??= this.open();
    try {
      await this.opening;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** No more sound. The device is given back a little later, so that the next words lose nothing. */
  stop(): void {
    this.on = false;
    window.clearTimeout(this.closing);
    this.closing = window.setTimeout(() => this.close(), KEEP_MS);
  }

  private async open(): Promise<void> {
    // Not there at all on a page that is neither of this machine nor encrypted.
    const devices = navigator.mediaDevices as MediaDevices | undefined;
    if (!devices) {
      throw new MicrophoneError("The browser gives no microphone to this page.", "Open it on the machine where splatalk runs.");
    }
    try {
      this.stream = await devices.getUserMedia({ audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true } });
    } catch (error) {
      throw explained(error);
    }
    const context = this.audio();
    await context.audioWorklet.addModule(WORKLET);
    this.node = new AudioWorkletNode(context, "microphone", { numberOfOutputs: 0 });
    this.node.port.onmessage = (event: MessageEvent<{ samples: Int16Array<ArrayBuffer>; level: number }>) => {
      if (this.on) this.heard(event.data.samples, event.data.level);
    };
    context.createMediaStreamSource(this.stream).connect(this.node);
  }

  private close(): void {
    this.on = false;
    this.node?.disconnect();
    this.stream?.getTracks().forEach((track) => track.stop());
    this.node = this.stream = this.opening = null;
  }
}

function explained(error: unknown): MicrophoneError {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError") {
    return new MicrophoneError("The microphone was not allowed.", "Allow it for this page in the browser's address bar.");
  }
  if (name === "NotFoundError") return new MicrophoneError("There is no microphone.", "Connect one and try again.");
  return new MicrophoneError("The microphone cannot be used.", "Close other programs that use it and try again.");
}
