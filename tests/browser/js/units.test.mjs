import assert from "node:assert/strict";
import { test } from "node:test";

import { UNITS, boxNumbers, describeBox, withNumbers } from "../../../web/js/editor/units.js";
import { assertClose, assertInside, assertNotSmaller } from "./close.mjs";
import { always } from "./random.mjs";

const SIZE = { width: 800, height: 400 };
const MINIMUM = [8 / 800, 8 / 400];
const BOX = [0.25, 0.5, 0.75, 1];
const FIELDS = ["x", "y", "width", "height"];

const typed = (field, text, { box = BOX, unit = "px" } = {}) =>
  withNumbers(box, { [field]: text }, unit, SIZE, MINIMUM);

test("a box is written in pixels, fractions and thousandths", () => {
  assert.deepEqual(boxNumbers(BOX, "px", SIZE), {
    x: "200",
    y: "200",
    width: "400",
    height: "200",
  });
  assert.deepEqual(boxNumbers(BOX, "fraction", SIZE), {
    x: "0.25",
    y: "0.5",
    width: "0.5",
    height: "0.5",
  });
  assert.deepEqual(boxNumbers(BOX, "thousandths", SIZE), {
    x: "250",
    y: "500",
    width: "500",
    height: "500",
  });
});

test("a number is rounded to what its unit shows", () => {
  const third = [1 / 3, 0, 1, 1];
  assert.equal(boxNumbers(third, "px", SIZE).x, "266.7");
  assert.equal(boxNumbers(third, "fraction", SIZE).x, "0.3333");
  assert.equal(boxNumbers(third, "thousandths", SIZE).x, "333.3");
});

test("a box described for a reader is in pixels", () => {
  assert.equal(describeBox(BOX, SIZE), "x 200, y 200, 400 × 200 px");
});

test("numbers read in a unit and typed in again give the same box", () => {
  const decimals = { px: 1 / 400 / 20, fraction: 1e-4 / 2, thousandths: 1e-4 / 2 };
  always((random) => {
    const box = random.box(0.05);
    const unit = random.pick(Object.keys(UNITS));
    const field = random.pick(FIELDS);
    const again = typed(field, boxNumbers(box, unit, SIZE)[field], { box, unit });
    again.forEach((edge, side) => {
      assert.ok(Math.abs(edge - box[side]) <= decimals[unit] + 1e-9, `${again} is not ${box}`);
    });
  });
});

test("a typed place moves the box and keeps its size", () => {
  assertClose(typed("x", "80"), [0.1, 0.5, 0.6, 1]);
  assertClose(typed("y", "100"), [0.25, 0.25, 0.75, 0.75]);
  assertClose(typed("x", "0.1", { unit: "fraction" }), [0.1, 0.5, 0.6, 1]);
});

test("a typed size moves the right or bottom edge", () => {
  assertClose(typed("width", "80"), [0.25, 0.5, 0.35, 1]);
  assertClose(typed("height", "125", { unit: "thousandths" }), [0.25, 0.5, 0.75, 0.625]);
});

test("a typed number is limited so that the box stays inside the image", () => {
  assertClose(typed("x", "-50"), [0, 0.5, 0.5, 1]);
  assertClose(typed("x", "9999"), [0.5, 0.5, 1, 1]);
  assertClose(typed("y", "400"), BOX);
  assertClose(typed("width", "9999"), [0.25, 0.5, 1, 1]);
  always((random) => {
    const unit = random.pick(Object.keys(UNITS));
    const text = String(random.between(-2000, 2000));
    const box = typed(random.pick(FIELDS), text, { box: random.box(0.05), unit });
    assertInside(box);
    assertNotSmaller(box, MINIMUM);
  });
});

test("a typed size is not below the minimum", () => {
  assertClose(typed("width", "0"), [0.25, 0.5, 0.25 + MINIMUM[0], 1]);
  assertClose(typed("height", "-7"), [0.25, 0.5, 0.75, 0.5 + MINIMUM[1]]);
});

test("a box too near the border for the minimum ends at the border", () => {
  assertClose(typed("width", "1", { box: [0.995, 0, 1, 1] }), [0.995, 0, 1, 1]);
});

test("what is no number changes nothing", () => {
  for (const text of ["", "  ", "ten", "1,5", "NaN", "Infinity"]) {
    assert.equal(typed("x", text), null, JSON.stringify(text));
  }
});

test("numbers that are typed one after another are meant together", () => {
  always((random) => {
    const wanted = random.box(0.05);
    const numbers = Object.entries(boxNumbers(wanted, "px", SIZE));
    const typed = Object.fromEntries(random.pick([numbers, [...numbers].reverse()]));
    const box = withNumbers(random.box(0.05), typed, "px", SIZE, MINIMUM);
    const isNear = box.every((edge, side) => Math.abs(edge - wanted[side]) < 1e-3);
    assert.ok(isNear, `${box} is not ${wanted}`);
  });
});
