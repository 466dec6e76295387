// Copying and pasting regions with the keyboard while the canvas has the focus. What is copied is a
// layout's JSON; what can be pasted is every form that the server reads.

import {
  addRegions,
  copies,
  fromLayout,
  placeRegions,
  removeRegions,
  toLayout,
  withCaption,
} from "./drawing.js";

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
    const { drawing, selection, size } = this.editor;
    const chosen = selection.length ? selection : drawing.regions.map((_, index) => index);
    const regions = chosen.map((index) => drawing.regions[index]);
    const layout = toLayout({ caption: "", regions }, size);
    clipboardData.setData("text/plain", JSON.stringify(layout));
    this.editor.announce(`${count(chosen)} copied.`);
  }

  cut(event) {
    this.copy(event);
    const { drawing, selection } = this.editor;
    if (selection.length) this.editor.apply(removeRegions(drawing, selection));
  }

  async paste({ clipboardData }) {
    const { editor } = this;
    const text = clipboardData.getData("text/plain");
    const pointer = editor.stage.pointer.at;
    try {
      const { layout, remarks } = asReading(text) ?? (await editor.host.read(text));
      const done = layout.regions.length ? this.add(layout, pointer) : this.takeCaption(layout);
      const found = remarks.map(({ message }) => `What was pasted: ${message}`);
      editor.announce([done, ...found].join("\n"));
    } catch (error) {
      editor.announce(`This cannot be pasted: ${error.message}`);
    }
  }

  /** Take over a caption and nothing else; returns what was done, in words. */
  takeCaption({ caption }) {
    const { editor } = this;
    const { drawing } = editor;
    if (!caption.trim()) return "This text has neither a caption nor regions: nothing is changed.";
    editor.update(withCaption(drawing, caption));
    const stay = drawing.regions.length ? "; the regions stay" : "";
    const before = drawing.caption ? ` The caption was: ${drawing.caption}` : "";
    return `This text has no regions: it became the caption${stay}.${before}`;
  }

  /**
   * Add a layout's regions: those of a whole picture where they were, others at a point. Returns
   * what was done, in words.
   */
  add(layout, point) {
    const { editor } = this;
    const { drawing } = editor;
    const { regions } = fromLayout(layout);
    if (layout.caption && !drawing.caption && !drawing.regions.length) {
      editor.apply({ drawing: fromLayout(layout, drawing.incoming), selection: [] });
      return `${count(regions)} and a caption pasted.`;
    }
    const fresh = copies({ regions }, regions.map((_, index) => index));
    const at = layout.caption ? null : point;
    editor.apply(addRegions(drawing, placeRegions(fresh, at)));
    const lost = layout.caption && layout.caption !== drawing.caption;
    return `${count(regions)} pasted.` + (lost ? ` The caption was not: ${layout.caption}` : "");
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

const count = (regions) => `${regions.length} region${regions.length === 1 ? "" : "s"}`;
