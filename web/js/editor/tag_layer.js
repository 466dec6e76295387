// What is written on the boxes: each region's number, and its text inside of the box, as large as
// fits; where a box is too small it is a tag beside it, with the text where that hides no other.
// All lengths are pixels on the screen, unless their name says otherwise.

import { element, isNews, set } from "../shared/dom.js";
import { inkOn } from "../shared/ink.js";
import { placeTags } from "../shared/tags.js";
import { setCount } from "./controls.js";
import { HANDLE_PX } from "./handles.js";
import { roomsOf } from "./rooms.js";
import { LINE, fitText } from "./text_fit.js";

const TAG_PX = 12; // letters of numbers and tags
const TAG_HEIGHT = 1.5 * TAG_PX;
const INSET = 3; // of a text from the edges of its box
const PADDING = 3; // left and right of a text
const MOST_TAG = 8 * TAG_PX; // width of a tag beside a box that is narrower
const MEASURED_PX = 100; // letters that are measured
const MOST_KEPT = 5000; // results of measuring

export class TagLayer {
  constructor(model) {
    this.model = model;
    this.tags = [];
    this.context = document.createElement("canvas").getContext("2d");
    this.widths = new Map(); // a piece of text -> its width in letters of 1 pixel
    this.fits = new Map(); // a text and its room -> what fitText says
    this.element = element("div", { class: "reco-layer reco-tags", "aria-hidden": "true" });
  }

  /** area: [width, height] of the canvas; zoom: pixels on the screen of a CSS pixel of the canvas. */
  render(area, zoom) {
    const { colors, textless, selection, drawing } = this.model;
    const { regions } = drawing;
    setCount(this.tags, regions.length, this.element, (index) => makeTag(index));
    regions.forEach(({ hidden }, index) => set(this.tags[index].root, "hidden", hidden));
    const shown = regions.flatMap((region, index) => (region.hidden ? [] : [index]));
    const boxes = shown.map((index) => regions[index].box.map((edge, i) => edge * area[i % 2]));
    const texts = shown.map((index) => this.wordsOf(index));
    const inside = roomsOf(boxes).map((room, i) => this.fitInside(room, shown[i], texts[i]));
    const outside = shown.flatMap((_, i) => (inside[i] ? [] : [i]));
    const tags = this.placeOutside(outside, { shown, boxes, texts, inside, area });
    shown.forEach((index, i) => {
      paint(this.tags[index], colors[index]);
      const place = inside[i] ?? tags.get(i);
      this.show(this.tags[index], texts[i], place, zoom, {
        "reco-inside": Boolean(place.size),
        "reco-below": Boolean(place.isBelow),
        "reco-short": Boolean(place.short),
        "reco-locked": regions[index].locked,
        "reco-selected": selection.includes(index),
        "reco-textless": textless.has(index),
      });
    });
  }

  /** What is written of a region besides its number. */
  wordsOf(index) {
    const text = this.model.drawing.regions[index].text.trim();
    if (text) return text;
    return this.model.selection.includes(index) ? "⚠ type what to paint here" : "⚠ no text";
  }

  /** Where the number and the text go inside of a room, or null where it is too small. */
  fitInside([x0, y0, x1, y1], index, text) {
    const [width, height] = [x1 - x0 - 2 * INSET, y1 - y0 - 2 * INSET];
    const number = this.numberWidth(index);
    if (width < number || height < TAG_HEIGHT) return null;
    const beside = this.fit(text, width - number - 2 * PADDING, height);
    const below = this.fit(text, width - 2 * PADDING, height - TAG_HEIGHT);
    const fit = (below?.size ?? 0) > (beside?.size ?? 0) ? below : beside;
    if (!fit) return null;
    const isBelow = fit === below && fit !== beside;
    const used = fit.lines * fit.size * LINE;
    const bottom = isBelow ? TAG_HEIGHT + used : Math.max(TAG_HEIGHT, used);
    const [x, y] = [x0 + INSET, y0 + INSET];
    return { ...fit, x, y, width, taken: [x, y, x + width, y + bottom], isBelow };
  }

  fit(text, width, height) {
    const room = [Math.floor(width + 1e-6), Math.floor(height + 1e-6)];
    const measure = (piece) => this.measure(piece);
    return kept(this.fits, `${room} ${text}`, () => fitText(text, room, measure));
  }

  /** Map of i -> {x, y, width, short: whether without its text} for the boxes that are too small. */
  placeOutside(outside, { shown, boxes, texts, inside, area }) {
    const sizeOf = (wanted, room) => [Math.min(wanted, room, area[0]), TAG_HEIGHT];
    const numbers = outside.map((i) => sizeOf(this.numberWidth(shown[i]), Infinity));
    const whole = outside.map((i, at) => {
      const wanted = numbers[at][0] + TAG_PX * this.measure(texts[i]) + 2 * PADDING;
      return sizeOf(wanted, Math.max(boxes[i][2] - boxes[i][0], MOST_TAG));
    });
    const taken = inside.flatMap((fit) => (fit ? [fit.taken] : []));
    const { selection } = this.model;
    const around = outside.map((i) =>
      selection.includes(shown[i]) ? withHandles(boxes[i]) : boxes[i],
    );
    const places = placeTags(around, numbers, whole, area, taken);
    return new Map(
      places.map(({ x, y, whole: isWhole }, at) => [
        outside[at],
        { x, y, width: (isWhole ? whole : numbers)[at][0], short: !isWhole },
      ]),
    );
  }

  numberWidth(index) {
    return TAG_PX * (1 + this.measure(String(index + 1)));
  }

  measure(text) {
    return kept(this.widths, text, () => {
      this.context.font = `${MEASURED_PX}px sans-serif`;
      return this.context.measureText(text).width / MEASURED_PX;
    });
  }

  /** place: in the box where it has a size of letters, else as a tag. */
  show({ root, words }, text, place, zoom, classes) {
    const { x, y, width, size, most } = place;
    if (!isNews(root, text, x, y, width, size, most, zoom, ...Object.values(classes))) return;
    for (const [name, isOn] of Object.entries(classes)) root.classList.toggle(name, isOn);
    set(root.style, "left", cssPx(x / zoom));
    set(root.style, "top", cssPx(y / zoom));
    set(root.style, "width", cssPx(width / zoom));
    set(words, "textContent", text);
    set(words.style, "fontSize", size ? cssPx(size / zoom) : "");
    set(words.style, "webkitLineClamp", size ? String(most) : "");
  }

  /** Mark the tag of the box that a click would take, or none. */
  hover(index) {
    this.tags.forEach(({ root }, i) => root.classList.toggle("reco-hovered", i === index));
  }
}

function makeTag(index) {
  const number = element("span", { class: "reco-tag-number" }, String(index + 1));
  const words = element("span", { class: "reco-words", dir: "auto" });
  const root = element("div", { class: "reco-tag", dataset: { region: index } }, number, words);
  return { element: root, root, number, words, color: null };
}

/** Give a tag its box's color, if it has another: browsers write a color in another way. */
function paint(tag, color) {
  if (tag.color === color) return;
  tag.color = color;
  Object.assign(tag.number.style, { backgroundColor: color, color: inkOn(color) });
}

const withHandles = ([x0, y0, x1, y1]) => [
  x0 - HANDLE_PX,
  y0 - HANDLE_PX,
  x1 + HANDLE_PX,
  y1 + HANDLE_PX,
];

const cssPx = (length) => `${Number(length.toFixed(2))}px`;

/** A value that is computed once. */
function kept(values, key, compute) {
  if (!values.has(key)) {
    if (values.size > MOST_KEPT) values.clear();
    values.set(key, compute());
  }
  return values.get(key);
}
