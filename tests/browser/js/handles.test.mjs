import assert from "node:assert/strict";
import { test } from "node:test";

import { HANDLES, handlePoint, overlap } from "../../../web/js/shared/geometry.js";
import { HANDLE_PX, handlesOf } from "../../../web/js/editor/handles.js";
import { always } from "./random.mjs";

/** The squares of a frame's handles, as css/canvas.css places them. */
function squares([width, height]) {
  const { narrow, flat, slim, low } = handlesOf(width, height);
  const out = [narrow, flat].map((is) => (is ? HANDLE_PX / 2 : 0));
  return HANDLES.flatMap((handle) => {
    const [x, y] = handlePoint([-out[0], -out[1], width + out[0], height + out[1]], handle);
    if ((x === null && slim) || (y === null && low)) return [];
    const [cx, cy] = [x ?? width / 2, y ?? height / 2];
    const half = HANDLE_PX / 2;
    return [[cx - half, cy - half, cx + half, cy + half]];
  });
}

test("the middle of a box is free of handles, and most of a large one", () => {
  always((random) => {
    const size = [random.between(1, 400), random.between(1, 400)];
    const [width, height] = size;
    const part = ([x, y]) => [x / 2 - x / 6, y / 2 - y / 6, x / 2 + x / 6, y / 2 + y / 6];
    for (const square of squares(size)) assert.ok(!overlap(square, part([width, height])), `${size}`);
  }, 1000);
});

test("a small box has its handles outside, on all sides or in the corners", () => {
  for (const [size, count] of [[[6, 6], 4], [[30, 30], 8], [[6, 200], 6], [[200, 6], 6]]) {
    const all = squares(size);
    assert.equal(all.length, count);
    const small = size.map((side) => (side < 48 ? [0, side] : [HANDLE_PX, side - HANDLE_PX]));
    const free = [small[0][0], small[1][0], small[0][1], small[1][1]];
    for (const square of all) assert.ok(!overlap(square, free), `${square} is in ${free}`);
  }
});

test("handles do not cover one another", () => {
  always((random) => {
    const all = squares([random.between(1, 300), random.between(1, 300)]);
    all.forEach((one, i) => {
      for (const other of all.slice(i + 1)) assert.ok(!overlap(one, other));
    });
  }, 1000);
});
