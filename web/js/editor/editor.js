// The layout editor: one drawing, what of it is selected, and the parts that show and change it.
// It knows nothing of ComfyUI; what it needs from there is `host` (ComfyHost in reco.js).

import { longestOf } from "./choices.js";
import { Clipboard } from "./clipboard.js";
import {
  EMPTY,
  completeRegions,
  formatDrawing,
  fromLayout,
  parseDrawing,
  toLayout,
  withCaption,
  withChoices,
} from "./drawing.js";
import { element, set } from "../shared/dom.js";
import { Exchange } from "./exchange.js";
import { keyDown } from "./keys.js";
import { RegionList } from "./list.js";
import { Stage } from "./stage.js";
import { TokenMeter } from "./token_meter.js";
import { Toolbar } from "./toolbar.js";

const CELL_PX = 8; // a latent cell of Stable Diffusion: nothing smaller can be painted
const GRID_CELLS = 16; // along the longer side

const PREFERENCES = {
  snap: "cells", // "off", "cells", "grid"
  snapBoxes: true,
  guides: "none", // "none", "thirds", "grid"
  background: "image", // "none", "image", "last"
  dim: 0.5,
  unit: "px",
};

const HINT =
  "Drag to draw a box. Page Up and Page Down select another region, arrows move it by 1 pixel, " +
  "with Shift by 8, with Control they change its size. Typing or Enter writes its text, Delete " +
  "removes it, Insert adds one.";

let count = 0;

export class LayoutEditor {
  constructor(host) {
    this.host = host;
    this.id = `reco-editor-${++count}`;
    this.hintId = `${this.id}-hint`;
    this.drawing = EMPTY;
    this.selection = [];
    this.unreadable = null; // a value that is no drawing, kept until something is drawn
    this.uncommitted = false; // whether there are changes that are no step of undo yet
    this.tokens = []; // of each region, as texts
    this.unfit = new Set(); // indices of the regions that do not fit
    this.remarks = []; // of each region, a list or nothing
    this.preferences = { ...PREFERENCES, ...host.preferences() };
    this.stage = new Stage(this);
    this.list = new RegionList(this);
    this.toolbar = new Toolbar(this);
    this.meter = new TokenMeter(this);
    this.exchange = new Exchange(this);
    this.clipboard = new Clipboard(this);
    this.caption = element("textarea", {
      class: "reco-caption",
      rows: 2,
      placeholder: "caption of the whole picture",
      "aria-label": "Caption of the whole picture",
      on: {
        input: () => this.update(withCaption(this.drawing, this.caption.value), { commit: false }),
        change: () => this.commit(),
      },
    });
    this.status = element("div", { class: "reco-status", role: "status" });
    const frame = element("div", { class: "reco-frame" }, this.stage.element);
    this.element = element(
      "div",
      { class: "reco-editor", id: this.id, on: { keydown: (event) => keyDown(this, event) } },
      this.toolbar.element,
      element(
        "div",
        { class: "reco-body" },
        element("div", { class: "reco-main" }, frame, this.caption, this.meter.element),
        this.list.element,
      ),
      this.status,
      this.exchange.element,
      element("div", { id: this.hintId, hidden: true }, HINT),
    );
    this.resizing = new ResizeObserver(() => this.stage.render());
    this.resizing.observe(this.stage.element);
    this.refresh();
  }

  // The value that the workflow keeps

  get value() {
    return this.unreadable ?? formatDrawing(this.settled);
  }

  /** What is queued: the value, with one of each choice {a|b} in its texts, another each time. */
  get queued() {
    return this.unreadable ?? formatDrawing(withChoices(this.settled));
  }

  /** A drag counts when it has ended: ComfyUI may ask in its midst. */
  get settled() {
    return this.stage.pointer.drag?.before.drawing ?? this.drawing;
  }

  set value(text) {
    if (text === this.value) return;
    try {
      this.show(parseDrawing(String(text ?? "")));
      this.unreadable = null;
    } catch (error) {
      this.show(EMPTY);
      this.unreadable = text;
      const why = `The saved drawing cannot be read: ${error.message}.`;
      this.announce(`${why} It is kept until you draw.`);
    }
  }

  show(drawing) {
    this.drawing = drawing;
    this.forgetTokens();
    this.selection = this.selection.filter((index) => index < drawing.regions.length);
    this.refresh();
  }

  /** A layout that another node sent replaces the drawing, unless the drawing began with it. */
  receive({ fingerprint, layout }) {
    if (this.drawing.incoming === fingerprint) return;
    // What is being drawn or written becomes a step of its own, which undo can go back to.
    this.stage.pointer.cancel();
    this.stage.text.keep();
    this.commit();
    this.host.setSize(layout.width, layout.height);
    this.apply({ drawing: fromLayout(layout, fingerprint), selection: [] });
  }

  // Changing the drawing

  /** Replace the drawing. commit: whether this ends a step that undo goes back over. */
  update(drawing, { selection = this.selection, commit = true } = {}) {
    this.unreadable = null;
    this.preview(drawing, selection);
    this.uncommitted = true;
    if (commit) this.commit();
  }

  /** Take over what a function of drawing.js returned; regions may have other numbers now. */
  apply({ drawing, selection }) {
    this.forgetTokens();
    this.update(drawing, { selection });
  }

  /** Show a drawing while a gesture goes on. */
  preview(drawing, selection) {
    this.drawing = drawing;
    this.selection = selection;
    this.render();
  }

  commit() {
    this.uncommitted = false;
    this.host.commit();
  }

  forgetTokens() {
    this.tokens = [];
    this.unfit = new Set();
    this.remarks = [];
  }

  select(selection) {
    if (String(selection) === String(this.selection)) return;
    this.selection = selection;
    this.render();
    if (selection.length) this.list.reveal(selection.at(-1));
  }

  // What goes with it

  get size() {
    return this.host.size();
  }

  /** Indices and layout of the regions that can be generated. */
  get complete() {
    return this.completeOf(this.drawing);
  }

  /** The same with the longest of each choice {a|b}: the most that it may take. */
  get longest() {
    return this.completeOf(withChoices(this.drawing, longestOf));
  }

  completeOf(drawing) {
    const regions = completeRegions(drawing);
    const chosen = regions.map((index) => drawing.regions[index]);
    return { regions, layout: toLayout({ ...drawing, regions: chosen }, this.size) };
  }

  /** The least width and height of a box. */
  get minimum() {
    const { width, height } = this.size;
    return [Math.min(1, CELL_PX / width), Math.min(1, CELL_PX / height)];
  }

  get snapping() {
    const { width, height } = this.size;
    const { snap, snapBoxes } = this.preferences;
    const stepPx = { off: 0, cells: CELL_PX, grid: this.gridPx }[snap] ?? 0;
    return { step: [stepPx / width, stepPx / height], boxes: snapBoxes };
  }

  /** Side of the grid's squares, in whole latent cells. */
  get gridPx() {
    const { width, height } = this.size;
    return CELL_PX * Math.max(1, Math.round(Math.max(width, height) / GRID_CELLS / CELL_PX));
  }

  /** A shift by so many pixels, right and down. */
  nudge(pixels) {
    return [pixels / this.size.width, pixels / this.size.height];
  }

  prefer(preferences) {
    Object.assign(this.preferences, preferences);
    this.host.setPreferences(this.preferences);
    this.refresh();
  }

  // Showing it

  announce(text) {
    set(this.status, "textContent", text);
  }

  /** Show everything again, also what ComfyUI knows: size, background, preferences. */
  refresh() {
    Object.assign(this.preferences, this.host.preferences());
    const { background, dim, guides } = this.preferences;
    this.stage.showBackground(this.host.background(background), dim);
    this.stage.showGuides(guides);
    const { width, height } = this.size;
    const { style } = this.element;
    style.setProperty("--reco-grid-x", `${(100 * this.gridPx) / width}%`);
    style.setProperty("--reco-grid-y", `${(100 * this.gridPx) / height}%`);
    this.toolbar.render();
    this.render();
  }

  render() {
    set(this.caption, "value", this.drawing.caption);
    this.stage.render();
    this.list.render();
    this.meter.render();
  }

  /** Stop listening. The element is its owner's to take away. */
  remove() {
    this.resizing.disconnect();
    this.meter.remove();
  }
}
