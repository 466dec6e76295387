// The canvas of the editor: background, guides, boxes, tags, handles.

import { element, set } from "../shared/dom.js";
import { movable } from "./drawing.js";
import { HANDLES, bounds, clamp } from "../shared/geometry.js";
import { Pointer } from "./pointer.js";
import { TextInPlace } from "./text_in_place.js";
import { placeTags } from "../shared/tags.js";
import { describeBox } from "./units.js";

const TAG_PX = 12;

export class Stage {
  constructor(editor) {
    this.editor = editor;
    this.boxes = [];
    this.tags = [];
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
    this.tagLayer = element("div", { class: "reco-layer reco-tags", "aria-hidden": "true" });
    this.element = element(
      "div",
      {
        class: "reco-stage",
        tabIndex: 0,
        role: "listbox",
        "aria-label": "Regions of the picture",
        "aria-multiselectable": "true",
        "aria-describedby": editor.hintId,
        on: {
          keyup: () => editor.uncommitted && editor.commit(),
          blur: () => editor.uncommitted && editor.commit(),
        },
      },
      this.background,
      this.guides,
      this.boxLayer,
      this.frame,
      this.tagLayer,
      this.marquee,
      ...this.lines,
    );
    this.text = new TextInPlace(editor, this.element);
    this.pointer = new Pointer(editor, this);
    this.measure = document.createElement("canvas").getContext("2d");
  }

  render() {
    const { drawing, selection, size, unfit } = this.editor;
    this.element.style.setProperty("--reco-aspect", String(size.width / size.height));
    this.fill(this.boxes, this.boxLayer, drawing.regions.length, makeBox);
    this.fill(this.tags, this.tagLayer, drawing.regions.length, makeTag);
    drawing.regions.forEach((region, index) => {
      const box = this.boxes[index];
      const selected = selection.includes(index);
      place(box, region.box);
      set(box.style, "color", region.color);
      box.classList.toggle("reco-selected", selected);
      box.classList.toggle("reco-locked", region.locked);
      box.classList.toggle("reco-unfit", unfit.has(index));
      set(box, "hidden", region.hidden);
      set(box, "ariaSelected", String(selected));
      set(box, "ariaLabel", describe(region, index, size));
    });
    const active = selection.length ? this.boxes[selection.at(-1)].id : "";
    if (this.element.getAttribute("aria-activedescendant") !== active) {
      this.element.setAttribute("aria-activedescendant", active);
    }
    this.renderFrame();
    this.renderTags();
    this.text.follow();
  }

  renderFrame() {
    const { drawing, selection } = this.editor;
    const shown = movable(drawing, selection).map((index) => drawing.regions[index].box);
    set(this.frame, "hidden", !shown.length);
    if (shown.length) place(this.frame, bounds(shown));
  }

  renderTags() {
    const { drawing, selection } = this.editor;
    const [width, height] = [this.element.clientWidth, this.element.clientHeight];
    if (!width) return;
    const font = clamp(TAG_PX / this.editor.host.zoom(), TAG_PX, 2.5 * TAG_PX);
    this.tagLayer.style.fontSize = `${font}px`;
    this.measure.font = `${font}px sans-serif`;
    const shown = drawing.regions.flatMap((region, index) => (region.hidden ? [] : [index]));
    const boxes = shown.map((index) =>
      drawing.regions[index].box.map((edge, side) => edge * (side % 2 ? height : width)),
    );
    const sizeOf = (label, room) => {
      const wanted = this.measure.measureText(label).width + font;
      return [Math.min(wanted, room, width), 1.5 * font];
    };
    const numbers = shown.map((index) => `${index + 1}`);
    const texts = shown.map((index, i) => `${numbers[i]} ${drawing.regions[index].text}`.trim());
    const small = numbers.map((number) => sizeOf(number, Infinity));
    const large = texts.map((text, i) => {
      return sizeOf(text, Math.max(boxes[i][2] - boxes[i][0], 2 * small[i][0]));
    });
    const places = placeTags(boxes, small, large, [width, height]);
    drawing.regions.forEach((region, index) => set(this.tags[index], "hidden", region.hidden));
    shown.forEach((index, i) => {
      const tag = this.tags[index];
      const { color } = drawing.regions[index];
      const { x, y, whole } = places[i];
      set(tag, "textContent", whole ? texts[i] : numbers[i]);
      set(tag.style, "left", `${x}px`);
      set(tag.style, "top", `${y}px`);
      set(tag.style, "width", `${(whole ? large : small)[i][0]}px`);
      set(tag.style, "backgroundColor", color);
      set(tag.style, "color", inkOn(color));
      tag.classList.toggle("reco-selected", selection.includes(index));
    });
  }

  fill(elements, layer, count, make) {
    while (elements.length > count) elements.pop().remove();
    while (elements.length < count) {
      elements.push(make(elements.length, this.editor.id));
      layer.append(elements.at(-1));
    }
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

const makeBox = (index, editorId) =>
  element("div", { class: "reco-box", role: "option", id: `${editorId}-box-${index}` });

const makeTag = () => element("div", { class: "reco-tag" });

/** Put an element where a box is. */
function place({ style }, [x0, y0, x1, y1]) {
  set(style, "left", percent(x0));
  set(style, "top", percent(y0));
  set(style, "width", percent(x1 - x0));
  set(style, "height", percent(y1 - y0));
}

const percent = (fraction) => `${Number((100 * fraction).toFixed(4))}%`;

function describe({ text, box, locked }, index, size) {
  const state = locked ? ", locked" : "";
  return `Region ${index + 1}: ${text.trim() || "no text"}, ${describeBox(box, size)}${state}`;
}

/** Black or white, whichever is read better on a color. */
function inkOn(color) {
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
  return 0.299 * red + 0.587 * green + 0.114 * blue > 128 ? "#000" : "#fff";
}
