// The regions' own menu: by a right click on a box or a row, or by the menu key.

import * as actions from "./actions.js";
import { contains } from "../shared/geometry.js";
import { indices, movable } from "./drawing.js";
import { Menu } from "./menu.js";

export class RegionMenu {
  #menu = new Menu();
  #writing = null; // the field that had the focus before the last press

  constructor(editor) {
    this.editor = editor;
    this.model = editor.model;
  }

  /** Listen to the editor's element. */
  follow(root) {
    root.addEventListener("pointerdown", () => (this.#writing = document.activeElement), true);
    root.addEventListener("contextmenu", (event) => this.pressed(event));
  }

  close() {
    this.#menu.close();
  }

  /** A right click. A field that is being written keeps the browser's menu, to correct and paste. */
  pressed(event) {
    const { target, clientX, clientY } = event;
    const row = this.editor.list.rowOf(target);
    const onStage = this.editor.stage.element.contains(target);
    if (!row && !onStage) return;
    event.stopPropagation();
    if (target.matches("textarea, input") && target === this.#writing) return;
    event.preventDefault();
    if (this.#menu.isOpen) return; // opened by the key that this event follows
    const index = row ? row.index : this.indexAt(event);
    this.openAt(index, { x: clientX, y: clientY }, row ? row.grip.element : this.editor.canvas);
  }

  /** Open it by a key pressed on the canvas, or on something in a row. */
  openByKey(target) {
    const { model, editor } = this;
    const row = editor.list.rowOf(target);
    const index = row ? row.index : model.selection.at(-1);
    const shown = row ? row.element : editor.stage.boxes[index] ?? editor.canvas;
    const { left, bottom } = shown.getBoundingClientRect();
    this.openAt(index, { x: left, y: bottom }, row ? target : editor.canvas);
  }

  /** The region of the box at the pointer: a selected one, else the smallest; locked ones too. */
  indexAt({ clientX, clientY }) {
    const { drawing, selection } = this.model;
    const point = this.editor.stage.pointAt({ clientX, clientY });
    const area = (index) => {
      const [x0, y0, x1, y1] = drawing.regions[index].box;
      return (x1 - x0) * (y1 - y0);
    };
    const here = indices(drawing.regions, ({ box, hidden }) => !hidden && contains(box, point));
    return (
      here.find((index) => selection.includes(index)) ??
      here.sort((one, other) => area(one) - area(other))[0]
    );
  }

  /** index: of the region that is meant, undefined for none. */
  openAt(index, at, focus) {
    const { model } = this;
    if (index !== undefined && !model.selection.includes(index)) model.select([index]);
    const chosen = index === undefined ? [] : [...model.selection];
    const name = chosen.length > 1 ? `${chosen.length} regions` : `Region ${index + 1}`;
    if (chosen.length) this.#menu.open(name, this.itemsOf(chosen, index), at, focus);
    else this.#menu.open("Regions", this.itemsOfAll(), at, focus);
  }

  itemsOf(chosen, index) {
    const { model, editor } = this;
    const { locked, hidden } = model.drawing.regions[index];
    return [
      ["Edit text", "Enter", () => editor.write(index)],
      null,
      ["Copy", "Ctrl+C", () => this.copy()],
      ["Duplicate", "Ctrl+D", () => actions.duplicate(model, chosen)],
      ["Select all", "Ctrl+A", () => this.selectAll()],
      null,
      [locked ? "Unlock" : "Lock", "", () => actions.toggle(model, chosen, "locked", index)],
      [hidden ? "Show" : "Hide", "", () => actions.toggle(model, chosen, "hidden", index)],
      ["Bring to front", "last in the prompt", () => actions.order(model, chosen, true)],
      ["Send to back", "first in the prompt", () => actions.order(model, chosen, false)],
      null,
      ["Delete", "Del", () => actions.remove(model, chosen)],
    ];
  }

  itemsOfAll() {
    const { model, editor } = this;
    if (!model.drawing.regions.length) return [["Add a region", "Insert", () => editor.addRegion()]];
    return [
      ["Add a region", "Insert", () => editor.addRegion()],
      ["Select all", "Ctrl+A", () => this.selectAll()],
      null,
      ["Clear all", "", () => editor.clear()],
    ];
  }

  selectAll() {
    const { drawing } = this.model;
    this.model.select(movable(drawing, drawing.regions.map((_, index) => index)));
  }

  /** As the keys do: the canvas then answers the browser's question what is to be copied. */
  copy() {
    this.editor.stage.focus();
    document.execCommand("copy");
  }
}
