// Where in its box a region's text has room: not below other boxes. Pure; boxes in any unit.

import { areaOf, overlap } from "../shared/geometry.js";

/** Of each box the room that no smaller box covers, nor an equal one above it. They do not overlap. */
export function roomsOf(boxes) {
  const areas = boxes.map(areaOf);
  return boxes.map((box, index) =>
    boxes.reduce((room, other, i) => {
      const isAbove = areas[i] < areas[index] || (areas[i] === areas[index] && i > index);
      return isAbove && overlap(room, other) ? largestBeside(room, other) : room;
    }, box),
  );
}

/** The largest part of a room left of, right of, above or below a box. */
function largestBeside([x0, y0, x1, y1], box) {
  const parts = [
    [x0, y0, x1, box[1]],
    [x0, box[3], x1, y1],
    [x0, y0, box[0], y1],
    [box[2], y0, x1, y1],
  ];
  const size = (part) => Math.max(0, part[2] - part[0]) * Math.max(0, part[3] - part[1]);
  return parts.reduce((best, part) => (size(part) > size(best) ? part : best));
}
