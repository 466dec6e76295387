import assert from "node:assert/strict";
import { test } from "node:test";

import { toLayout } from "../../../web/js/editor/drawing.js";
import { readCopied } from "../../../web/js/editor/pasting.js";
import { drawingOf } from "./drawings.mjs";

const SIZE = { width: 512, height: 256 };
const COPIED = toLayout(drawingOf([0.1, 0.1, 0.3, 0.3], [0.5, 0.5, 0.9, 0.9]), SIZE);

/** What is read of copied regions after the first was given other properties. */
function readWith(change, ofLayout = {}) {
  const regions = COPIED.regions.map((region, i) => (i ? region : { ...region, ...change }));
  return readCopied(JSON.stringify({ ...COPIED, ...ofLayout, regions }));
}

test("what the editor copies is read as it is, texts or none", () => {
  assert.deepEqual(readCopied(JSON.stringify(COPIED)), COPIED);
  assert.equal(readWith({ text: "a dog" }).regions[0].text, "a dog");
});

test("what a layout need not say is as it is in a new drawing", () => {
  const read = readCopied('{"regions": [{"text": "a dog", "box": [0, 0, 0.5, 1]}]}');
  assert.equal(read.caption, "");
  assert.equal(read.regions[0].weight, 1);
});

for (const [what, change] of Object.entries({
  "a box beyond the picture": { box: [0.1, 0.1, 1.3, 0.3] },
  "a box whose edges are swapped": { box: [0.3, 0.1, 0.1, 0.3] },
  "a box without an area": { box: [0.1, 0.1, 0.1, 0.3] },
  "a box of texts": { box: ["0.1", "0.1", "0.3", "0.3"] },
  "a text that is a number": { text: 7 },
  "no text": { text: undefined },
  "a weight that is a text": { weight: "1.2" },
  "a color that is none": { color: "red" },
  "a region that is hidden": { hidden: true },
  "a name that no region has": { label: "a dog" },
})) {
  test(`${what} is for the server to read`, () => assert.equal(readWith(change), null));
}

test("a newer version, and a name that no layout has, are for the server to read", () => {
  assert.equal(readWith({}, { version: 2 }), null);
  assert.equal(readWith({}, { prompt: "a park" }), null);
  assert.equal(readWith({}, { caption: 7 }), null);
});

test("what is no layout is for the server to read", () => {
  for (const text of ["", "a dog", "{", "[]", "null", "7", '{"caption": "a park"}']) {
    assert.equal(readCopied(text), null, text);
  }
});
