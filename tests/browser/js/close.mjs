// Comparing numbers, boxes and points up to what floating-point arithmetic loses.

import assert from "node:assert/strict";

const LOST = 1e-9;

export function assertClose(actual, expected) {
  const [found, wanted] = [actual, expected].map((value) => [value].flat(2));
  const close =
    found.length === wanted.length &&
    found.every((value, index) => Math.abs(value - wanted[index]) <= LOST);
  assert.ok(close, `${JSON.stringify(actual)} is not ${JSON.stringify(expected)}`);
}

/** That a box has its edges in order and inside the image. */
export function assertInside([x0, y0, x1, y1]) {
  const inside = 0 <= x0 && x0 <= x1 && x1 <= 1 && 0 <= y0 && y0 <= y1 && y1 <= 1;
  assert.ok(inside, `${[x0, y0, x1, y1]} is not a box inside the image`);
}

/** That a box is not smaller than minimum: [width, height]. */
export function assertNotSmaller([x0, y0, x1, y1], minimum) {
  const large = x1 - x0 >= minimum[0] - LOST && y1 - y0 >= minimum[1] - LOST;
  assert.ok(large, `${[x0, y0, x1, y1]} is smaller than ${minimum}`);
}

export const sizeOf = ([x0, y0, x1, y1]) => [x1 - x0, y1 - y0];

export const ordered = ([x0, y0, x1, y1]) => [
  Math.min(x0, x1),
  Math.min(y0, y1),
  Math.max(x0, x1),
  Math.max(y0, y1),
];
