// Boxes and how they move. Pure. A box is [x0, y0, x1, y1], fractions of the image, and so is
// every length here unless its name ends in Px; a point is [x, y].

const ROUNDING = 1e-9; // what arithmetic may lose of a length

export const HANDLES = ["nw", "n", "ne", "e", "se", "s", "sw", "w"];

export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** The box between two points, in any order, cut to the image. */
export function boxBetween([ax, ay], [bx, by]) {
  const [x0, x1] = ordered(clamp(ax, 0, 1), clamp(bx, 0, 1));
  const [y0, y1] = ordered(clamp(ay, 0, 1), clamp(by, 0, 1));
  return [x0, y0, x1, y1];
}

/**
 * The same, but at least so large, [width, height]: it grows on the sides of the second point, or
 * where the image ends there on the others.
 */
export function boxAtLeast(from, to, least) {
  const box = boxBetween(from, to);
  for (const axis of [0, 1]) {
    if (box[axis + 2] - box[axis] >= least[axis] - ROUNDING) continue;
    const low = to[axis] < from[axis] ? box[axis + 2] - least[axis] : box[axis];
    box[axis] = clamp(low, 0, 1 - least[axis]);
    box[axis + 2] = box[axis] + least[axis];
  }
  return box;
}

/** The smallest box around all of several. */
export function bounds(boxes) {
  return [0, 1, 2, 3].map((side) => {
    const edges = boxes.map((box) => box[side]);
    return side < 2 ? Math.min(...edges) : Math.max(...edges);
  });
}

export const contains = ([x0, y0, x1, y1], [x, y]) => x0 <= x && x <= x1 && y0 <= y && y <= y1;

export const overlap = (a, b) => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];

export const areaOf = ([x0, y0, x1, y1]) => (x1 - x0) * (y1 - y0);

/** How far a box may shift, wanting to go by [dx, dy], without leaving the image. */
export function shiftInside([x0, y0, x1, y1], [dx, dy]) {
  return [clamp(dx, -x0, 1 - x1), clamp(dy, -y0, 1 - y1)];
}

export function translate([x0, y0, x1, y1], [dx, dy]) {
  return [x0 + dx, y0 + dy, x1 + dx, y1 + dy].map((edge) => clamp(edge, 0, 1));
}

/** The point of a box that a handle sits on; null for the axis that it leaves alone. */
export function handlePoint([x0, y0, x1, y1], handle) {
  const x = handle.includes("w") ? x0 : handle.includes("e") ? x1 : null;
  const y = handle.includes("n") ? y0 : handle.includes("s") ? y1 : null;
  return [x, y];
}

/** The handle of the edge or corner of a box that lies within reach, [x, y], of a point, or "". */
export function handleAt([x0, y0, x1, y1], [x, y], [reachX, reachY]) {
  const near = (edge, at, reach) => Math.abs(edge - at) <= reach;
  const across = near(x0, x, reachX) ? "w" : near(x1, x, reachX) ? "e" : "";
  const down = near(y0, y, reachY) ? "n" : near(y1, y, reachY) ? "s" : "";
  return down + across;
}

/**
 * Where the edges of a box go when its handle goes to a point; the opposite edges stay. x0 > x1 or
 * y0 > y1 when the handle has crossed one. minimum: [width, height] below which it does not shrink.
 */
export function resize([x0, y0, x1, y1], handle, [x, y], minimum) {
  const west = handle.includes("w") ? moveEdge(x1, x, minimum[0], -1) : x0;
  const east = handle.includes("e") ? moveEdge(x0, x, minimum[0], 1) : x1;
  const north = handle.includes("n") ? moveEdge(y1, y, minimum[1], -1) : y0;
  const south = handle.includes("s") ? moveEdge(y0, y, minimum[1], 1) : y1;
  return [west, north, east, south];
}

/** Where an edge comes to lie that wants to go somewhere; it was left (-1) or right of `fixed`. */
function moveEdge(fixed, wanted, minimum, side) {
  const edge = clamp(wanted, 0, 1);
  if (Math.abs(edge - fixed) >= minimum) return edge;
  const nearest = fixed + (Math.sign(edge - fixed) || side) * minimum;
  return nearest < 0 || nearest > 1 ? clamp(fixed + side * minimum, 0, 1) : nearest;
}

/** The point nearest to a corner handle's that keeps the box's proportions, in pixels. */
export function keepProportions(box, handle, [x, y], size) {
  const [anchorX, anchorY] = [
    handle.includes("w") ? box[2] : box[0],
    handle.includes("n") ? box[3] : box[1],
  ];
  const aspect = ((box[2] - box[0]) * size.width) / ((box[3] - box[1]) * size.height);
  const isCorner = handle.length === 2;
  const hasArea = aspect > 0 && aspect < Infinity;
  if (!isCorner || !hasArea) return [x, y];
  const roomX = x < anchorX ? anchorX : 1 - anchorX;
  const roomY = y < anchorY ? anchorY : 1 - anchorY;
  const heightPx = Math.min(
    Math.max((Math.abs(x - anchorX) * size.width) / aspect, Math.abs(y - anchorY) * size.height),
    (roomX * size.width) / aspect,
    roomY * size.height,
  );
  return [
    anchorX + ((Math.sign(x - anchorX) || 1) * heightPx * aspect) / size.width,
    anchorY + ((Math.sign(y - anchorY) || 1) * heightPx) / size.height,
  ];
}

/** Where a box comes to lie when `from`, around it and others, becomes `to`, perhaps flipped. */
export function follow(box, from, to) {
  const [x0, y0, x1, y1] = box.map((edge, side) => {
    const [low, high] = [side % 2, (side % 2) + 2];
    const length = from[high] - from[low];
    const share = length ? (edge - from[low]) / length : Number(side === high);
    return to[low] + share * (to[high] - to[low]);
  });
  return boxBetween([x0, y0], [x1, y1]);
}

/**
 * How far to shift moving edges along one axis so that one of them snaps.
 *
 * edges: the moving ones; targets: edges to snap to when nearer than tolerance; step: the grid
 * that the first edge snaps to otherwise, 0 for none. Returns {shift, line: the target or null}.
 */
export function snap(edges, { targets, tolerance, step }) {
  let best = { distance: tolerance, shift: 0, line: null };
  for (const edge of edges) {
    for (const target of targets) {
      const distance = Math.abs(target - edge);
      if (distance <= best.distance) best = { distance, shift: target - edge, line: target };
    }
  }
  if (best.line !== null || !step || !edges.length) return best;
  return { shift: clamp(Math.round(edges[0] / step) * step, 0, 1) - edges[0], line: null };
}

const ordered = (a, b) => (a <= b ? [a, b] : [b, a]);
