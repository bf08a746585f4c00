// What the parts of the player agree on. Panels (such as live/) know the player through these alone.

/** A bone's pose, canonical space to world: quaternion w x y z, then translation x y z in metres. */
export type Pose = Float32Array;

/** Everything that poses the avatar once. */
export interface Frame {
  /** One weight per basis, in the order means | rotation | log_scales | opacity | color. Length `Player.coefficients`. */
  readonly coefficients: Float32Array;
  readonly head: Pose;
  readonly torso: Pose;
  /** Seconds on the clock of the sound this frame belongs to. */
  readonly time: number;
}

/** Frames over time: a track that is complete, or one that is still arriving. */
export interface FrameSource {
  /** Seconds. May grow while frames arrive; Infinity when there is no end, and then nothing can be scrubbed. */
  readonly duration: number;
  /** The frame that is on screen at `time`: the latest that is not later, the same object as
   * long as it is the same frame. Null before the first one is there. */
  frameAt(time: number): Frame | null;
}

/** What a panel may do with the player. `mountLive(player: Player): void` in live/index.ts is called once, when the
 * page says `<html data-live="1">`, after the avatar was loaded and drawn at rest. */
export interface Player {
  /** The element that holds the canvas; overlays may be appended. Drops and pointer events arrive here. */
  readonly stage: HTMLElement;
  /** Where a panel appends its own `<section>` of controls. */
  readonly panel: HTMLElement;
  /** Number of coefficients of a frame. */
  readonly coefficients: number;
  /** The avatar at rest. */
  readonly rest: Frame;
  /** The one AudioContext of the page, made on first use; resume it inside a click or key handler. */
  readonly audio: AudioContext;
  /** Seconds on the clock of the track being played: the AudioContext's when it has sound, else a wall clock. */
  readonly time: number;
  readonly playing: boolean;

  /** Draw one frame and keep it until the next. Stops a track that is playing. */
  show(frame: Frame): void;
  /** Play these frames with this sound from now on, at time 0, paused. Null, null: no track, as at the beginning. */
  setTrack(source: FrameSource | null, sound: AudioBuffer | null): void;
  /** Resolves when the sound runs. */
  play(): Promise<void>;
  pause(): void;
  seek(time: number): void;
  /** `kind` of "ended", "play", "pause", "track"; the returned function stops listening. */
  on(kind: PlayerEvent, listener: () => void): () => void;

  /** Tell a person something over the stage: one sentence, and one saying what to do. An empty text takes it away. */
  notice(text: string, hint?: string): void;
  /** One line of the statistics, such as `stats("delay", "84 ms")`. An empty value takes it away. */
  stats(key: string, value: string): void;
}

export type PlayerEvent = "play" | "pause" | "ended" | "track";
