/** Something a person can understand and act on: one sentence, and one saying what to do. */
export class PlayerError extends Error {
  constructor(message: string, readonly hint = "") {
    super(message);
    this.name = "PlayerError";
  }
}
