// The canvas of the editor: background, guides, boxes, tags, handles.

import { element, isNews, set } from "../shared/dom.js";
import { HANDLES, bounds } from "../shared/geometry.js";
import { setCount } from "./controls.js";
import { movable } from "./drawing.js";
import { handlesOf } from "./handles.js";
import { Pointer } from "./pointer.js";
import { TagLayer } from "./tag_layer.js";
import { TextInPlace } from "./text_in_place.js";
import { describeBox } from "./units.js";

const LEAST_ZOOM = 0.4; // of ComfyUI; below it handles and letters grow small with everything

export class Stage {
  constructor(editor) {
    const { model } = editor;
    this.model = model;
    this.editor = editor;
    this.boxes = [];
    this.area = [0, 0]; // width and height of the canvas in CSS pixels
    this.hovered = null; // index of the box that a click would take
    this.background = element("img", { class: "reco-background", alt: "", draggable: false });
    this.guides = element("div", { class: "reco-guides" });
    this.handles = HANDLES.map((handle) =>
      element("div", { class: `reco-handle reco-handle-${handle}`, dataset: { handle } }),
    );
    this.frame = element("div", { class: "reco-selection" }, ...this.handles);
    this.marquee = element("div", { class: "reco-marquee", hidden: true });
    this.lines = ["x", "y"].map((axis) =>
      element("div", { class: `reco-line reco-line-${axis}`, hidden: true }),
    );
    this.boxLayer = element("div", { class: "reco-layer" });
    this.tags = new TagLayer(model);
    this.empty = element(
      "div",
      { class: "reco-empty" },
      element("p", {}, element("strong", {}, "Drag to draw a box,"), " then type what to paint in it"),
    );
    this.element = this.arrange(editor.hintId);
    this.text = new TextInPlace(model, this.element);
    this.pointer = new Pointer(model, this);
  }

  arrange(hintId) {
    return element(
      "div",
      {
        class: "reco-stage",
        tabIndex: 0,
        role: "listbox",
        "aria-label": "Regions of the picture",
        "aria-multiselectable": "true",
        "aria-describedby": hintId,
        on: {
          // What is typed into a text on it waits until that is left.
          keyup: ({ target }) => target === this.element && this.model.commitChanges(),
          blur: () => this.model.commitChanges(),
        },
      },
      this.background,
      this.guides,
      this.empty,
      this.boxLayer,
      this.frame,
      this.tags.element,
      this.marquee,
      ...this.lines,
    );
  }

  /** Where the pointer is, as fractions of the image, or null when it is elsewhere. */
  get pointerAt() {
    return this.pointer.at;
  }

  /** A place on the page as fractions of the image. */
  pointAt(place) {
    return this.pointer.pointAt(place);
  }

  /** End a drag as if it had not been. Returns whether there was one. */
  cancelDrag() {
    return this.pointer.cancel();
  }

  focus() {
    this.element.focus();
  }

  /** The canvas has another size. It is read here alone: reading it while drawing would be slow. */
  measure() {
    this.area = [this.element.clientWidth, this.element.clientHeight];
    this.render();
  }

  /** Pixels on the screen of a CSS pixel of the canvas, as far as handles and letters follow it. */
  get zoom() {
    return Math.max(LEAST_ZOOM, this.editor.zoom);
  }

  /** Whether the zoom is another than that of what is shown. */
  get isStale() {
    return this.zoom !== this.drawnAt;
  }

  render() {
    const { drawing, selection } = this.model;
    if (this.isStale) this.element.style.setProperty("--reco-px", `${1 / this.zoom}px`);
    this.drawnAt = this.zoom;
    setCount(this.boxes, drawing.regions.length, this.boxLayer, (index) =>
      element("div", { class: "reco-box", role: "option", id: `${this.editor.id}-box-${index}` }),
    );
    this.renderBoxes();
    const active = selection.length ? this.boxes[selection.at(-1)].id : "";
    if (this.element.getAttribute("aria-activedescendant") !== active) {
      this.element.setAttribute("aria-activedescendant", active);
    }
    set(this.empty, "hidden", drawing.regions.length > 0);
    this.renderFrame();
    if (this.area[0]) this.tags.render(this.area.map((side) => side * this.zoom), this.zoom);
    this.text.follow();
  }

  renderBoxes() {
    const { drawing, selection, size, count, colors, textless, dragging } = this.model;
    const chosen = new Set(selection);
    drawing.regions.forEach((region, index) => {
      const classes = {
        "reco-selected": chosen.has(index),
        "reco-locked": region.locked,
        "reco-unfit": count.unfit.has(index),
        "reco-textless": textless.has(index),
        "reco-hovered": index === this.hovered,
      };
      const box = this.boxes[index];
      this.renderMask(box, region);
      const is = Object.values(classes);
      if (!isNews(box, region, ...is, colors[index], dragging, size.width, size.height)) return;
      place(box, region.box);
      box.style.color = colors[index];
      for (const [name, isOn] of Object.entries(classes)) box.classList.toggle(name, isOn);
      set(box, "hidden", region.hidden);
      set(box, "ariaSelected", String(chosen.has(index)));
      // Nothing reads it aloud in the midst of a drag, at every step of which it would be another.
      if (!dragging) set(box, "ariaLabel", describe(region, index, size));
    });
  }

  /** A mask is stretched over its box, as the server does it. */
  renderMask(box, { mask }) {
    const shape = mask ? this.editor.host.mask(mask) : null;
    if (shape === box.shape) return;
    box.shape = shape;
    box.classList.toggle("reco-masked", Boolean(shape));
    box.style.setProperty("--reco-mask", shape ? `url("${shape}")` : "none");
  }

  renderFrame() {
    const { drawing, selection } = this.model;
    const shown = movable(drawing, selection).map((index) => drawing.regions[index].box);
    set(this.frame, "hidden", !shown.length);
    if (!shown.length) return;
    const frame = bounds(shown);
    place(this.frame, frame);
    const [width, height] = [0, 1].map(
      (axis) => (frame[axis + 2] - frame[axis]) * this.area[axis] * this.zoom,
    );
    const { classList } = this.frame;
    for (const [name, is] of Object.entries(handlesOf(width, height))) {
      classList.toggle(`reco-${name}`, is);
    }
    classList.toggle("reco-several", shown.length > 1);
  }

  /** Show what pressing here would do, and to which box: see Pointer. */
  showMeant({ does = "draw", over = null }) {
    set(this.element.dataset, "does", does);
    if (over === this.hovered) return;
    this.hovered = over;
    this.boxes.forEach((box, index) => box.classList.toggle("reco-hovered", index === over));
    this.tags.hover(over);
  }

  showBackground(url, dim) {
    set(this.background, "hidden", !url);
    if (url && this.background.src !== new URL(url, location.href).href) this.background.src = url;
    this.dimBackground(dim);
  }

  /** dim: from 0, as it is, to 1, not to be seen. */
  dimBackground(dim) {
    set(this.background.style, "opacity", String(1 - dim));
  }

  showGuides(kind) {
    set(this.guides.dataset, "kind", kind);
  }

  /** Show the frame that selects, if any, and the lines that edges snap to. */
  showDrag(marquee, lines) {
    set(this.marquee, "hidden", !marquee);
    if (marquee) place(this.marquee, marquee);
    this.lines.forEach((line, axis) => {
      const [at] = lines[axis];
      set(line, "hidden", at === undefined);
      if (at !== undefined) set(line.style, axis ? "top" : "left", `${100 * at}%`);
    });
  }
}

/** Put an element where a box is. */
function place({ style }, [x0, y0, x1, y1]) {
  set(style, "left", percent(x0));
  set(style, "top", percent(y0));
  set(style, "width", percent(x1 - x0));
  set(style, "height", percent(y1 - y0));
}

const percent = (fraction) => `${Number((100 * fraction).toFixed(4))}%`;

function describe({ text, box, locked, mask }, index, size) {
  const state = `${mask ? ", with a mask" : ""}${locked ? ", locked" : ""}`;
  return `Region ${index + 1}: ${text.trim() || "no text"}, ${describeBox(box, size)}${state}`;
}
