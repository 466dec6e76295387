// What the status line says of regions without a text, before Run meets them, and the choice of what
// Run does with them.

import { element, set } from "../shared/dom.js";
import { choice, wordButton } from "./controls.js";
import { TEXTLESS, withTextless } from "./drawing.js";

const NAMED = 8; // regions that it names

export class TextlessNotice {
  constructor(editor) {
    const { model } = editor;
    this.editor = editor;
    this.model = model;
    this.text = element("span");
    this.choice = choice("Regions without a text", TEXTLESS, (textless) =>
      model.update(withTextless(model.drawing, textless)),
    );
    this.element = element(
      "div",
      { class: "reco-textless-notice", hidden: true },
      element("span", { role: "img", "aria-label": "Warning" }, "⚠"),
      this.text,
      this.choice,
      wordButton("write it", "Write the text of the first region without one", () => this.write()),
    );
  }

  render() {
    if (this.model.dragging) return; // a box that is being drawn is not finished
    const numbers = [...this.model.textless].map((index) => index + 1);
    set(this.element, "hidden", !numbers.length);
    set(this.choice, "value", this.model.drawing.textless);
    if (numbers.length) set(this.text, "textContent", describe(numbers));
  }

  write() {
    const [first] = this.model.textless;
    this.model.select([first]);
    this.editor.list.reveal(first, { write: true });
  }
}

function describe(numbers) {
  const named = numbers.slice(0, NAMED).join(", ");
  const more = numbers.length > NAMED ? ` and ${numbers.length - NAMED} more` : "";
  return numbers.length === 1
    ? `Region ${named} has no text:`
    : `Regions ${named}${more} have no text:`;
}
