import assert from "node:assert/strict";
import { test } from "node:test";

import { PALETTE, colorsOf } from "../../../web/js/editor/colors.js";
import { namedColor } from "../../../web/js/shared/color_words.js";
import { drawingOf } from "./drawings.mjs";

const BOX = [0.1, 0.1, 0.3, 0.3];
const colorsFor = (...texts) => colorsOf(drawingOf(...texts.map((text) => ({ text, box: BOX }))));
const RED = PALETTE[0];

test("a text's first color word is the box's color", () => {
  assert.equal(namedColor("a Dark RED car on green grass"), RED);
  assert.equal(namedColor("a darkred car"), RED);
  for (const text of ["a car", "a redwood", "bored", "", "été red_wine"]) {
    assert.equal(namedColor(text), null);
  }
});

test("regions without one have the palette's in turn, but none that another has", () => {
  assert.deepEqual(colorsFor("a", "b", "c"), PALETTE.slice(0, 3));
  const [first, second, third] = colorsFor("a cat", "a dog", "a red car");
  assert.deepEqual([second, third], [PALETTE[1], RED]);
  assert.ok(![second, third].includes(first));
  const many = colorsFor(...Array.from({ length: PALETTE.length + 2 }, () => "a"));
  assert.equal(new Set(many).size, PALETTE.length);
});

test("a chosen color stays, whatever the text names", () => {
  const chosen = { text: "a red car", box: BOX, color: "#123456" };
  assert.deepEqual(colorsOf(drawingOf(chosen)), ["#123456"]);
});
