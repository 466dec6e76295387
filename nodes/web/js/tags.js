// Where the boxes' tags go, so that none hides another. Pure; everything in pixels on the screen.

import { clamp, overlap } from "./geometry.js";

/**
 * The left top corners of tags, one for each box, that cover least of the tags before them.
 *
 * boxes: [x0, y0, x1, y1]; sizes: [width, height] of each tag; area: [width, height] of the canvas,
 * which no tag leaves.
 */
export function placeTags(boxes, sizes, area) {
  const placed = [];
  return boxes.map((box, index) => {
    let best = null;
    for (const spot of spots(box, sizes[index], area)) {
      const hidden = placed.reduce((sum, other) => sum + sharedArea(spot, other), 0);
      if (!best || hidden < best.hidden) best = { spot, hidden };
      if (!hidden) break;
    }
    placed.push(best.spot);
    return best.spot.slice(0, 2);
  });
}

/** Inside the box's corners, then around it, then in rows and columns over the whole canvas. */
function* spots([x0, y0, x1, y1], [width, height], area) {
  const [right, bottom] = [x1 - width, y1 - height];
  const corners = [
    [x0, y0],
    [x0, y0 - height],
    [right, y0],
    [x0, bottom],
    [right, bottom],
    [x0, y1],
    [right, y0 - height],
    [right, y1],
  ];
  const inside = ([left, top]) => {
    const x = clamp(left, 0, Math.max(0, area[0] - width));
    const y = clamp(top, 0, Math.max(0, area[1] - height));
    return [x, y, x + width, y + height];
  };
  yield* corners.map(inside);
  const [left, top] = inside([x0, y0]);
  for (const x of steps(left, width, area[0])) {
    for (const y of steps(top, height, area[1])) yield [x, y, x + width, y + height];
  }
}

/** From start on while there is room for another length, then back from there. */
function* steps(start, length, end) {
  for (let at = start; at + length <= end; at += length) yield at;
  for (let at = start - length; at >= 0; at -= length) yield at;
}

function sharedArea(a, b) {
  if (!overlap(a, b)) return 0;
  return (
    (Math.min(a[2], b[2]) - Math.max(a[0], b[0])) * (Math.min(a[3], b[3]) - Math.max(a[1], b[1]))
  );
}
