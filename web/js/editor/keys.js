// What keys do on the canvas. Undo and redo are ComfyUI's own: every step here is one of its steps.

import { bounds, clamp, shiftInside, translate } from "../shared/geometry.js";
import * as actions from "./actions.js";
import { changeRegions, movable } from "./drawing.js";

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const STEP_PX = 1;
const LARGE_STEP_PX = 8;
const WRITE = Symbol("write the text");

/** Handle a key pressed in the editor; one that is handled goes no further. */
export function keyDown(editor, event) {
  if (asksSomething(event)) editor.large.close(); // which would cover it
  if (opensMenu(event)) {
    swallow(event);
    return editor.menu.openByKey(event.target);
  }
  if (editor.large.isLarge) {
    const way = wayThroughHistory(event);
    if (way) return editor.host.followUndo(way);
    if (asksToRun(event)) return run(editor, event);
  }
  if (event.target !== editor.stage.element) return keepFromComfyUI(editor, event);
  if (editor.model.dragging && event.key !== "Escape") return swallow(event);
  const command = commandFor(editor, event);
  if (!command) return;
  event.stopPropagation();
  if (command === WRITE) return write(editor); // the key then types into the text
  event.preventDefault();
  command();
}

function swallow(event) {
  event.preventDefault();
  event.stopPropagation();
}

/** A field keeps the browser's menu. */
const opensMenu = ({ key, shiftKey, target }) =>
  (key === "ContextMenu" || (key === "F10" && shiftKey)) && !target.matches("textarea, input");

/** Whether ComfyUI may answer a key by a dialog: to save, to open, or its settings. */
const asksSomething = ({ key, ctrlKey, metaKey }) =>
  (ctrlKey || metaKey) && ["s", "o", ","].includes(key.toLowerCase());

const asksToRun = ({ key, ctrlKey, metaKey, altKey }) =>
  (ctrlKey || metaKey) && !altKey && key === "Enter";

/** With what was typed until then. */
function run(editor, event) {
  editor.model.commitChanges();
  swallow(event);
  if (!event.repeat) editor.host.queue(event.shiftKey);
}

/** "undo" or "redo" if a key means ComfyUI's and not the browser's, in a field. */
function wayThroughHistory({ key, shiftKey, ctrlKey, metaKey, altKey, repeat, target }) {
  if (!(ctrlKey || metaKey) || altKey || repeat || target.matches("textarea, input")) return null;
  if (key.toLowerCase() === "z") return shiftKey ? "redo" : "undo";
  return key.toLowerCase() === "y" && !shiftKey ? "redo" : null;
}

/**
 * Delete and the like must act on the text or button they are typed on, not on the node. Escape goes
 * back to the canvas. What ComfyUI has on Control, such as to save or to run, it does, with what was
 * typed until then.
 */
function keepFromComfyUI(editor, event) {
  const { key, ctrlKey, metaKey, isComposing } = event;
  if (ctrlKey || metaKey) {
    if (["enter", "s"].includes(key.toLowerCase())) editor.model.commitChanges();
    return;
  }
  if (key === "Tab") return;
  event.stopPropagation();
  if (key === "Escape" && !isComposing) editor.stage.focus();
}

function commandFor(editor, { key, shiftKey, ctrlKey, metaKey, altKey }) {
  const { model } = editor;
  const { drawing, selection } = model;
  const control = ctrlKey || metaKey;
  const some = selection.length > 0;
  if (ARROWS[key] && !altKey) {
    const arrow = ARROWS[key].map((step) => step * (shiftKey ? LARGE_STEP_PX : STEP_PX));
    return () => (control ? grow(model, arrow) : nudge(model, arrow));
  }
  if (control && key.toLowerCase() === "d") {
    return () => actions.duplicate(model, selection);
  }
  if (control && key.toLowerCase() === "a") {
    const all = drawing.regions.map((_, index) => index);
    return () => model.select(movable(drawing, all));
  }
  if (altKey && key === "Enter") return () => editor.large.toggle();
  if (control || altKey) return null;
  if (key.length === 1 && key !== " ") return some ? WRITE : null;
  switch (key) {
    case "Delete":
    case "Backspace":
      // Also when there is nothing to delete: ComfyUI would delete the node.
      return () => actions.remove(model, selection);
    case "Escape": // with nothing to give up, it is ComfyUI's: to leave a subgraph
      return some || model.dragging || editor.large.isLarge
        ? () => editor.stage.cancelDrag() || editor.large.close() || model.select([])
        : null;
    case "Enter":
    case "F2":
      return () => some && write(editor);
    case "PageUp":
      return () => step(model, -1);
    case "PageDown":
      return () => step(model, 1);
    case "Insert":
      return () => editor.addRegion();
  }
  return null;
}

const write = ({ stage, model }) => stage.text.open(model.selection.at(-1));

function step(model, by) {
  const { regions } = model.drawing;
  if (!regions.length) return;
  const from = model.selection.at(-1) ?? (by > 0 ? -1 : 0);
  model.select([(from + by + regions.length) % regions.length]);
}

function nudge(model, arrow) {
  const { drawing, size, selection } = model;
  const moving = movable(drawing, selection);
  if (!moving.length) return;
  const frame = bounds(moving.map((index) => drawing.regions[index].box));
  const shift = shiftInside(frame, [arrow[0] / size.width, arrow[1] / size.height]);
  const nudged = changeRegions(drawing, moving, ({ box }) => ({ box: translate(box, shift) }));
  model.update(nudged, { commit: false }); // but when the key is let go, however often it repeats
}

/** Move the right and bottom edges. */
function grow(model, arrow) {
  const { drawing, size, minimum, selection } = model;
  const [dx, dy] = [arrow[0] / size.width, arrow[1] / size.height];
  const growing = movable(drawing, selection);
  if (!growing.length) return;
  const grown = changeRegions(drawing, growing, ({ box: [x0, y0, x1, y1] }) => ({
    box: [
      x0,
      y0,
      clamp(x1 + dx, Math.min(x1, x0 + minimum[0]), 1),
      clamp(y1 + dy, Math.min(y1, y0 + minimum[1]), 1),
    ],
  }));
  model.update(grown, { commit: false });
}
