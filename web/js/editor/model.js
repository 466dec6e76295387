// What the editor's parts show and change: one drawing, what of it is selected, what the server
// counted, and how a person likes to draw. Parts read it and ask it to change; nothing else can.

import { longestOf } from "./choices.js";
import { colorsOf } from "./colors.js";
import {
  EMPTY,
  completeRegions,
  formatDrawing,
  parseDrawing,
  textlessRegions,
  toLayout,
  withChoices,
} from "./drawing.js";
import { leastBox, snappingOf } from "./measures.js";
import { understood } from "./preferences.js";

/** What is known of the regions before the server has counted. */
const UNCOUNTED = {
  tokens: [], // of each region, as texts
  unfit: new Set(), // indices of the regions that do not fit
  remarks: [], // of each region, a list or nothing
};

export class Model {
  #host;
  #view;
  #drawing = EMPTY;
  #selection = [];
  #unreadable = null; // {value, why} of one that is no drawing, kept until it is replaced
  #uncommitted = false; // whether there are changes that are no step of undo yet
  #before = null; // {drawing, selection} when the drag began that goes on
  #count = UNCOUNTED;
  #known = { drawing: null }; // what follows from it: {longest, textless}
  #preferences;
  #refused = new Set(); // what was said of preferences, once

  /**
   * host: ComfyHost, see comfy/host.js. view: is told what to show again: render() the drawing,
   * refresh() everything, reveal(index) a region that was selected.
   */
  constructor(host, view) {
    this.#host = host;
    this.#view = view;
    this.readPreferences();
  }

  get drawing() {
    return this.#drawing;
  }

  /** Indices of regions, the one that was selected last at the end. */
  get selection() {
    return this.#selection;
  }

  // The value that the workflow keeps

  get value() {
    return this.#unreadable?.value ?? formatDrawing(this.#settled);
  }

  /** What is queued: the value, with one of each choice {a|b} in its texts, another each time. */
  get queued() {
    return this.#unreadable?.value ?? formatDrawing(withChoices(this.#settled));
  }

  /** A drag counts when it has ended: ComfyUI may ask in its midst. */
  get #settled() {
    return this.#before?.drawing ?? this.#drawing;
  }

  /** Show a saved value. One that is no drawing is kept, see unreadable. */
  load(value) {
    if (value === this.value) return;
    let drawing = EMPTY;
    this.#unreadable = null;
    try {
      drawing = parseDrawing(String(value ?? ""));
    } catch ({ message }) {
      this.#unreadable = { value, why: message.replace(/\.$/, "") };
    }
    this.#show(drawing);
  }

  /** {value, why} of a saved value that is no drawing; null when it is one. */
  get unreadable() {
    return this.#unreadable;
  }

  #show(drawing) {
    this.#drawing = drawing;
    this.#count = UNCOUNTED;
    this.#selection = this.#selection.filter((index) => index < drawing.regions.length);
    this.#view.refresh();
  }

  // Changing the drawing

  /** Replace the drawing. commit: whether this ends a step that undo goes back over. */
  update(drawing, { selection = this.#selection, commit = true } = {}) {
    this.#unreadable = null;
    this.#preview(drawing, selection);
    this.#uncommitted = true;
    if (commit) this.commit();
    else this.#host.keepDraft();
  }

  /** Take over what a function of drawing.js returned; regions may have other numbers now. */
  apply({ drawing, selection }) {
    this.#count = UNCOUNTED;
    this.update(drawing, { selection });
    this.#reveal();
  }

  #reveal() {
    if (this.#selection.length) this.#view.reveal(this.#selection.at(-1));
  }

  /** End a step of undo. */
  commit() {
    this.#uncommitted = false;
    this.#host.commit();
  }

  /** End a step of undo if something has changed since the last. */
  commitChanges() {
    if (this.#uncommitted) this.commit();
  }

  select(selection) {
    if (String(selection) === String(this.#selection)) return;
    this.#selection = selection;
    this.#view.render();
    this.#reveal();
  }

  // A drag: its states are shown, and the last of them counts

  get dragging() {
    return this.#before !== null;
  }

  beginDrag(selection) {
    this.#before = { drawing: this.#drawing, selection: this.#selection };
    this.select(selection);
  }

  drag({ drawing, selection }) {
    this.#preview(drawing, selection);
  }

  endDrag() {
    const { drawing } = this.#before;
    this.#before = null;
    if (this.#drawing === drawing) return;
    this.update(this.#drawing);
    this.#reveal();
  }

  /** End a drag as if it had not been. */
  cancelDrag() {
    const { drawing, selection } = this.#before;
    this.#before = null;
    this.#preview(drawing, selection);
  }

  #preview(drawing, selection) {
    this.#drawing = drawing;
    this.#selection = selection;
    this.#view.render();
  }

  // What the server counted

  /** {tokens, unfit, remarks} of the regions. */
  get count() {
    return this.#count;
  }

  takeCount(count) {
    this.#count = count;
    this.#view.render();
  }

  // What goes with the drawing

  /** "#rrggbb" of each region. */
  get colors() {
    return colorsOf(this.#drawing);
  }

  /** {width, height} of the picture in pixels. */
  get size() {
    return this.#host.size();
  }

  /** Indices and layout of the regions that can be generated. */
  get complete() {
    return this.#completeOf(this.#drawing);
  }

  /** The same with the longest of each choice {a|b}: the most that it may take. */
  get longest() {
    return this.#completeOf(this.#following.longest);
  }

  /** Indices of the regions that Run will find without a text. */
  get textless() {
    return this.#following.textless;
  }

  get #following() {
    const drawing = this.#drawing;
    if (this.#known.drawing !== drawing) {
      const longest = withChoices(drawing, longestOf);
      this.#known = { drawing, longest, textless: new Set(textlessRegions(longest)) };
    }
    return this.#known;
  }

  #completeOf(drawing) {
    const regions = completeRegions(drawing);
    const chosen = regions.map((index) => drawing.regions[index]);
    return { regions, layout: toLayout({ ...drawing, regions: chosen }, this.size) };
  }

  /** The least [width, height] of a box, fractions. */
  get minimum() {
    return leastBox(this.size);
  }

  get snapping() {
    return snappingOf(this.#preferences, this.size);
  }

  get preferences() {
    return this.#preferences;
  }

  prefer(preferences) {
    this.#preferences = { ...this.#preferences, ...preferences };
    this.#host.setPreferences(this.#preferences);
    this.#view.refresh();
  }

  /** Read again what the workflow says of them. */
  readPreferences() {
    const { preferences, refused } = understood(this.#host.preferences());
    for (const refusal of refused) {
      if (!this.#refused.has(refusal)) console.warn(refusal);
      this.#refused.add(refusal);
    }
    this.#preferences = preferences;
  }
}
