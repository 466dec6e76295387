// What a LayoutEditor asks of the application around it, answered for a node of ComfyUI.

import { isLinked, linkedValue, placeOf } from "./graph.js";
import { pictureInto } from "./pictures.js";
import { readersOf } from "./readers.js";
import { troubleOf } from "./trouble.js";

const DRAFT_MS = 300; // after a key, until the next
const SIDE_PX = 512; // where nothing tells the picture's
const masks = new Map(); // digest of each mask that came with a layout -> a small PNG as base64

export class ComfyHost {
  #widget = null; // which shows the editor
  #draft = null; // a timer

  /** lastPicture: returns the last picture that was sampled from the node's layout, or null. */
  constructor(node, frontEnd, lastPicture) {
    this.node = node;
    this.frontEnd = frontEnd;
    this.lastPicture = lastPicture;
    this.sent = {}; // what the server sent when the node last ran: {size, image}
  }

  attach(widget) {
    this.#widget = widget;
  }

  takeSent(sent) {
    this.sent = sent;
    for (const [digest, picture] of Object.entries(sent.masks ?? {})) masks.set(digest, picture);
  }

  // Size

  /** {width, height} of the picture in pixels. */
  size() {
    return { width: this.side("width", 0), height: this.side("height", 1) };
  }

  side(name, axis) {
    const own = positive(this.sideWidget(name)?.value);
    if (!this.isLinked(name)) return own ?? SIDE_PX;
    const linked = linkedValue(placeOf(this.node, this.frontEnd.root), name);
    return positive(linked) ?? this.sent.size?.[axis] ?? own ?? SIDE_PX;
  }

  /**
   * Give the picture a size. Where a side that comes in by a link is another, both stay. Returns
   * whether the picture has this size then.
   */
  setSize(width, height) {
    const wanted = { width, height };
    const now = this.size();
    const changed = Object.keys(wanted).filter((name) => wanted[name] !== now[name]);
    if (changed.some((name) => this.isLinked(name))) return false;
    for (const name of changed) {
      const widget = this.sideWidget(name);
      widget.value = wanted[name];
      widget.callback?.(wanted[name]);
    }
    return true;
  }

  sizeIsLinked() {
    return this.isLinked("width") || this.isLinked("height");
  }

  sideWidget(name) {
    return this.node.widgets?.find((widget) => widget.name === name);
  }

  isLinked(name) {
    return isLinked(this.node, name);
  }

  // The workflow

  /** End a step of ComfyUI's undo. */
  commit() {
    clearTimeout(this.#draft);
    this.#widget?.callback?.(this.#widget.value);
    this.node.graph?.setDirtyCanvas?.(true, true);
    this.frontEnd.endStep();
  }

  undo() {
    this.frontEnd.travel("undo");
  }

  redo() {
    this.frontEnd.travel("redo");
  }

  /** A key for "undo" or "redo" was pressed while the editor is a dialog. */
  followUndo(way) {
    this.frontEnd.followUndo(way);
  }

  /** Control and Enter were pressed while the editor is a dialog, where front ends from 1.58 on hear
   * no key. */
  queue(isUrgent) {
    this.frontEnd.queue(isUrgent);
  }

  /** Whether there is a step to "undo" or to "redo"; true when that cannot be told. */
  canTravel(way) {
    return this.frontEnd.stepsTo(way) !== 0;
  }

  /** Something was typed that is no step of undo yet: a reload must not lose it. */
  keepDraft() {
    clearTimeout(this.#draft);
    this.#draft = setTimeout(() => this.frontEnd.keepDraft(), DRAFT_MS);
  }

  /** What the workflow says of them: anything, see editor/preferences.js. */
  preferences() {
    return this.node.properties?.reco_editor;
  }

  /** Say these; what else the workflow says stays. */
  setPreferences(preferences) {
    const { reco_editor: said } = this.node.properties;
    const kept = typeof said === "object" && !Array.isArray(said) ? said : {};
    this.node.properties.reco_editor = { ...kept, ...preferences };
    this.commit();
  }

  /** Whether it is in a subgraph whose node cannot show it. */
  staysInside() {
    const around = placeOf(this.node, this.frontEnd.root).within.at(-1);
    return Boolean(around) && !this.frontEnd.canShowEditors(around);
  }

  /** {cause, words} of why the last run was refused or failed, or null. */
  trouble() {
    return troubleOf(this.frontEnd);
  }

  // The page

  /** Address of the picture behind the boxes, or null. */
  background(kind) {
    const picture = kind === "last" ? this.lastPicture() : kind === "image" && this.linkedPicture();
    return picture ? this.frontEnd.addressOf(picture) : null;
  }

  /** What the node it comes from shows by now, else what came in with the last run. */
  linkedPicture() {
    if (!this.isLinked("image")) return null;
    const { frontEnd } = this;
    const outputsOf = (node) => frontEnd.outputsOf(node);
    return pictureInto(placeOf(this.node, frontEnd.root), "image", outputsOf) ?? this.sent.image;
  }

  /** Address of the shape of a mask, by its digest, or null if no run has shown it. */
  mask(digest) {
    return masks.has(digest) ? `data:image/png;base64,${masks.get(digest)}` : null;
  }

  zoom() {
    return this.frontEnd.zoom;
  }

  /** Whether nodes are selected, for which keys are meant then. */
  hasSelection() {
    return this.frontEnd.hasSelection;
  }

  // The server

  /** What tells how this node's layout will be read: see readers.js. */
  readers() {
    return readersOf(this.node, this.frontEnd.root);
  }

  count(layout, readers) {
    return this.frontEnd.ask("count", { layout, readers });
  }

  /** {layout, remarks} of a text in any form. */
  read(text) {
    return this.frontEnd.ask("read", { text, ...this.size() });
  }

  /** {layout, remarks, text} of a picture or a file of JSON: text is the layout's JSON. */
  recall(file) {
    const about = new URLSearchParams({ name: file.name, ...this.size() });
    return this.frontEnd.send(`recall?${about}`, file);
  }

  /** The file of a picture that this ComfyUI shows. Throws an Error when it is another's. */
  fetchPicture(link) {
    return this.frontEnd.fetchPicture(link);
  }

  /** {form: {label, text, remarks} or {label, error}}. */
  write(layout) {
    return this.frontEnd.ask("write", { layout });
  }
}

const positive = (value) => (Number(value) > 0 ? Number(value) : null);
