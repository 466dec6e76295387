import assert from "node:assert/strict";
import { test } from "node:test";

import { controlWords } from "../../../web/js/editor/control.js";
import { formatDrawing, parseDrawing, toLayout } from "../../../web/js/editor/drawing.js";

const BOX = [0, 0, 1, 1];
const SET = { strength: 2, start: 0.25, end: 0.5, negative: "a cat" };
const drawn = (region) => JSON.stringify({ regions: [{ text: "a dog", box: BOX, ...region }] });

test("what is set is told in words, and nothing where nothing is", () => {
  assert.equal(controlWords({}), "");
  assert.equal(controlWords({ strength: 1, start: 0, end: 1, negative: " " }), "");
  assert.equal(controlWords({ strength: 0 }), "off");
  assert.equal(controlWords(SET), "strength 2, from 25 % to 50 %, without a cat");
  assert.equal(controlWords({ end: 1 / 3 }), "from 0 % to 33.3 %");
});

test("it stays with its region, for the server too", () => {
  const drawing = parseDrawing(drawn(SET));
  const [written] = JSON.parse(formatDrawing(drawing)).regions;
  const [sent] = toLayout(drawing, { width: 512, height: 512 }).regions;
  for (const [name, value] of Object.entries(SET)) {
    assert.equal(written[name], value);
    assert.equal(sent[name], value);
  }
});

test("what no region can have is refused by name", () => {
  const wrong = { strength: 11, start: -0.1, end: "1", negative: 3 };
  for (const [name, value] of Object.entries(wrong)) {
    assert.throws(() => parseDrawing(drawn({ [name]: value })), new RegExp(`the ${name} of region 1`));
  }
  assert.throws(() => parseDrawing(drawn({ start: 0.5, end: 0.5 })), /before its end/);
});
