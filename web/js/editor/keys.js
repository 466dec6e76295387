// What keys do on the canvas. Undo and redo are ComfyUI's own: every step here is one of its steps.

import { addRegions, changeRegions, duplicateRegions, movable, removeRegions } from "./drawing.js";
import { bounds, clamp, shiftInside, translate } from "../shared/geometry.js";

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const STEP_PX = 1;
const LARGE_STEP_PX = 8;
const WRITE = Symbol("write the text");

/** Handle a key pressed in the editor; one that is handled goes no further. */
export function keyDown(editor, event) {
  if (event.target !== editor.stage.element) return keepFromComfyUI(event);
  if (editor.stage.pointer.drag && event.key !== "Escape") return swallow(event);
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

/** Delete and the like must act on the text or button they are typed on, not on the node. */
function keepFromComfyUI(event) {
  const { key, ctrlKey, metaKey } = event;
  if (!ctrlKey && !metaKey && key !== "Tab" && key !== "Escape") event.stopPropagation();
}

function commandFor(editor, { key, shiftKey, ctrlKey, metaKey, altKey }) {
  const { drawing, selection } = editor;
  const control = ctrlKey || metaKey;
  const some = selection.length > 0;
  if (ARROWS[key] && !altKey) {
    const arrow = ARROWS[key].map((step) => step * (shiftKey ? LARGE_STEP_PX : STEP_PX));
    return () => (control ? grow(editor, arrow) : nudge(editor, arrow));
  }
  if (control && key.toLowerCase() === "d") {
    return () => some && editor.apply(duplicateRegions(drawing, selection, editor.nudge(16)));
  }
  if (control && key.toLowerCase() === "a") {
    const all = drawing.regions.map((_, index) => index);
    return () => editor.select(movable(drawing, all));
  }
  if (control || altKey) return null;
  if (key.length === 1 && key !== " ") return some ? WRITE : null;
  switch (key) {
    case "Delete":
    case "Backspace":
      // Also when there is nothing to delete: ComfyUI would delete the node.
      return () => some && editor.apply(removeRegions(drawing, selection));
    case "Escape":
      return () => editor.stage.pointer.cancel() || editor.select([]);
    case "Enter":
    case "F2":
      return () => some && write(editor);
    case "PageUp":
      return () => step(editor, -1);
    case "PageDown":
      return () => step(editor, 1);
    case "Insert":
      return () => addInTheMiddle(editor);
  }
  return null;
}

export function addInTheMiddle(editor) {
  editor.apply(addRegions(editor.drawing, [{ box: [0.3, 0.3, 0.7, 0.7] }]));
  editor.list.reveal(editor.selection[0], { write: true });
}

const write = (editor) => editor.stage.text.open(editor.selection.at(-1));

function step(editor, by) {
  const { regions } = editor.drawing;
  if (!regions.length) return;
  const from = editor.selection.at(-1) ?? (by > 0 ? -1 : 0);
  editor.select([(from + by + regions.length) % regions.length]);
}

function nudge(editor, arrow) {
  const { drawing, size } = editor;
  const moving = movable(drawing, editor.selection);
  if (!moving.length) return;
  const frame = bounds(moving.map((index) => drawing.regions[index].box));
  const shift = shiftInside(frame, [arrow[0] / size.width, arrow[1] / size.height]);
  const nudged = changeRegions(drawing, moving, ({ box }) => ({ box: translate(box, shift) }));
  editor.update(nudged, { commit: false }); // but when the key is let go, however often it repeats
}

/** Move the right and bottom edges. */
function grow(editor, arrow) {
  const { drawing, size, minimum } = editor;
  const [dx, dy] = [arrow[0] / size.width, arrow[1] / size.height];
  const growing = movable(drawing, editor.selection);
  if (!growing.length) return;
  const grown = changeRegions(drawing, growing, ({ box: [x0, y0, x1, y1] }) => ({
    box: [
      x0,
      y0,
      clamp(x1 + dx, Math.min(x1, x0 + minimum[0]), 1),
      clamp(y1 + dy, Math.min(y1, y0 + minimum[1]), 1),
    ],
  }));
  editor.update(grown, { commit: false });
}

