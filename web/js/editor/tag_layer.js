// The tags of the boxes: each region's number, and its text where that hides no other tag.

import { element, set } from "../shared/dom.js";
import { clamp } from "../shared/geometry.js";
import { inkOn } from "../shared/ink.js";
import { placeTags } from "../shared/tags.js";
import { setCount } from "./controls.js";

const TAG_PX = 12;

export class TagLayer {
  constructor({ model, host }) {
    this.model = model;
    this.host = host;
    this.tags = [];
    this.measure = document.createElement("canvas").getContext("2d");
    this.element = element("div", { class: "reco-layer reco-tags", "aria-hidden": "true" });
  }

  render() {
    const { regions } = this.model.drawing;
    setCount(this.tags, regions.length, this.element, () => element("div", { class: "reco-tag" }));
    const [width, height] = [this.element.clientWidth, this.element.clientHeight];
    if (!width) return;
    const font = clamp(TAG_PX / this.host.zoom(), TAG_PX, 2.5 * TAG_PX);
    this.element.style.fontSize = `${font}px`;
    this.measure.font = `${font}px sans-serif`;
    regions.forEach((region, index) => set(this.tags[index], "hidden", region.hidden));
    const shown = regions.flatMap((region, index) => (region.hidden ? [] : [index]));
    const placed = this.place(shown, font, [width, height]);
    shown.forEach((index, i) => this.show(index, placed[i]));
  }

  /** Of each region that is shown {x, y, width, text}. font, area: in pixels. */
  place(shown, font, area) {
    const { regions } = this.model.drawing;
    const boxes = shown.map((index) => regions[index].box.map((edge, i) => edge * area[i % 2]));
    const sizeOf = (label, room) => {
      const wanted = this.measure.measureText(label).width + font;
      return [Math.min(wanted, room, area[0]), 1.5 * font];
    };
    const numbers = shown.map((index) => `${index + 1}`);
    const texts = shown.map((index, i) => `${numbers[i]} ${regions[index].text}`.trim());
    const small = numbers.map((number) => sizeOf(number, Infinity));
    const large = texts.map((text, i) =>
      sizeOf(text, Math.max(boxes[i][2] - boxes[i][0], 2 * small[i][0])),
    );
    return placeTags(boxes, small, large, area).map(({ x, y, whole }, i) => ({
      x,
      y,
      width: (whole ? large : small)[i][0],
      text: whole ? texts[i] : numbers[i],
    }));
  }

  show(index, { x, y, width, text }) {
    const tag = this.tags[index];
    const { color } = this.model.drawing.regions[index];
    set(tag, "textContent", text);
    set(tag.style, "left", `${x}px`);
    set(tag.style, "top", `${y}px`);
    set(tag.style, "width", `${width}px`);
    set(tag.style, "backgroundColor", color);
    set(tag.style, "color", inkOn(color));
    tag.classList.toggle("reco-selected", this.model.selection.includes(index));
  }
}
