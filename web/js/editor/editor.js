// The layout editor: the model of what is drawn, and the parts that show and change it. It knows
// nothing of ComfyUI; what it needs from there is `host` (comfy/host.js).

import { element, set } from "../shared/dom.js";
import { removeAll } from "./actions.js";
import { Clipboard } from "./clipboard.js";
import { addRegions, fromLayout, withCaption } from "./drawing.js";
import { takeDrops } from "./dropping.js";
import { Exchange } from "./exchange.js";
import { keyDown } from "./keys.js";
import { LargeView } from "./large.js";
import { RegionList } from "./list.js";
import { gridPx } from "./measures.js";
import { Model } from "./model.js";
import { sizeStays } from "./pasting.js";
import { RegionMenu } from "./region_menu.js";
import { Stage } from "./stage.js";
import { TextlessNotice } from "./textless.js";
import { TokenMeter } from "./token_meter.js";
import { Toolbar } from "./toolbar.js";
import { Unreadable } from "./unreadable.js";
import { Viewport } from "./viewport.js";

export const MIN_HEIGHT = 440; // in pixels

const HINT =
  "Drag to draw a box. Page Up and Page Down select another region, arrows move it by 1 pixel, " +
  "with Shift by 8, with Control they change its size. Typing or Enter writes its text, Delete " +
  "removes it, Insert adds one.";

const INSIDE =
  "The subgraph's node cannot show this editor. To draw out there, keep an editor outside and wire its " +
  "layout in.";

let count = 0;

/** Browsers undo typing in a field that has lost the focus as well; then undo is ComfyUI's alone. */
function leaveToComfy(event) {
  const isUndo = event.inputType.startsWith("history");
  if (isUndo && event.target !== event.target.ownerDocument.activeElement) event.preventDefault();
}

export class LayoutEditor {
  constructor(host) {
    this.host = host;
    this.id = `reco-editor-${++count}`;
    this.hintId = `${this.id}-hint`;
    this.model = new Model(host, this);
    this.large = new LargeView(this);
    this.stage = new Stage(this);
    this.viewport = new Viewport(this);
    this.list = new RegionList(this);
    this.toolbar = new Toolbar(this);
    this.meter = new TokenMeter(this);
    this.exchange = new Exchange(this);
    this.clipboard = new Clipboard(this);
    this.unreadable = new Unreadable(this);
    this.caption = this.makeCaption();
    this.textless = new TextlessNotice(this);
    this.inside = element("div", { class: "reco-inside-note", hidden: true }, INSIDE);
    this.status = element("div", { class: "reco-status", role: "status" });
    this.body = this.makeBody();
    this.menu = new RegionMenu(this);
    this.element = this.arrange();
    this.menu.follow(this.element);
    takeDrops(this);
    this.element.addEventListener("beforeinput", leaveToComfy, true);
    this.resizing = new ResizeObserver(() => this.stage.measure());
    this.resizing.observe(this.stage.element);
    this.framing = new ResizeObserver(() => this.viewport.measure());
    this.framing.observe(this.viewport.element);
    this.refresh();
  }

  makeCaption() {
    const { model } = this;
    const area = element("textarea", {
      class: "reco-caption",
      rows: 2,
      dir: "auto",
      placeholder: "caption of the whole picture",
      "aria-label": "Caption of the whole picture",
      on: {
        input: () => model.update(withCaption(model.drawing, area.value), { commit: false }),
        change: () => model.commit(),
      },
    });
    return area;
  }

  makeBody() {
    return element(
      "div",
      { class: "reco-body" },
      element("div", { class: "reco-main" }, this.viewport.element, this.caption, this.meter.element),
      this.list.element,
    );
  }

  arrange() {
    const made = element(
      "dialog", // for the large view alone
      {
        class: "reco-editor",
        role: "group",
        id: this.id,
        style: { minHeight: `${MIN_HEIGHT}px` },
        on: { keydown: (event) => keyDown(this, event) },
      },
      element("div", { class: "reco-head" }, this.toolbar.element, this.viewport.enlarge),
      this.body,
      this.textless.element,
      this.inside,
      this.status,
      this.unreadable.element,
      this.exchange.element,
      element("div", { id: this.hintId, hidden: true }, HINT),
    );
    this.large.attach(made);
    return made;
  }

  // What ComfyUI asks of it

  get value() {
    return this.model.value;
  }

  get queued() {
    return this.model.queued;
  }

  /** Show a value that was saved. */
  load(value) {
    this.model.load(value);
  }

  /** A layout that another node sent replaces the drawing, unless the drawing began with it. */
  receive({ fingerprint, layout }) {
    const { model } = this;
    if (model.drawing.incoming === fingerprint) return;
    // What is being drawn or written becomes a step of its own, which undo can go back to.
    this.stage.cancelDrag();
    this.stage.text.keep();
    model.commit();
    if (!this.host.setSize(layout.width, layout.height)) {
      this.announce(sizeStays(model.size, layout));
    }
    const began = { ...model.drawing, incoming: fingerprint };
    model.apply({ drawing: fromLayout(layout, began), selection: [] });
  }

  /** Stop listening. The element is its owner's to take away. */
  remove() {
    this.resizing.disconnect();
    this.framing.disconnect();
    this.viewport.remove();
    this.clipboard.remove();
    this.meter.remove();
    this.menu.close();
  }

  /** The element on which boxes are drawn, and which takes the keys. */
  get canvas() {
    return this.stage.element;
  }

  // What its parts ask of one another

  announce(text) {
    set(this.status, "textContent", text);
  }

  /** Add a region that can be written at once. */
  addRegion() {
    const { model } = this;
    model.apply(addRegions(model.drawing, [{ box: [0.3, 0.3, 0.7, 0.7] }]));
    this.list.reveal(model.selection[0], { write: true });
  }

  /** Let a region's text be written: on its box, or in its row where that is hidden. */
  write(index) {
    if (this.model.drawing.regions[index].hidden) this.list.reveal(index, { write: true });
    else this.stage.text.open(index);
  }

  /** Take away all regions; undo brings them back. */
  clear() {
    const { model } = this;
    const { length } = model.drawing.regions;
    if (!length) return;
    removeAll(model);
    this.announce(`${length} region${length === 1 ? "" : "s"} removed: undo brings them back.`);
    this.stage.focus();
  }

  // Showing it

  /** Show everything again, also what ComfyUI knows: size, background, preferences. */
  refresh() {
    const { model, stage } = this;
    model.readPreferences();
    const { background, dim, guides } = model.preferences;
    stage.showBackground(this.host.background(background), dim);
    stage.showGuides(guides);
    const { width, height } = model.size;
    const side = gridPx(model.size);
    this.element.style.setProperty("--reco-aspect", String(width / height));
    this.element.style.setProperty("--reco-grid-x", `${(100 * side) / width}%`);
    this.element.style.setProperty("--reco-grid-y", `${(100 * side) / height}%`);
    set(this.inside, "hidden", !this.host.staysInside());
    this.toolbar.render();
    this.viewport.measure();
    this.render();
  }

  render() {
    set(this.caption, "value", this.model.drawing.caption);
    this.stage.render();
    this.list.render();
    this.meter.render();
    this.textless.render();
    this.unreadable.render(this.body, this.toolbar.element);
  }

  reveal(index) {
    this.list.reveal(index);
  }

  /** Pixels on the screen of a CSS pixel here. */
  get zoom() {
    return this.large.isLarge ? 1 : this.host.zoom();
  }

  /** Keep handles and letters as large as they are, when ComfyUI's zoom has changed. */
  followZoom() {
    if (!this.stage.isStale) return;
    this.stage.render();
    this.viewport.render();
  }
}
