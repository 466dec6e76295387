// Where the boxes' tags go, so that none hides another. Pure; everything in pixels on the screen.

import { clamp, overlap } from "./geometry.js";

/**
 * A tag for each box: its number where it covers least of others, and its text where that covers
 * none of them.
 *
 * boxes: [x0, y0, x1, y1]; numbers, texts: [width, height] of each tag without and with its text;
 * area: [width, height] of the canvas, which no tag leaves. Returns {x, y, whole: with its text}.
 */
export function placeTags(boxes, numbers, texts, area) {
  const placed = [];
  boxes.forEach((box, index) => {
    placed.push(freest(spots(box, numbers[index], area), placed));
  });
  return boxes.map((box, index) => {
    const free = corners(box, texts[index], area).find((spot) =>
      placed.every((other, i) => i === index || !overlap(spot, other)),
    );
    if (free) placed[index] = free;
    const [x, y] = placed[index];
    return { x, y, whole: Boolean(free) };
  });
}

/** The first of the places that covers nothing, else the one that covers least. */
function freest(spots, placed) {
  let best = null;
  for (const spot of spots) {
    const hidden = placed.reduce((sum, other) => sum + sharedArea(spot, other), 0);
    if (!hidden) return spot;
    if (!best || hidden < best.hidden) best = { spot, hidden };
  }
  return best.spot;
}

function* spots(box, size, area) {
  yield* corners(box, size, area);
  yield* rows(box, size, area);
}

/** Inside the corners of a box, then above and below it. */
function corners([x0, y0, x1, y1], [width, height], area) {
  const [right, bottom] = [x1 - width, y1 - height];
  const wanted = [
    [x0, y0],
    [x0, y0 - height],
    [right, y0],
    [x0, bottom],
    [right, bottom],
    [x0, y1],
    [right, y0 - height],
    [right, y1],
  ];
  return wanted.map((corner) => inside(corner, [width, height], area));
}

/** Below one another from the left top corner of a box on, then in further columns. */
function* rows([x0, y0], size, area) {
  const [left, top] = inside([x0, y0], size, area);
  const [width, height] = size;
  for (const x of steps(left, width, area[0])) {
    for (const y of steps(top, height, area[1])) yield [x, y, x + width, y + height];
  }
}

function inside([left, top], [width, height], area) {
  const x = clamp(left, 0, Math.max(0, area[0] - width));
  const y = clamp(top, 0, Math.max(0, area[1] - height));
  return [x, y, x + width, y + height];
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
