import assert from "node:assert/strict";
import { test } from "node:test";

import { choose, longestOf } from "../../../web/js/editor/choices.js";
import { withChoices } from "../../../web/js/editor/drawing.js";
import { drawingOf, frozen } from "./drawings.mjs";

const first = (options) => options[0];
const last = (options) => options.at(-1);

test("one of the options is taken, another each time", () => {
  const seen = new Set(Array.from({ length: 200 }, () => choose("a {red|green|blue} circle")));
  assert.deepEqual([...seen].sort(), ["a blue circle", "a green circle", "a red circle"]);
});

// Text -> what is left of it when the last option is always taken.
const READ = {
  "a red circle": "a red circle",
  "{a|b} and {c|d}": "b and d",
  "{a|{b|c} d} e": "c d e",
  "a {|large }circle": "a large circle",
  "a {small|} circle": "a  circle",
  "{only}": "only",
  "{}": "",
  "a {b|c": "a c",
  "a} | b": "a} | b",
  "\\{a\\|b\\}": "{a|b}",
  "{a\\|b|c\\}}": "c}",
  "\\(a\\)": "\\(a\\)",
  "ends in \\": "ends in \\",
  "{a|ends in \\": "ends in \\",
  "a // {b|c}\nd": "a \nd",
  "a /* {b|c}\n*/ d": "a  d",
  "{a|b /* | c */}": "b ",
  "a /* b // c": "a /* b ",
  "a */ b": "a */ b",
  // What is taken is read as a text of its own: an escaped backslash guards a sign once more.
  "\\\\{a|b}": "\\\\b",
  "\\\\\\{a": "\\\\{a",
  "{a|\\\\\\{b}": "\\{b",
  "{a|{b|\\\\\\{c}}": "{c",
  "(a {red|blue}:1.3) circle": "(a blue:1.3) circle",
  "{ein|ein schöner} Baum {木|🌳}": "ein schöner Baum 🌳",
};

for (const [text, read] of Object.entries(READ)) {
  test(`${JSON.stringify(text)} is read`, () => assert.equal(choose(text, last), read));
}

test("picks are asked for from the outside in, of what was taken only", () => {
  const taken = (text, ...picks) => {
    const asked = [];
    const pick = (options) => {
      asked.push(options.length);
      return options[picks.shift()];
    };
    return [choose(text, pick), ...asked];
  };
  assert.deepEqual(taken("{a|b {c|d|e} {f}|g} {h|i}", 1, 2, 0, 0), ["b e f h", 3, 3, 1, 2]);
  assert.deepEqual(taken("{a|b {c|d|e} {f}|g} {h|i}", 0, 1), ["a i", 3, 2]);
});

test("what a choice takes at most is its longest option", () => {
  assert.equal(choose("a {red|{green|light blue}|} circle", longestOf), "a light blue circle");
  assert.equal(choose("{}", longestOf), "");
  assert.equal(choose("{light blue|{a|b|c|d|e|f|g}}", longestOf), "light blue");
});

test("caption and regions choose, each for itself, but not what is hidden", () => {
  const drawing = frozen({
    ...drawingOf(
      { box: [0, 0, 1, 1], text: "{a|b}" },
      { box: [0, 0, 1, 1], text: "{c|d}", hidden: true },
      { box: [0, 0, 1, 1], text: '"{e' },
    ),
    caption: "{f|g}",
  });
  const chosen = withChoices(drawing, first);
  assert.equal(chosen.caption, "f");
  assert.deepEqual(
    chosen.regions.map(({ text }) => text),
    ["a", "{c|d}", '"e'],
  );
});

for (const [what, text] of Object.entries({
  "choices in choices": "{a|".repeat(300_000),
  "choices that end": "{a|".repeat(150_000) + "}".repeat(150_000),
  "comments that do not end": "/*".repeat(500_000),
  "comments of lines": "/*//\n".repeat(200_000),
  escapes: "\\{".repeat(500_000),
  "choices of one option": "{a".repeat(300_000),
})) {
  test(`${what} are read in time that grows with the text`, () => {
    const begun = process.cpuUsage(); // of this process: others may be at work beside it
    choose(text);
    assert.ok(process.cpuUsage(begun).user < 1_000_000); // microseconds
  });
}
