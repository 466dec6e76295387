import assert from "node:assert/strict";
import { test } from "node:test";

import * as geometry from "../../../web/js/shared/geometry.js";
import { assertClose, assertInside, assertNotSmaller, ordered, sizeOf } from "./close.mjs";
import { always } from "./random.mjs";

const { HANDLES, bounds, boxBetween, follow, handlePoint, keepProportions, resize } = geometry;
const CORNERS = ["nw", "ne", "sw", "se"];
const MINIMUM = [0.05, 0.04];

test("a box between two points has its edges in order", () => {
  assert.deepEqual(boxBetween([0.7, 0.2], [0.1, 0.9]), [0.1, 0.2, 0.7, 0.9]);
});

test("a box between two points is cut to the image", () => {
  assert.deepEqual(boxBetween([-3, 0.5], [0.5, 1.5]), [0, 0.5, 0.5, 1]);
  always((random) => assertInside(boxBetween(random.point(2), random.point(2))));
});

test("bounds are the smallest box around several", () => {
  const boxes = [
    [0.2, 0.3, 0.4, 0.5],
    [0.1, 0.4, 0.3, 0.9],
  ];
  assert.deepEqual(bounds(boxes), [0.1, 0.3, 0.4, 0.9]);
});

test("boxes that only share an edge do not overlap, but both contain it", () => {
  const [left, right] = [
    [0, 0, 0.5, 1],
    [0.5, 0, 1, 1],
  ];
  assert.equal(geometry.overlap(left, right), false);
  assert.equal(geometry.overlap(left, [0.4, 0.4, 0.6, 0.6]), true);
  assert.ok(geometry.contains(left, [0.5, 0.5]) && geometry.contains(right, [0.5, 0.5]));
});

test("an edge or a corner is found within reach, and nothing in the middle of a box", () => {
  const box = [0.2, 0.3, 0.6, 0.9];
  const at = (x, y) => geometry.handleAt(box, [x, y], [0.02, 0.01]);
  assert.deepEqual(
    [at(0.21, 0.305), at(0.4, 0.295), at(0.59, 0.3), at(0.59, 0.5), at(0.585, 0.9), at(0.22, 0.6)],
    ["nw", "n", "ne", "e", "se", "w"],
  );
  assert.deepEqual([at(0.4, 0.6), at(0.4, 0.312), at(0.23, 0.6)], ["", "", ""]);
});

test("a box shifted as far as it may stays inside with its size", () => {
  assertClose(geometry.shiftInside([0.2, 0.2, 0.9, 0.5], [0.5, -0.5]), [0.1, -0.2]);
  always((random) => {
    const box = random.box();
    const shift = geometry.shiftInside(box, random.point(2));
    const shifted = geometry.translate(box, shift);
    assertInside(shifted);
    assertClose(sizeOf(shifted), sizeOf(box));
  });
});

test("a shift that stays inside is taken as it is", () => {
  always((random) => {
    const [from, to] = random.boxes(2);
    const there = [to[0] * (1 - from[2] + from[0]), to[1] * (1 - from[3] + from[1])];
    const shift = [there[0] - from[0], there[1] - from[1]];
    assertClose(geometry.shiftInside(from, shift), shift);
  });
});

test("a handle sits on its corner or edge", () => {
  const box = [0.1, 0.2, 0.3, 0.4];
  assert.deepEqual(handlePoint(box, "nw"), [0.1, 0.2]);
  assert.deepEqual(handlePoint(box, "se"), [0.3, 0.4]);
  assert.deepEqual(handlePoint(box, "e"), [0.3, null]);
  assert.deepEqual(handlePoint(box, "n"), [null, 0.2]);
});

test("resizing moves the edges of the handle and no other", () => {
  always((random) => {
    const box = random.box(0.1);
    const handle = random.pick(HANDLES);
    const after = resize(box, handle, random.point(0.5), MINIMUM);
    ["w", "n", "e", "s"].forEach((side, index) => {
      if (!handle.includes(side)) assert.equal(after[index], box[index]);
    });
  });
});

test("a handle that crosses the opposite edge flips the box", () => {
  const [x0, , x1] = resize([0.4, 0.4, 0.6, 0.6], "e", [0.1, 0.5], MINIMUM);
  assert.deepEqual([x0, x1], [0.4, 0.1]);
});

test("a resized box keeps the minimum on both sides and stays inside, also flipped", () => {
  always((random) => {
    const box = random.box(0.06);
    const after = ordered(resize(box, random.pick(HANDLES), random.point(0.5), MINIMUM));
    assertInside(after);
    assertNotSmaller(after, MINIMUM);
  }, 1000);
});

test("a handle exactly on the opposite edge leaves the minimum on its own side", () => {
  const box = [0.4, 0.4, 0.6, 0.6];
  assertClose(resize(box, "nw", [0.6, 0.6], MINIMUM), [0.55, 0.56, 0.6, 0.6]);
  assertClose(resize(box, "se", [0.4, 0.4], MINIMUM), [0.4, 0.4, 0.45, 0.44]);
});

test("a box that has no room to flip at the border keeps the minimum on its own side", () => {
  const [x0, , x1] = resize([0.02, 0, 0.5, 0.5], "e", [-1, 0], MINIMUM);
  assertClose([x0, x1], [0.02, 0.07]);
  const [, y0, , y1] = resize([0, 0.5, 0.5, 0.98], "n", [0, 2], MINIMUM);
  assertClose([y0, y1], [0.94, 0.98]);
});

test("a box that follows its frame lands where the frame does", () => {
  always((random) => {
    const [from, to] = random.boxes(2);
    assertClose(follow(from, from, to), to);
  });
});

test("boxes that follow a frame keep their places in it", () => {
  const from = [0.2, 0.2, 0.6, 0.6];
  const to = [0, 0, 0.8, 0.4];
  assertClose(follow([0.3, 0.3, 0.4, 0.5], from, to), [0.2, 0.1, 0.4, 0.3]);
  always((random) => {
    const [a, b] = random.boxes(2);
    const frame = bounds([a, b]);
    const goal = random.box();
    const [after, other] = [a, b].map((box) => follow(box, frame, goal));
    assertClose(bounds([after, other]), goal);
    [0, 1, 2, 3].forEach((side) => {
      if (a[side] < b[side]) assert.ok(after[side] <= other[side]);
    });
  });
});

test("boxes that follow a flipped frame are mirrored", () => {
  assertClose(follow([0.2, 0.2, 0.3, 0.3], [0.2, 0.2, 0.6, 0.6], [0.6, 0.2, 0.2, 0.6]), [
    0.5, 0.2, 0.6, 0.3,
  ]);
});

test("keeping proportions keeps the box's aspect in pixels and stays inside", () => {
  always((random) => {
    const size = { width: random.integer(64, 2048), height: random.integer(64, 2048) };
    const box = random.box(0.05);
    const handle = random.pick(CORNERS);
    const to = keepProportions(box, handle, random.point(0.5), size);
    const [x0, y0, x1, y1] = resize(box, handle, to, [0, 0]);
    assertInside(ordered([x0, y0, x1, y1]));
    const before = ((box[2] - box[0]) * size.width) / ((box[3] - box[1]) * size.height);
    const widthPx = Math.abs(x1 - x0) * size.width;
    assertClose(widthPx / before / size.height, Math.abs(y1 - y0));
  }, 1000);
});

test("keeping proportions reaches the pointer on one axis where there is room", () => {
  const size = { width: 800, height: 400 };
  const box = [0.25, 0.25, 0.5, 0.5]; // twice as wide as high
  assertClose(keepProportions(box, "se", [0.75, 0.3], size), [0.75, 0.75]);
  assertClose(keepProportions(box, "nw", [0.4, 0.1], size), [0.1, 0.1]);
  assertClose(keepProportions(box, "se", [2, 0.5], size), [1, 1]);
});

test("an edge handle has no proportions to keep", () => {
  const point = [0.7, 0.1];
  const size = { width: 8, height: 8 };
  assert.deepEqual(keepProportions([0, 0, 0.5, 0.5], "e", point, size), point);
});

test("an edge snaps to the nearest target within the tolerance rather than to the grid", () => {
  const options = { targets: [0.5, 0.53], tolerance: 0.04, step: 0.1 };
  const { shift, line } = geometry.snap([0.52], options);
  assertClose([shift, line], [0.01, 0.53]);
});

test("of several moving edges the one that is nearest to a target snaps", () => {
  const options = { targets: [0, 0.3], tolerance: 0.2, step: 0 };
  const { shift, line } = geometry.snap([0.1, 0.31], options);
  assertClose([shift, line], [-0.01, 0.3]);
});

test("the first edge snaps to the grid when no target is near", () => {
  const options = { targets: [0.9], tolerance: 0.01, step: 0.25 };
  const { shift, line } = geometry.snap([0.3, 0.6], options);
  assertClose(shift, -0.05);
  assert.equal(line, null);
});

test("the grid does not lead out of the image", () => {
  assertClose(geometry.snap([0.99], { targets: [], tolerance: 0, step: 0.3 }).shift, -0.09);
  assertClose(geometry.snap([0.96], { targets: [], tolerance: 0, step: 0.35 }).shift, 0.04);
});

test("nothing to snap to shifts by nothing", () => {
  const { shift, line } = geometry.snap([0.3], { targets: [0.5], tolerance: 0.1, step: 0 });
  assert.deepEqual([shift, line], [0, null]);
});
