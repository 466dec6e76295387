// What stands in place of a drawing that this editor cannot read, as one of a newer ReCo: nothing can
// be drawn over it by accident, and the workflow keeps it as it is.

import { element, set } from "../shared/dom.js";
import { wordButton } from "./controls.js";
import { EMPTY } from "./drawing.js";

export class Unreadable {
  constructor(editor) {
    this.editor = editor;
    this.why = element("div", { dir: "auto" });
    this.element = element(
      "div",
      { class: "reco-unreadable", role: "alert", hidden: true },
      this.why,
      element(
        "div",
        { class: "reco-exchange-row" },
        wordButton("Show its text", "Copy it, or mend it and take it over", () => this.showText()),
        wordButton("Draw anew", "Begin with an empty drawing; undo brings it back", () => this.leave()),
      ),
    );
  }

  /** Show why, over `parts` that can be used again once there is a drawing. */
  render(...parts) {
    const { unreadable } = this.editor.model;
    const why = `The saved drawing cannot be read: ${unreadable?.why}. It is kept as it is.`;
    set(this.why, "textContent", unreadable ? why : "");
    set(this.element, "hidden", !unreadable);
    for (const part of parts) set(part, "inert", Boolean(unreadable));
  }

  leave() {
    const { model, stage } = this.editor;
    model.apply({ drawing: EMPTY, selection: [] });
    stage.focus();
  }

  showText() {
    const { exchange, model } = this.editor;
    exchange.offer(model.value, null);
    exchange.read();
  }
}
