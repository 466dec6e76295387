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

/** Inside the box's corners, then around it, then below one another down its left edge. */
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
  for (let y = y0 + height; y + height <= Math.min(y1, y0 + 12 * height); y += height) {
    corners.push([x0, y]);
  }
  for (const [left, top] of corners) {
    const x = clamp(left, 0, Math.max(0, area[0] - width));
    const y = clamp(top, 0, Math.max(0, area[1] - height));
    yield [x, y, x + width, y + height];
  }
}

function sharedArea(a, b) {
  if (!overlap(a, b)) return 0;
  return (
    (Math.min(a[2], b[2]) - Math.max(a[0], b[0])) * (Math.min(a[3], b[3]) - Math.max(a[1], b[1]))
  );
}
