// Where the boxes' tags go, so that none hides another. Pure; everything in pixels on the screen.

import { clamp, overlap } from "./geometry.js";

const MOST_TRIED = 2000; // places far from their boxes, for all tags: in a crowd there is none

/**
 * A tag for each box: its number where it covers least of others, and its text where that covers
 * none of them.
 *
 * boxes: [x0, y0, x1, y1]; numbers, texts: [width, height] of each tag without and with its text;
 * area: [width, height] of the canvas, which no tag leaves; taken: rectangles to keep free.
 * Returns {x, y, whole: with its text}.
 */
export function placeTags(boxes, numbers, texts, area, taken = []) {
  const ground = new Ground(taken);
  let tried = 0;
  const placed = boxes.map((box, index) => {
    const near = corners(box, numbers[index], area);
    const far = tried < MOST_TRIED ? rows(box, numbers[index], area) : [];
    const { spot, count } = freest([near, far], ground);
    tried += count;
    ground.put(spot);
    return spot;
  });
  return boxes.map((box, index) => {
    ground.take(placed[index]);
    const free = corners(box, texts[index], area).find((spot) => !ground.covered(spot));
    const [x, y] = free ?? placed[index];
    ground.put(free ?? placed[index]);
    return { x, y, whole: Boolean(free) };
  });
}

/**
 * {spot: the first of the places that covers nothing, else the one that covers least, count: of the
 * places that were tried}.
 */
function freest(lists, ground) {
  let best = null;
  let count = 0;
  for (const spots of lists) {
    for (const spot of spots) {
      count++;
      const hidden = ground.covered(spot);
      if (!hidden) return { spot, count };
      if (!best || hidden < best.hidden) best = { spot, hidden };
    }
  }
  return { spot: best.spot, count };
}

const CELL = 48;
const cellOf = (edge) => Math.floor(edge / CELL);

/** What is taken, sorted into cells: asking every rectangle there is would be slow. */
class Ground {
  constructor(rectangles) {
    this.cells = new Map(); // number of a cell -> the rectangles that touch it
    for (const each of rectangles) this.put(each);
  }

  put(rectangle) {
    this.visit(rectangle, (there) => void there.push(rectangle));
  }

  take(rectangle) {
    this.visit(rectangle, (there) => void there.splice(there.indexOf(rectangle), 1));
  }

  /** The area of a spot that others cover, counted once for each of them. */
  covered(spot) {
    let sum = 0;
    this.visit(spot, (there, column, row) => {
      for (const other of there) {
        if (!overlap(spot, other)) continue;
        const [left, top] = [Math.max(spot[0], other[0]), Math.max(spot[1], other[1])];
        if (cellOf(left) !== column || cellOf(top) !== row) continue; // counted in another cell
        sum += (Math.min(spot[2], other[2]) - left) * (Math.min(spot[3], other[3]) - top);
      }
    });
    return sum;
  }

  /** Call something with the rectangles in each cell that one touches. */
  visit([x0, y0, x1, y1], call) {
    for (let row = cellOf(y0); row <= cellOf(y1); row++) {
      for (let column = cellOf(x0); column <= cellOf(x1); column++) {
        const cell = 65536 * row + column;
        if (!this.cells.has(cell)) this.cells.set(cell, []);
        call(this.cells.get(cell), column, row);
      }
    }
  }
}

/** Inside the corners of a box, then around it; around it first where it would be covered. */
function corners(box, size, area) {
  const [x0, y0, x1, y1] = box;
  const [width, height] = size;
  const [right, bottom] = [x1 - width, y1 - height];
  const spotsAt = (wanted) => wanted.map((corner) => inside(corner, size, area));
  const within = spotsAt([
    [x0, y0],
    [right, y0],
    [x0, bottom],
    [right, bottom],
  ]);
  const around = spotsAt([
    [x0, y0 - height],
    [x0, y1],
    [right, y0 - height],
    [right, y1],
    [x1, y0],
    [x0 - width, y0],
  ]);
  if (width <= x1 - x0 && height <= y1 - y0) return [...within, ...around];
  const covers = (spot) => overlap(spot, box);
  return [...around.filter((spot) => !covers(spot)), ...within, ...around.filter(covers)];
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
