// Copying and pasting regions with the keyboard while the canvas has the focus. What is copied is a
// layout's JSON; what can be pasted is every form that the server reads.

import { fromLayout, removeRegions, toLayout } from "./drawing.js";
import { addLayout, numberOf, takeCaption } from "./pasting.js";

export class Clipboard {
  constructor(editor) {
    this.editor = editor;
    const handlers = {
      copy: (event) => this.copy(event),
      cut: (event) => this.cut(event),
      paste: (event) => this.paste(event),
    };
    const listeners = Object.entries(handlers).map(([name, handle]) => [
      name,
      (event) => {
        event.preventDefault();
        event.stopImmediatePropagation();
        handle(event);
      },
    ]);
    // On the document and first, since these events do not go to an element that has no caret, and
    // ComfyUI would copy and paste nodes.
    const canvas = editor.stage.element;
    for (const [change, method] of [
      ["focus", "addEventListener"],
      ["blur", "removeEventListener"],
    ]) {
      canvas.addEventListener(change, () => {
        for (const [name, listener] of listeners) document[method](name, listener, true);
      });
    }
  }

  copy({ clipboardData }) {
    const { drawing, selection, size } = this.editor.model;
    const chosen = selection.length ? selection : drawing.regions.map((_, index) => index);
    const regions = chosen.map((index) => drawing.regions[index]);
    const layout = toLayout({ caption: "", regions }, size);
    clipboardData.setData("text/plain", JSON.stringify(layout));
    this.editor.announce(`${numberOf(chosen)} copied.`);
  }

  cut(event) {
    this.copy(event);
    const { model } = this.editor;
    const { drawing, selection } = model;
    if (selection.length) model.apply(removeRegions(drawing, selection));
  }

  async paste({ clipboardData }) {
    const { editor } = this;
    const { model } = editor;
    const text = clipboardData.getData("text/plain");
    const { pointerAt } = editor.stage;
    try {
      const { layout, remarks } = asReading(text) ?? (await editor.host.read(text));
      const done = layout.regions.length
        ? addLayout(model, layout, pointerAt)
        : takeCaption(model, layout);
      const found = remarks.map(({ message }) => `What was pasted: ${message}`);
      editor.announce([done, ...found].join("\n"));
    } catch (error) {
      editor.announce(`This cannot be pasted: ${error.message}`);
    }
  }
}

/** What a layout's JSON holds, whose regions may still lack texts; null for the server to judge. */
function asReading(text) {
  try {
    const layout = JSON.parse(text);
    fromLayout(layout);
    return layout.regions.every(isSound) ? { layout, remarks: [] } : null;
  } catch {
    return null;
  }
}

const isSound = ({ text, box: [x0, y0, x1, y1], weight = 1 }) =>
  typeof text === "string" &&
  Number.isFinite(weight) &&
  [x0, y0, x1, y1].every(Number.isFinite) &&
  0 <= x0 && x0 < x1 && x1 <= 1 &&
  0 <= y0 && y0 < y1 && y1 <= 1;
