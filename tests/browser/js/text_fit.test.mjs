import assert from "node:assert/strict";
import { test } from "node:test";

import { fitText, LINE } from "../../../web/js/editor/text_fit.js";
import { always } from "./random.mjs";

const LETTER = 0.5; // width of each letter here, in its size
const measure = (text) => LETTER * [...text].length;
const fit = (text, ...room) => fitText(text, room, measure);

test("a text is as large as fits, up to a greatest size", () => {
  assert.deepEqual(fit("a cat", 400, 400), { size: 22, lines: 1, most: 14 });
  const small = fit("a cat on a wall", 60, 60);
  assert.ok(small.size > 10 && small.size < 22 && small.lines > 1);
});

test("more room never makes the letters smaller", () => {
  always((random) => {
    const text = random.pick(["a cat", "a very long text of many words that wraps", "mmmmmmmmmmmmmmm"]);
    const [width, height] = [random.between(20, 300), random.between(10, 200)];
    const [less, more] = [fit(text, width, height), fit(text, width * 1.3, height * 1.3)];
    if (less) assert.ok(more.size >= less.size);
  });
});

test("what is said to fit does: its lines have room in height, and no word is wider", () => {
  always((random) => {
    const count = random.integer(1, 30);
    const text = Array.from({ length: count }, () => "x".repeat(random.integer(1, 12))).join(" ");
    const [width, height] = [random.between(10, 400), random.between(5, 200)];
    const found = fit(text, width, height);
    if (!found) return;
    assert.ok(found.lines <= found.most && found.most * found.size * LINE <= height);
    const letters = measure(text) * found.size;
    if (found.size > 10) assert.ok(letters <= width * found.lines);
  });
});

test("a text that does not fit has the least size and is cut; without room there is none", () => {
  const cut = fit("a very long text of many words that cannot be shown".repeat(9), 60, 40);
  assert.deepEqual([cut.size, cut.lines, cut.most], [10, 3, 3]);
  assert.equal(fit("a very long text of many words", 20, 40), null);
  assert.equal(fit("a cat", 400, 5), null);
  assert.equal(fit("a cat", -5, 50), null);
});

test("a long word is broken at the least size alone", () => {
  const word = "w".repeat(40);
  assert.equal(fit(word, 100, 100).size, 10);
  assert.ok(fit(word, 400, 100).size > 10);
});

test("writing without spaces wraps between its words", () => {
  const text = "红色的汽车停在一座古老的石桥旁边";
  const narrow = fitText(text, [60, 200], (piece) => [...piece].length);
  assert.ok(narrow.size > 10, `${narrow.size}`);
  assert.ok(narrow.lines > 3);
});
