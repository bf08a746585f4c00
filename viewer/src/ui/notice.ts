// Words over the stage when something is wrong or takes long.
import { PlayerError } from "../errors";
import { h, iconButton } from "./dom";

export class Notice {
  readonly element = h("div", { class: "notice", role: "alert", hidden: true });

  /** Without a hint it passes by itself; with one it can be put away once it is read. An empty text takes it away. */
  show(text: string, hint = ""): void {
    this.element.hidden = text === "";
    const close = iconButton("close", "Close this message", () => { this.element.hidden = true; });
    this.element.replaceChildren(h("strong", {}, text), ...(hint ? [h("span", {}, hint), close] : []));
  }

  /** What went wrong, in words; the console has the rest of what is no PlayerError. */
  fail(error: unknown): void {
    if (error instanceof PlayerError) {
      this.show(error.message, error.hint);
    } else {
      console.error(error);
      this.show("Something went wrong in the player.", "Reload the page. If it stays so, the browser's console says more.");
    }
  }
}
