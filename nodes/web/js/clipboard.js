// Copying and pasting regions with the keyboard while the canvas has the focus. What is copied is a
// layout's JSON; what can be pasted is every form that the server reads.

import {
  addRegions,
  copies,
  fromLayout,
  placeRegions,
  removeRegions,
  toLayout,
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
      const layout = asLayout(text) ?? (await editor.host.read(text));
      this.add(layout, pointer);
    } catch (error) {
      editor.announce(`This cannot be pasted: ${error.message}`);
    }
  }

  /** Add a pasted layout's regions: those of a whole picture where they were, others at a point. */
  add(layout, point) {
    const { editor } = this;
    const { drawing } = editor;
    const { regions } = fromLayout(layout);
    if (layout.caption && !drawing.caption && !drawing.regions.length) {
      return editor.apply({ drawing: fromLayout(layout, drawing.incoming), selection: [] });
    }
    const fresh = copies({ regions }, regions.map((_, index) => index));
    const at = layout.caption ? null : point;
    editor.apply(addRegions(drawing, placeRegions(fresh, at)));
    const lost = layout.caption && layout.caption !== drawing.caption;
    editor.announce(
      `${count(regions)} pasted.` + (lost ? ` The caption was not: ${layout.caption}` : ""),
    );
  }
}

/** The layout of a JSON text, whose regions may still lack texts; null for every other form. */
function asLayout(text) {
  try {
    const layout = JSON.parse(text);
    fromLayout(layout);
    const inside = ({ box }) => box.every((edge) => 0 <= edge && edge <= 1);
    return layout.regions.every(inside) ? layout : null;
  } catch {
    return null;
  }
}

const count = (regions) => `${regions.length} region${regions.length === 1 ? "" : "s"}`;
