// Copying and pasting regions with the keyboard while the canvas has the focus. What is copied is a
// layout's JSON; what can be pasted is every form that the server reads.

import { removeRegions, toLayout } from "./drawing.js";
import { addLayout, numberOf, readCopied, takeCaption } from "./pasting.js";

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
      const copied = readCopied(text);
      const { layout, remarks } = copied
        ? { layout: copied, remarks: [] }
        : await editor.host.read(text);
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
