// Words over the stage when something is wrong or takes long.
import { PlayerError } from "../errors";
import { h } from "./dom";

export class Notice {
  readonly element = h("div", { class: "notice", role: "alert", hidden: true });

  show(text: string, hint = ""): void {
    this.element.hidden = text === "";
    this.element.replaceChildren(h("strong", {}, text), ...(hint ? [h("span", {}, hint)] : []));
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
