import assert from "node:assert/strict";
import { test } from "node:test";

import { HANDLES, bounds } from "../../../web/js/shared/geometry.js";
import * as gestures from "../../../web/js/editor/gestures.js";
import { assertClose, assertInside, assertNotSmaller, sizeOf } from "./close.mjs";
import { boxesOf, drawingOf, frozen } from "./drawings.mjs";
import { always } from "./random.mjs";

const SIDE = 640; // pixels; a cell is 8 of them
const MINIMUM = [8 / SIDE, 8 / SIDE];
const FREE = { free: true, proportions: false };
const SNAP = { free: false, proportions: false };
const PROPORTIONS = { free: false, proportions: true };

const A = [0.11, 0.11, 0.31, 0.31];
const B = [0.61, 0.41, 0.81, 0.71];

/** A context as the canvas makes it. stepPx: of the grid, 0 for none. */
function begin({ drawing = drawingOf(), selection = [], start, stepPx = 0, boxes = false }) {
  const size = { width: SIDE, height: SIDE };
  const step = [stepPx / SIDE, stepPx / SIDE];
  const snapping = { step, boxes, tolerance: [6 / SIDE, 6 / SIDE] };
  return frozen({ drawing, selection, size, minimum: MINIMUM, start, snapping });
}

const lastBox = ({ drawing }) => drawing.regions.at(-1).box;
const inPixels = (box) => box.map((edge) => edge * SIDE);

/** Where boxes lie in the frame around them, as shares of it. */
function places(boxes) {
  const frame = bounds(boxes);
  return boxes.map((box) =>
    box.map((edge, side) => (edge - frame[side % 2]) / (frame[(side % 2) + 2] - frame[side % 2])),
  );
}

test("a drawn box is added and selected, from whichever corner it is drawn", () => {
  const run = gestures.draw(begin({ drawing: drawingOf(A), start: [0.9, 0.8] }));
  const after = run([0.5, 0.6], FREE);
  assert.deepEqual(boxesOf(after.drawing), [A, [0.5, 0.6, 0.9, 0.8]]);
  assert.deepEqual(after.selection, [1]);
});

test("a drawn box is cut to the image", () => {
  const run = gestures.draw(begin({ start: [0.5, 0.5] }));
  assert.deepEqual(lastBox(run([1.7, -0.3], FREE)), [0.5, 0, 1, 0.5]);
});

test("what is drawn too small grows to the least, and stays in the image", () => {
  const [width, height] = begin({}).minimum;
  const drawn = (start, point) => lastBox(gestures.draw(begin({ start }))(point, FREE));
  assertClose(drawn([0.5, 0.5], [0.505, 0.9]), [0.5, 0.5, 0.5 + width, 0.9]);
  assertClose(drawn([0.5, 0.5], [0.9, 0.495]), [0.5, 0.5 - height, 0.9, 0.5]);
  assertClose(drawn([0.999, 0.001], [1.5, -0.5]), [1 - width, 0, 1, height]);
});

test("a box of a single cell can be drawn anywhere, in images of any size", () => {
  for (let side = 256; side <= 2048; side += 8) {
    const cell = 8 / side;
    const snapping = { step: [cell, cell], boxes: false, tolerance: [0, 0] };
    for (let at = 0; at < side / 8; at += 3) {
      const start = [(at + 0.1) * cell, (at + 0.1) * cell];
      const context = { ...begin({ start }), minimum: [cell, cell], snapping };
      const after = gestures.draw(context)([start[0] + cell, start[1] + cell], SNAP);
      assert.equal(after.drawing.regions.length, 1, `cell ${at} of an image of ${side} pixels`);
    }
  }
});

test("a drawn box snaps to cells, unless the free key is held", () => {
  const run = gestures.draw(begin({ start: [101 / SIDE, 203 / SIDE], stepPx: 8 }));
  const point = [303 / SIDE, 299 / SIDE];
  assertClose(inPixels(lastBox(run(point, SNAP))), [104, 200, 304, 296]);
  assertClose(inPixels(lastBox(run(point, FREE))), [101, 203, 303, 299]);
});

test("a drawn box snaps to a coarser grid", () => {
  const run = gestures.draw(begin({ start: [101 / SIDE, 203 / SIDE], stepPx: 40 }));
  assertClose(inPixels(lastBox(run([303 / SIDE, 290 / SIDE], SNAP))), [120, 200, 320, 280]);
});

test("a drawn box snaps to other boxes, the image's edges and its middle, and shows where", () => {
  const run = gestures.draw(begin({ drawing: drawingOf(A), start: [0.305, 0.105], boxes: true }));
  const toMiddle = run([0.505, 0.994], SNAP);
  assertClose(lastBox(toMiddle), [0.31, 0.11, 0.5, 1]);
  assert.deepEqual(toMiddle.lines, [[0.5], [1]]);
  assert.deepEqual(run([0.7, 0.8], SNAP).lines, [[], []]);
  assert.deepEqual(run([0.505, 0.994], FREE).lines, [[], []]);
});

test("nothing snaps to a hidden box", () => {
  const drawing = drawingOf({ box: A, hidden: true });
  const run = gestures.draw(begin({ drawing, start: [0.7, 0.7], boxes: true }));
  assert.deepEqual(run([0.305, 0.305], SNAP).lines, [[], []]);
});

test("several boxes move together, and the others and locked ones stay", () => {
  const drawing = drawingOf(A, B, { box: B, locked: true }, A);
  const run = gestures.move(begin({ drawing, selection: [0, 1, 2], start: [0.2, 0.2] }));
  const [a, b, locked, other] = boxesOf(run([0.25, 0.15], FREE).drawing);
  assertClose(a, [0.16, 0.06, 0.36, 0.26]);
  assertClose(b, [0.66, 0.36, 0.86, 0.66]);
  assert.deepEqual([locked, other], [B, A]);
});

test("boxes that move together keep their shape and stay inside, snapping or not", () => {
  always((random) => {
    const drawing = drawingOf(...random.boxes(4));
    const stepPx = random.pick([0, 8, 40]);
    const start = random.point();
    const context = begin({ drawing, selection: [0, 2], start, stepPx, boxes: true });
    const { drawing: end } = gestures.move(context)(random.point(0.5), random.pick([SNAP, FREE]));
    const after = boxesOf(end);
    const [before, moved] = [boxesOf(drawing), after].map((boxes) => [boxes[0], boxes[2]]);
    moved.forEach(assertInside);
    moved.forEach((box, index) => assertClose(sizeOf(box), sizeOf(before[index])));
    assertClose(places(moved), places(before));
    assert.deepEqual([after[1], after[3]], [drawing.regions[1].box, drawing.regions[3].box]);
  });
});

test("a moved box snaps with either edge, and to cells with the first", () => {
  const drawing = drawingOf(A, B);
  const begun = { drawing, selection: [0], start: [0.2, 0.2] };
  const toBox = gestures.move(begin({ ...begun, boxes: true }))([0.495, 0.3], SNAP);
  assertClose(toBox.drawing.regions[0].box, [0.41, 0.21, 0.61, 0.41]);
  assert.deepEqual(toBox.lines, [[0.61], [0.41]]);
  const toCell = gestures.move(begin({ ...begun, stepPx: 8 }))([0.25, 0.2], SNAP);
  assertClose(inPixels(toCell.drawing.regions[0].box), [104, 72, 232, 200]);
});

test("a moved box does not snap to where it was", () => {
  const drawing = drawingOf(A);
  const run = gestures.move(begin({ drawing, selection: [0], start: [0.2, 0.2], boxes: true }));
  assertClose(lastBox(run([0.203, 0.199], SNAP)), [0.113, 0.109, 0.313, 0.309]);
});

test("several boxes scale together, mirrored when the handle crosses the other side", () => {
  const drawing = drawingOf([0.2, 0.2, 0.3, 0.4], [0.4, 0.2, 0.6, 0.6]);
  const run = gestures.scale(begin({ drawing, selection: [0, 1], start: [0.6, 0.6] }), "se");
  assertClose(boxesOf(run([1, 1], FREE).drawing), [
    [0.2, 0.2, 0.4, 0.6],
    [0.6, 0.2, 1, 1],
  ]);
  assertClose(boxesOf(run([0, 0.6], FREE).drawing), [
    [0.15, 0.2, 0.2, 0.4],
    [0, 0.2, 0.1, 0.6],
  ]);
});

test("boxes that scale together stay inside and in their frame, and locked ones stay", () => {
  always((random) => {
    const [a, b, c] = random.boxes(3, 0.05);
    const drawing = drawingOf(a, b, { box: c, locked: true });
    const [handle, start] = [random.pick(HANDLES), random.point()];
    const stepPx = random.pick([0, 8]);
    const context = begin({ drawing, selection: [0, 1, 2], start, stepPx, boxes: true });
    const keys = random.pick([SNAP, FREE, PROPORTIONS]);
    const [x, y, z] = boxesOf(gestures.scale(context, handle)(random.point(0.5), keys).drawing);
    [x, y].forEach(assertInside);
    assertNotSmaller(bounds([x, y]), MINIMUM);
    assert.deepEqual(z, c);
  });
});

test("a scaled edge snaps where the box's edge is, not the pointer", () => {
  const context = begin({ drawing: drawingOf(A), selection: [0], start: [0.32, 0.2], stepPx: 8 });
  const run = gestures.scale(context, "e");
  assertClose(inPixels(lastBox(run([0.32 + 0.05, 0.9], SNAP))), [70.4, 70.4, 232, 198.4]);
  assertClose(lastBox(run([0.32 + 0.05, 0.9], FREE)), [0.11, 0.11, 0.36, 0.31]);
});

test("a scaled box keeps its proportions with the key for it", () => {
  const context = begin({ drawing: drawingOf(B), selection: [0], start: [0.61, 0.41], stepPx: 8 });
  const after = gestures.scale(context, "nw")([0.41, 0.4], PROPORTIONS);
  assertClose(lastBox(after), [0.41, 0.11, 0.81, 0.71]);
});

test("locked boxes alone neither move nor scale", () => {
  const drawing = drawingOf({ box: A, locked: true });
  const context = begin({ drawing, selection: [0], start: [0.2, 0.2] });
  for (const run of [gestures.move(context), gestures.scale(context, "se")]) {
    const after = run([0.9, 0.9], SNAP);
    assert.equal(after.drawing, drawing);
    assert.deepEqual(after.selection, [0]);
  }
});

test("a marquee adds what it touches to the selection, once, but nothing hidden or locked", () => {
  const drawing = drawingOf(A, B, { box: A, hidden: true }, { box: A, locked: true }, A);
  const run = gestures.marquee(begin({ drawing, selection: [1, 4], start: [0.5, 0.3] }));
  const after = run([0.3, 0.1], SNAP);
  assert.deepEqual(after.selection, [1, 4, 0]);
  assert.deepEqual(after.marquee, [0.3, 0.1, 0.5, 0.3]);
  assert.equal(after.drawing, drawing);
  assert.deepEqual(run([0.55, 0.35], SNAP).selection, [1, 4]);
});

test("of boxes in one spot the smallest comes first, then the topmost, without hidden and locked", () => {
  const small = [0.19, 0.19, 0.21, 0.21];
  const drawing = drawingOf(small, A, B, A, { box: A, hidden: true }, { box: A, locked: true }, A);
  assert.deepEqual(gestures.stackAt(drawing, [0.2, 0.2]), [0, 6, 3, 1]);
  assert.deepEqual(gestures.stackAt(drawing, [0.3, 0.3]), [6, 3, 1]);
  assert.deepEqual(gestures.stackAt(drawing, [0.95, 0.95]), []);
});

test("a gesture depends on where the pointer is, not on where it has been", () => {
  const kinds = [gestures.draw, gestures.move, gestures.marquee].concat(
    HANDLES.map((handle) => (context) => gestures.scale(context, handle)),
  );
  always((random) => {
    const begun = { drawing: drawingOf(...random.boxes(3)), selection: [0, 1], boxes: true };
    const context = begin({ ...begun, start: random.point(), stepPx: 8 });
    const kind = random.pick(kinds);
    const run = kind(context);
    run(random.point(0.5), SNAP);
    run(random.point(0.5), FREE);
    const end = random.point(0.5);
    assert.deepEqual(run(end, SNAP), kind(context)(end, SNAP));
  });
});
