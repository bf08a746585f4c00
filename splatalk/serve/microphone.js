// Runs beside the page's audio: whatever rate the microphone has becomes pieces of 20 ms, int16, 16 kHz.
const RATE = 16000;
const PIECE = 320;
const REACH = 24; // input samples on either side that an output sample is made of

class Microphone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.step = sampleRate / RATE;
    this.cutoff = Math.min(1, 1 / this.step) * 0.94;
    this.input = new Float32Array(0);
    this.place = REACH; // of the next output sample in input
    this.piece = new Int16Array(PIECE);
    this.filled = 0;
    this.loudest = 0;
  }

  process(inputs) {
    const channel = inputs[0][0];
    if (!channel) return true;
    const input = new Float32Array(this.input.length + channel.length);
    input.set(this.input);
    input.set(channel, this.input.length);
    while (this.place + REACH < input.length) {
      this.put(this.at(input, this.place));
      this.place += this.step;
    }
    const used = Math.max(0, Math.floor(this.place) - REACH);
    this.input = input.slice(used);
    this.place -= used;
    return true;
  }

  // A low-pass filter, evaluated between samples: a sinc under a Hann window.
  at(input, place) {
    const middle = Math.floor(place);
    let sum = 0;
    for (let i = middle - REACH + 1; i <= middle + REACH; i++) {
      const x = i - place, phase = Math.PI * this.cutoff * x;
      const sinc = Math.abs(phase) < 1e-9 ? 1 : Math.sin(phase) / phase;
      sum += input[i] * sinc * this.cutoff * (0.5 + 0.5 * Math.cos((Math.PI * x) / REACH));
    }
    return sum;
  }

  put(value) {
    const clipped = Math.max(-1, Math.min(1, value));
    this.loudest = Math.max(this.loudest, Math.abs(clipped));
    this.piece[this.filled++] = Math.round(clipped * 32767);
    if (this.filled < PIECE) return;
    this.port.postMessage({ samples: this.piece, level: this.loudest }, [this.piece.buffer]);
    this.piece = new Int16Array(PIECE);
    this.filled = 0;
    this.loudest = 0;
  }
}

registerProcessor("microphone", Microphone);
