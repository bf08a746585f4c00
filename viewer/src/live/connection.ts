// The WebSocket to the server: comes back by itself when it is lost.
import { decodeBinary, type FromServer, type LiveFrame, type SoundOf, type ToServer } from "./protocol";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 5000;

export interface Listener {
  connected(): void;
  /** Every time an attempt fails, too. */
  lost(): void;
  message(message: FromServer): void;
  binary(message: LiveFrame | SoundOf): void;
}

export class Connection {
  private socket: WebSocket | null = null;
  private wait = FIRST_WAIT_MS;

  constructor(private readonly coefficients: number, private readonly listener: Listener) {
    this.connect();
  }

  get open(): boolean {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  /** False when there is no connection: then nothing was sent, and nothing will be later. */
  send(message: ToServer, ...data: (ArrayBuffer | Int16Array<ArrayBuffer>)[]): boolean {
    if (!this.open) return false;
    this.socket!.send(JSON.stringify(message));
    for (const one of data) this.socket!.send(one);
    return true;
  }

  sendSound(samples: Int16Array<ArrayBuffer>): void {
    if (this.open) this.socket!.send(samples);
  }

  private connect(): void {
    const socket = new WebSocket(new URL("live", location.href.replace(/^http/, "ws")));
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.wait = FIRST_WAIT_MS;
      this.listener.connected();
    };
    socket.onmessage = (event: MessageEvent<string | ArrayBuffer>) => this.receive(event.data);
    socket.onclose = () => {
      this.listener.lost();
      setTimeout(() => this.connect(), this.wait);
      this.wait = Math.min(this.wait * 1.6, LONGEST_WAIT_MS);
    };
    this.socket = socket;
  }

  private receive(data: string | ArrayBuffer): void {
    if (typeof data === "string") {
      this.listener.message(JSON.parse(data) as FromServer);
      return;
    }
    const message = decodeBinary(data, this.coefficients);
    if (message) this.listener.binary(message);
  }
}
