import assert from "node:assert/strict";
import { test } from "node:test";

import * as viewing from "../../../web/js/editor/view.js";
import { assertClose } from "./close.mjs";
import { always } from "./random.mjs";

const { FIT, limited, panned, scaleOf, zoomed } = viewing;

/** Where a point of the picture is in the frame, in CSS pixels. */
function placeOf(point, view, frame, size) {
  const scale = scaleOf(view, frame, size);
  const shown = [size.width * scale, size.height * scale];
  return point.map((at, axis) => frame[axis] / 2 + (at - view.centre[axis]) * shown[axis]);
}

function anything(random) {
  const frame = [random.between(50, 2000), random.between(20, 1500)];
  const size = { width: 8 * random.integer(8, 256), height: 8 * random.integer(8, 256) };
  const view = limited({ zoom: random.between(0.1, 40), centre: random.point() }, frame, size);
  return { frame, size, view };
}

test("what fits is in the middle", () => {
  assert.deepEqual(limited({ zoom: 1, centre: [0.9, 0] }, [400, 300], { width: 64, height: 64 }), FIT);
  assertClose(scaleOf(FIT, [400, 300], { width: 2048, height: 64 }), 400 / 2048);
});

test("the frame is full of the picture wherever that is larger", () => {
  always((random) => {
    const { frame, size, view } = anything(random);
    const [from, to] = [[0, 0], [1, 1]].map((point) => placeOf(point, view, frame, size));
    [0, 1].forEach((axis) => {
      if (to[axis] - from[axis] < frame[axis]) return assertClose(from[axis], frame[axis] - to[axis]);
      assert.ok(from[axis] <= 1e-6 && to[axis] >= frame[axis] - 1e-6);
    });
  });
});

test("the point under the pointer stays while zooming, where the picture fills the frame", () => {
  const [frame, size] = [[400, 400], { width: 512, height: 512 }];
  const view = { zoom: 3, centre: [0.4, 0.6] };
  for (const factor of [1.2, 0.8, 4]) {
    const point = [0.42, 0.55];
    const after = zoomed(view, factor, point, frame, size);
    const [before, now] = [view, after].map((one) => placeOf(point, one, frame, size));
    now.forEach((at, axis) => assert.ok(Math.abs(at - before[axis]) < 1e-6));
  }
});

test("zooming ends where a pixel of the picture is large, and where all fits at its own size", () => {
  const [frame, size] = [[400, 200], { width: 2048, height: 64 }];
  assertClose(scaleOf(zoomed(FIT, 1e9, [0, 0], frame, size), frame, size), 32);
  assert.deepEqual(zoomed(FIT, 1e-9, [0, 0], frame, size), FIT);
  const small = { width: 64, height: 64 };
  assertClose(scaleOf(zoomed(FIT, 1e-9, [0, 0], frame, small), frame, small), 1);
});

test("the picture follows the hand, and stops at its edges", () => {
  const [frame, size] = [[400, 400], { width: 512, height: 512 }];
  const view = { zoom: 4, centre: [0.5, 0.5] };
  const after = panned(view, [30, -20], frame, size);
  const [before, now] = [view, after].map((one) => placeOf([0.5, 0.5], one, frame, size));
  assertClose([now[0] - before[0], now[1] - before[1]], [30, -20]);
  assertClose(panned(view, [1e6, 1e6], frame, size).centre, [0.125, 0.125]);
});
