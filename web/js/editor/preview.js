// What was read of a text or picture, shown before it is taken over: a small picture of the boxes, and
// caption, regions and remarks in words.

import { element } from "../shared/dom.js";
import { inkOn } from "../shared/ink.js";
import { remarkElements } from "../shared/remarks.js";
import { colorsOf } from "./colors.js";
import { fromLayout } from "./drawing.js";
import { numberOf } from "./pasting.js";
import { describeBox } from "./units.js";

const SIDE_PX = 180; // of the small picture, the longer one
const MOST = 200; // regions drawn and listed: more cannot be told apart

/** Elements that show a reading, {layout, remarks}. */
export function previewOf({ layout, remarks }) {
  const drawing = fromLayout(layout);
  const colors = colorsOf(drawing);
  const regions = drawing.regions
    .slice(0, MOST)
    .map((region, index) => ({ ...region, color: colors[index] }));
  const parts = [words(layout, regions)];
  if (regions.length) parts.unshift(picture(layout, regions));
  return [
    ...remarkElements(remarks),
    element("div", { class: "reco-preview", role: "group", "aria-label": "What was read" }, ...parts),
  ];
}

function picture({ width, height }, regions) {
  const boxes = regions.map(({ box: [x0, y0, x1, y1], color }, index) => {
    const [left, top, across, down] = [x0, y0, x1 - x0, y1 - y0].map((side) => `${100 * side}%`);
    const style = { left, top, width: across, height: down, color };
    return element("div", { class: "reco-preview-box", style }, numberTag(color, index));
  });
  const [across, down] = [width, height].map((side) => (SIDE_PX * side) / Math.max(width, height));
  const style = { width: `${across}px`, height: `${down}px` };
  return element("div", { class: "reco-preview-picture", style, "aria-hidden": "true" }, ...boxes);
}

function words(layout, regions) {
  const { caption, width, height } = layout;
  const more = layout.regions.length - regions.length;
  const summary = `${numberOf(layout.regions)}, ${width} × ${height} px`;
  const without = layout.regions.length ? "no caption" : "neither caption nor regions";
  return element(
    "div",
    { class: "reco-preview-words" },
    element("div", { class: "reco-preview-caption", dir: "auto" }, caption || without),
    element("div", { class: "reco-preview-summary" }, summary),
    element("ol", {}, ...regions.map((region, index) => line(region, index, layout))),
    ...(more > 0 ? [`… and ${more} more`] : []),
  );
}

function line({ text, box, weight, color }, index, size) {
  const heavy = weight === 1 ? "" : `, weight ${weight}`;
  return element(
    "li",
    {},
    numberTag(color, index),
    element("span", { dir: "auto" }, text || "no text"),
    element("small", {}, describeBox(box, size) + heavy),
  );
}

const numberTag = (color, index) =>
  element(
    "b",
    { class: "reco-preview-number", style: { background: color, color: inkOn(color) } },
    String(index + 1),
  );
