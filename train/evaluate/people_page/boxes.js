// A layout's boxes and tags over a picture or an empty ground.

import { element } from "../../../web/js/shared/dom.js";
import { inkOn } from "../../../web/js/shared/ink.js";
import { placeTags } from "../../../web/js/shared/tags.js";

/**
 * A layer with boxes, for a frame that is on the page and positioned. In place of one before.
 *
 * regions: [{text, box, color}]; box: xyxy, fractions of the frame; color: #rrggbb. texts: whether
 * tags hold more than numbers, where there is room.
 */
export function drawBoxes(frame, regions, { texts = true } = {}) {
  clearBoxes(frame);
  const layer = element("div", { class: "layer", "aria-hidden": "true" });
  frame.append(layer);
  const area = [frame.clientWidth, frame.clientHeight];
  const boxes = regions.map(({ box }) => box.map((edge, index) => edge * area[index % 2]));
  regions.forEach(({ color }, index) => layer.append(outline(boxes[index], color)));
  const tags = regions.map((region) => tag(layer, region));
  const write = (whole) =>
    tags.forEach((made, index) => {
      made.textContent = whole && texts ? `${index + 1} ${regions[index].text}` : `${index + 1}`;
      // Narrow boxes still get a few words; no tag is wider than the picture.
      made.style.maxWidth = `${Math.max(boxes[index][2] - boxes[index][0], 0.4 * area[0])}px`;
    });
  const sizes = () => tags.map((made) => [made.offsetWidth, made.offsetHeight]);
  write(false);
  const numbers = sizes();
  write(true);
  placeTags(boxes, numbers, sizes(), area).forEach(({ x, y, whole }, index) => {
    if (!whole) tags[index].textContent = `${index + 1}`;
    Object.assign(tags[index].style, { left: `${x}px`, top: `${y}px` });
  });
}

export const clearBoxes = (frame) => frame.querySelector(".layer")?.remove();

function outline([x0, y0, x1, y1], color) {
  const style = {
    left: `${x0}px`,
    top: `${y0}px`,
    width: `${x1 - x0}px`,
    height: `${y1 - y0}px`,
    borderColor: color,
  };
  return element("div", { class: "box", style });
}

function tag(layer, { color }) {
  const made = element("div", { class: "tag", style: paint(color) });
  layer.append(made);
  return made;
}

/** A ground of this colour and letters that show on it. */
export const paint = (color) => ({ backgroundColor: color, color: inkOn(color) });
