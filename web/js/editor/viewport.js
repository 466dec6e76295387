// The frame through which the canvas is seen: zooming and panning in it.

import { element, set } from "../shared/dom.js";
import { iconButton, wordButton } from "./controls.js";
import * as viewing from "./view.js";

const STEP = 1.25; // of the buttons
const WHEEL = 0.0015; // of a step of the wheel, in pixels

export class Viewport {
  #view = viewing.FIT;
  #pan = null; // where the pointer was last, while it pans
  #space = false; // whether the space bar is held, with which every drag pans

  constructor(editor) {
    this.editor = editor;
    this.stage = editor.stage;
    this.controls = this.makeControls();
    this.element = element("div", { class: "reco-frame" }, this.stage.element, this.controls);
    this.enlarge = iconButton("window-maximize", "", () => editor.large.toggle());
    this.listenOnWindow();
    const listen = (event, listener) => this.element.addEventListener(event, listener, true);
    listen("mousedown", (event) => event.button === 1 && event.preventDefault()); // no autoscroll
    listen("keydown", (event) => this.key(event, true));
    listen("keyup", (event) => this.key(event, false));
    listen("blur", () => (this.#space = false));
  }

  /**
   * While the pointer is here: Nodes 2.0 takes events of a node before its parts see them. remove()
   * ends it where the node goes under the pointer.
   */
  listenOnWindow() {
    const taken = {
      wheel: (event) => this.wheel(event),
      pointerdown: (event) => this.down(event),
      pointermove: (event) => this.move(event),
      pointerup: (event) => this.up(event),
      pointercancel: (event) => this.up(event),
      // Linux would paste there what is selected anywhere.
      mouseup: (event) => event.button === 1 && event.preventDefault(),
    };
    const listeners = Object.entries(taken).map(([name, take]) => [
      name,
      (event) => event.target instanceof Node && this.element.contains(event.target) && take(event),
      { capture: true, passive: false },
    ]);
    this.element.addEventListener("pointerenter", () => {
      for (const listener of listeners) addEventListener(...listener);
    });
    this.remove = () => {
      for (const listener of listeners) removeEventListener(...listener);
    };
    this.element.addEventListener("pointerleave", this.remove);
  }

  makeControls() {
    this.percent = element("output", { class: "reco-percent", title: "Size of the picture" });
    return element(
      "div",
      { class: "reco-view", role: "group", "aria-label": "Zoom", hidden: true },
      iconButton("search-minus", "Zoom out (wheel)", () => this.step(1 / STEP)),
      this.percent,
      iconButton("search-plus", "Zoom in (wheel)", () => this.step(STEP)),
      wordButton("fit", "Show all of the picture", () => this.show(viewing.FIT)),
      wordButton("100 %", "Show the picture in its own size", () => this.showActual()),
    );
  }

  /** {zoom, centre}: see view.js. */
  get view() {
    return this.#view;
  }

  get frame() {
    return [this.element.clientWidth, this.element.clientHeight];
  }

  /** Pixels on the screen of a pixel of the picture. */
  get scale() {
    return viewing.scaleOf(this.#view, this.frame, this.editor.model.size) * this.editor.zoom;
  }

  get isZoomed() {
    return this.#view.zoom !== 1;
  }

  show(view) {
    const { frame } = this;
    if (!frame[0] || !frame[1]) return;
    this.#view = viewing.limited(view, frame, this.editor.model.size);
    this.render();
  }

  showActual() {
    this.step(1 / this.scale);
  }

  step(factor, at = this.#view.centre) {
    this.show(viewing.zoomed(this.#view, factor, at, this.frame, this.editor.model.size));
  }

  /** The frame has another size. */
  measure() {
    this.show(this.#view);
  }

  render() {
    const { centre } = this.#view;
    const { large, model } = this.editor;
    const { isLarge } = large;
    const { style } = this.stage.element;
    const scale = viewing.scaleOf(this.#view, this.frame, model.size);
    style.width = `${scale * model.size.width}px`;
    style.setProperty("--reco-x", `${100 * (0.5 - centre[0])}%`);
    style.setProperty("--reco-y", `${100 * (0.5 - centre[1])}%`);
    this.element.classList.toggle("reco-zoomed", this.isZoomed);
    set(this.controls, "hidden", !this.isZoomed && !isLarge);
    set(this.percent, "textContent", `${Math.round(100 * this.scale)} %`);
    const label = isLarge ? "Back to the node (Esc)" : "Large view (Alt+Enter)";
    set(this.enlarge, "title", label);
    set(this.enlarge, "ariaLabel", label);
    set(this.enlarge.firstElementChild, "className", `pi pi-window-${isLarge ? "minimize" : "maximize"}`);
  }

  // The hand. What is taken here goes neither to the canvas nor to ComfyUI.

  wheel(event) {
    if (!event.ctrlKey && !event.metaKey && !this.editor.large.isLarge) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const pixels = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1);
    this.step(Math.exp(-pixels * WHEEL), this.stage.pointAt(event));
  }

  down(event) {
    const pans = event.button === 1 || (event.button === 0 && this.#space);
    if (!pans || !(this.isZoomed || this.editor.large.isLarge)) return;
    event.stopImmediatePropagation();
    this.#pan = [event.clientX, event.clientY];
    this.element.setPointerCapture(event.pointerId);
    this.stage.showMeant({ does: "pan" });
  }

  move(event) {
    if (!this.#pan) {
      if (this.#space) event.stopImmediatePropagation(); // the canvas would say what else pressing does
      return;
    }
    event.stopImmediatePropagation();
    const { clientX, clientY } = event;
    const { zoom, model } = this.editor;
    const shift = [(clientX - this.#pan[0]) / zoom, (clientY - this.#pan[1]) / zoom];
    this.#pan = [clientX, clientY];
    this.show(viewing.panned(this.#view, shift, this.frame, model.size));
  }

  up(event) {
    if (!this.#pan) return;
    event.stopImmediatePropagation();
    this.#pan = null;
  }

  key(event, isDown) {
    if (event.key !== " " || event.target !== this.stage.element) return;
    if (!this.isZoomed && !this.editor.large.isLarge) return;
    event.preventDefault();
    event.stopPropagation();
    this.#space = isDown;
    this.stage.showMeant({ does: isDown ? "pan" : "draw" });
  }
}
