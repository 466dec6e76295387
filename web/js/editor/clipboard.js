// Copying and pasting regions with the keyboard. What is copied is a layout's JSON, and beside it the
// regions as the editor keeps them, texts or none; what can be pasted is that, every form of text
// that the server reads, and pictures.

import { formatDrawing, parseDrawing, removeRegions, toLayout } from "./drawing.js";
import { addCopies, addLayout, numberOf, takeCaption } from "./pasting.js";

const OWN = "application/x-reco-regions"; // the type of what the editor copies for itself
const FREE = "body, canvas, .reco-stage"; // elements in which nothing is written

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
        if (!this.isMeant(event)) return;
        event.preventDefault();
        event.stopImmediatePropagation();
        handle(event);
      },
    ]);
    // On the document and first, since these events do not go to an element that has no caret, and
    // ComfyUI would copy and paste nodes.
    const reasons = new Set(); // to listen
    const heed = () => {
      const method = reasons.size ? "addEventListener" : "removeEventListener";
      for (const [name, listener] of listeners) document[method](name, listener, true);
    };
    for (const [begin, end] of [
      ["focus", "blur"],
      ["pointerenter", "pointerleave"],
    ]) {
      editor.canvas.addEventListener(begin, () => heed(reasons.add(begin)));
      editor.canvas.addEventListener(end, () => heed(reasons.delete(begin)));
    }
    this.remove = () => heed(reasons.clear()); // stop listening
  }

  /**
   * Whether a key is meant for this canvas: the one that has the focus; to paste regions, and to copy
   * them where ComfyUI has nothing to copy, the one below the pointer will do.
   */
  isMeant({ type, clipboardData }) {
    const { canvas, host } = this.editor;
    const below = document.querySelector(".reco-stage:hover");
    const active = document.activeElement ?? document.body;
    const isFree = below && active.matches(FREE);
    if (isFree && type === "paste" && clipboardData.types.includes(OWN)) return below === canvas;
    if (active === canvas) return true;
    return isFree && below === canvas && type === "copy" && !host.hasSelection();
  }

  copy({ clipboardData }) {
    const { drawing, selection, size } = this.editor.model;
    const chosen = selection.length ? selection : drawing.regions.map((_, index) => index);
    const copied = { caption: "", regions: chosen.map((index) => drawing.regions[index]) };
    clipboardData.setData("text/plain", layoutText(toLayout(copied, size)));
    clipboardData.setData(OWN, formatDrawing(copied));
    this.editor.announce(`${numberOf(chosen)} copied.`);
  }

  cut(event) {
    this.copy(event);
    const { model } = this.editor;
    const { drawing, selection } = model;
    if (selection.length) model.apply(removeRegions(drawing, selection));
  }

  paste({ clipboardData }) {
    const { editor } = this;
    const own = clipboardData.getData(OWN);
    const text = clipboardData.getData("text/plain");
    const [file] = clipboardData.files;
    if (own) return this.pasteOwn(own);
    if (text.trim()) return this.pasteText(text);
    if (file) return editor.exchange.offerFile(file);
    editor.announce("The clipboard holds no text and no picture: nothing is pasted.");
  }

  pasteOwn(text) {
    const { editor } = this;
    try {
      const { regions } = parseDrawing(text);
      editor.stage.focus();
      editor.announce(addCopies(editor.model, regions, editor.stage.pointerAt));
    } catch (error) {
      editor.announce(`This cannot be pasted: ${error.message}`);
    }
  }

  /** Add what the text says. What would replace something is shown first. */
  async pasteText(text) {
    const { editor } = this;
    const { model } = editor;
    const { pointerAt } = editor.stage;
    let reading;
    try {
      reading = await editor.host.read(text);
    } catch (error) {
      return editor.announce(`This cannot be pasted: ${error.message}`);
    }
    const { layout, remarks } = reading;
    const replaces = !layout.regions.length && model.drawing.caption.trim();
    if (replaces) return editor.exchange.offer(text, reading);
    const done = layout.regions.length
      ? addLayout(model, layout, pointerAt)
      : takeCaption(model, layout);
    const found = remarks.map(({ message }) => `What was pasted: ${message}`);
    editor.announce([done, ...found].join("\n"));
  }
}

/** A layout's JSON with each region on a line, as reco_core/indented.py writes it. */
function layoutText({ regions, ...head }) {
  const lines = regions.map((region) => `    ${JSON.stringify(region)}`);
  const begin = JSON.stringify(head, null, 2).replace(/\n\}$/, "");
  return `${begin},\n  "regions": [\n${lines.join(",\n")}\n  ]\n}`;
}
