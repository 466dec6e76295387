import assert from "node:assert/strict";
import { test } from "node:test";

import * as editing from "../../../web/js/editor/drawing.js";
import { bounds } from "../../../web/js/shared/geometry.js";
import { assertClose, assertInside, sizeOf } from "./close.mjs";
import { boxesOf, drawingOf, frozen } from "./drawings.mjs";
import { always } from "./random.mjs";

const { EMPTY, formatDrawing, parseDrawing } = editing;

const A = [0.1, 0.1, 0.3, 0.3];
const B = [0.4, 0.2, 0.6, 0.5];
const C = [0.5, 0.6, 0.9, 1];
const textsOf = ({ regions }) => regions.map(({ text }) => text);
const named = (...texts) => drawingOf(...texts.map((text) => ({ text, box: A })));

test("an empty text is the empty drawing, and the other way round", () => {
  assert.deepEqual(parseDrawing(""), EMPTY);
  assert.deepEqual(parseDrawing(" \n"), EMPTY);
  assert.equal(formatDrawing(EMPTY), "");
});

test("a drawing is read as it was written", () => {
  always((random) => {
    const regions = random.boxes(random.integer(0, 15)).map((box) => ({
      box,
      text: random.pick(["", "a cat", '"<1>" \\ Käse\n']),
      weight: random.between(-1, 2),
      locked: random.pick([true, false]),
      hidden: random.pick([true, false]),
    }));
    const caption = random.pick(["", "a street"]);
    const drawing = {
      ...drawingOf(...regions),
      caption,
      incoming: random.pick(["", "a1b2"]),
      textless: random.pick(Object.keys(editing.TEXTLESS)),
    };
    assert.deepEqual(parseDrawing(formatDrawing(drawing)), drawing);
  });
});

test("only what is set is saved", () => {
  const saved = (drawing) => JSON.parse(formatDrawing(drawing));
  const [plain, special] = saved(drawingOf(A, { box: B, locked: true, hidden: true })).regions;
  assert.deepEqual(Object.keys(plain), ["text", "box", "weight"]);
  assert.equal(special.locked && special.hidden, true);
  assert.ok(!("incoming" in saved(drawingOf(A))));
  assert.ok(!("textless" in saved(drawingOf(A))));
  assert.equal(saved({ ...EMPTY, textless: "stop" }).textless, "stop");
  assert.equal(saved({ ...EMPTY, incoming: "a1b2" }).incoming, "a1b2");
});

test("what cannot be read says why", () => {
  const region = (box) => JSON.stringify({ regions: [{ box: A }, { box }] });
  assert.throws(() => parseDrawing("{"), SyntaxError);
  assert.throws(() => parseDrawing("null"), /no regions/);
  assert.throws(() => parseDrawing('{"caption": "a"}'), /no regions/);
  assert.throws(() => parseDrawing(region([0, 0, 1])), /box of region 2 is not four numbers/);
  assert.throws(() => parseDrawing(region([0, 0, 1, "x"])), /region 2/);
  assert.throws(() => parseDrawing(region(undefined)), /region 2/);
  for (const textless of ["nope", ["stop"], null, "constructor"]) {
    const said = JSON.stringify({ regions: [], textless });
    assert.throws(() => parseDrawing(said), /textless is not leave out or stop/);
  }
});

test("nothing that a person wrote is dropped or rounded in silence", () => {
  const refusal = (text) => {
    try {
      return void parseDrawing(text);
    } catch ({ message }) {
      return message;
    }
  };
  const twice = /^"text" stands twice in one object: keep one$/;
  assert.match(refusal('{"regions": [{"text": "a", "box": [0, 0, 1, 1], "text": "b"}]}'), twice);
  assert.match(refusal('{"regions": [{"\\u0074ext": "", "box": [0, 0, 1, 1], "text" : ""}]}'), twice);
  assert.match(refusal('{"regions": [], "caption": "a", "regions": []}'), /"regions" stands twice/);
  assert.match(refusal('{"regions": [], "mine": {"__proto__": 1, "__proto__": 2}}'), /twice/);
  assert.match(refusal('{"regions": [], "mine": [1, {"id": 9007199254740993}]}'), /too large/);
  assert.match(refusal('{"regions": [], "mine": -1e400}'), /its number -1e400 is too large/);
  const right = [
    { text: '"text": {"text": 1e999, \\', box: A },
    { text: "}", box: B, mine: { text: "text", box: [{ text: 1 }, { text: 9007199254740991 }] } },
  ];
  assert.equal(refusal(JSON.stringify({ regions: right })), undefined);
});

test("what a region lacks is filled in", () => {
  const text = JSON.stringify({ regions: [{ box: [0.2, 0, 0.9, 1 + 1e-12] }, { box: A, color: null }] });
  const { caption, incoming, regions } = parseDrawing(text);
  assert.deepEqual([caption, incoming], ["", ""]);
  assert.deepEqual(regions[0], {
    text: "",
    box: [0.2, 0, 0.9, 1],
    weight: 1,
    color: null,
    locked: false,
    hidden: false,
  });
  assert.equal(regions[1].color, null);
});

for (const [what, change] of Object.entries({
  "a box beyond the picture": { box: [0.1, 0.1, 1.3, 0.3] },
  "a box whose edges are swapped": { box: [0.3, 0.1, 0.1, 0.3] },
  "a box of texts": { box: ["0.1", "0.1", "0.3", "0.3"] },
  "a text that is a number": { text: 7 },
  "a weight that is a text": { weight: "heavy" },
  "a color that is none": { color: "red" },
  "a mark that is neither true nor false": { hidden: "no" },
})) {
  test(`${what} is not mended in silence`, () => {
    const text = JSON.stringify({ regions: [{ box: A }, { box: B, ...change }] });
    assert.throws(() => parseDrawing(text), new RegExp(`${Object.keys(change)[0]} of region 2 is not`));
  });
}

test("what another ReCo has written is kept, or refused when it is newer", () => {
  const more = { caption: "a park", style: { name: "ink" }, regions: [{ box: A, mask: "m1" }] };
  const moved = editing.changeRegions(parseDrawing(JSON.stringify(more)), [0], { box: B });
  const saved = JSON.parse(formatDrawing(editing.withCaption(moved, "a street")));
  assert.deepEqual([saved.style, saved.regions[0].mask], [{ name: "ink" }, "m1"]);
  assert.deepEqual([saved.caption, saved.regions[0].box], ["a street", B]);
  for (const version of [2, 0, 1.5, "1", null, true]) {
    assert.throws(() => parseDrawing(JSON.stringify({ version, regions: [] })), /version is/);
  }
});

test("a layout from elsewhere becomes a drawing that remembers where it began", () => {
  const layout = frozen({ version: 1, caption: "a street", regions: [{ text: "a cat", box: A }] });
  const drawing = editing.fromLayout(layout, { incoming: "a1b2", textless: "stop" });
  assert.deepEqual([drawing.caption, drawing.incoming], ["a street", "a1b2"]);
  assert.equal(drawing.textless, "stop");
  assert.deepEqual(textsOf(drawing), ["a cat"]);
});

test("a layout has the size and nothing that the editor alone knows", () => {
  const drawing = drawingOf({ box: A, text: "a cat", locked: true, hidden: true });
  assert.deepEqual(
    editing.toLayout({ ...drawing, caption: "a street" }, { width: 640, height: 512 }),
    {
      version: 1,
      caption: "a street",
      width: 640,
      height: 512,
      regions: [{ text: "a cat", box: A, weight: 1 }],
    },
  );
});

test("regions are complete that are visible and have a text", () => {
  const hidden = { box: A, text: "a dog", hidden: true };
  const drawing = drawingOf({ box: A, text: "a cat" }, hidden, { box: A, text: " \n" }, {
    box: B,
    text: "a hat",
    locked: true,
  });
  assert.deepEqual(editing.completeRegions(drawing), [0, 3]);
});

test("new regions are selected and have no chosen color", () => {
  const { drawing, selection } = editing.addRegions(drawingOf(A), [{ box: B }, { box: C }]);
  assert.deepEqual(selection, [1, 2]);
  assert.deepEqual(drawing.regions.map(({ color }) => color), [null, null, null]);
});

test("a chosen color is kept", () => {
  const drawing = drawingOf({ box: A, text: "a cat", color: "#123456" }, B);
  const [chosen, automatic] = JSON.parse(formatDrawing(drawing)).regions;
  assert.equal(chosen.color, "#123456");
  assert.ok(!("color" in automatic));
  assert.deepEqual(parseDrawing(formatDrawing(drawing)), drawing);
});

test("the caption and chosen regions change, the rest stays", () => {
  const drawing = drawingOf(A, B, C);
  assert.equal(editing.withCaption(drawing, "a street").caption, "a street");
  const hidden = editing.changeRegions(drawing, [0, 2], { hidden: true });
  assert.deepEqual(hidden.regions.map((region) => region.hidden), [true, false, true]);
  const numbered = editing.changeRegions(drawing, [1], (_, index) => ({ text: String(index) }));
  assert.deepEqual(textsOf(numbered), ["", "1", ""]);
});

test("after removing regions the one in the place of the first is selected", () => {
  const removed = (selection) => {
    const after = editing.removeRegions(named("a", "b", "c", "d"), selection);
    return [textsOf(after.drawing).join(""), after.selection];
  };
  assert.deepEqual(removed([1]), ["acd", [1]]);
  assert.deepEqual(removed([2, 0]), ["bd", [0]]);
  assert.deepEqual(removed([3]), ["abc", [2]]);
  assert.deepEqual(removed([0, 1, 2, 3]), ["", []]);
});

test("duplicates are shifted, unlocked and selected, and else as they were", () => {
  const drawing = drawingOf({ box: A, text: "a cat", weight: 0.5, locked: true }, B);
  const after = editing.duplicateRegions(drawing, [0], [0.05, 0.02]);
  assert.deepEqual(after.selection, [2]);
  const { box, ...copy } = after.drawing.regions[2];
  assertClose(box, [0.15, 0.12, 0.35, 0.32]);
  const expected = { text: "a cat", weight: 0.5, color: null, locked: false, hidden: false };
  assert.deepEqual(copy, expected);
});

test("duplicates stay inside the image and keep their shape", () => {
  always((random) => {
    const drawing = drawingOf(...random.boxes(3));
    const after = editing.duplicateRegions(drawing, [0, 2], random.point(0.5));
    const duplicates = boxesOf(after.drawing).slice(3);
    duplicates.forEach(assertInside);
    assertSameShape(duplicates, [drawing.regions[0].box, drawing.regions[2].box]);
  });
});

test("pasted regions come where they were, or around a point where they would hide others", () => {
  const { regions } = drawingOf(A, B);
  const place = (drawing) => editing.placeRegions(regions, drawing, [0.5, 0.5], [0.1, 0.1]);
  assert.deepEqual(place(drawingOf()), regions);
  assert.deepEqual(place(drawingOf([0.1, 0.1, 0.5, 0.5])), regions);
  const [first, second] = place(drawingOf(B.map((edge) => edge + 0.001)));
  assertClose(first.box, [0.25, 0.3, 0.45, 0.5]);
  assertClose(second.box, [0.55, 0.4, 0.75, 0.7]);
});

test("pasted regions keep their shape and stay inside, wherever the point is", () => {
  always((random) => {
    const drawing = drawingOf(...random.boxes(3));
    const { regions } = drawing;
    const offset = random.point();
    const point = random.pick([null, random.point(0.5)]);
    const placed = editing.placeRegions(regions, drawing, point, offset).map(({ box }) => box);
    placed.forEach(assertInside);
    assertSameShape(placed, regions.map(({ box }) => box));
  });
});

test("pasted regions that would hide others lie beside them when there is no point", () => {
  const drawing = drawingOf(A, B);
  const [first] = editing.placeRegions(drawing.regions, drawing, null, [0.1, 0.1]);
  assertClose(first.box, A.map((edge) => edge + 0.1));
  assert.deepEqual(editing.placeRegions([], drawing, [0.5, 0.5], [0.1, 0.1]), []);
});

test("a region takes another place in the order and is selected there", () => {
  const moved = (from, to) => {
    const { drawing, selection } = editing.reorderRegion(named("a", "b", "c"), from, to);
    return [textsOf(drawing).join(""), selection];
  };
  assert.deepEqual(moved(0, 2), ["bca", [2]]);
  assert.deepEqual(moved(2, 0), ["cab", [0]]);
  assert.deepEqual(moved(1, 1), ["abc", [1]]);
  assert.deepEqual(moved(0, 9), ["bca", [2]]);
});

function assertSameShape(boxes, others) {
  const [frame, otherFrame] = [bounds(boxes), bounds(others)];
  assertClose(sizeOf(frame), sizeOf(otherFrame));
  boxes.forEach((box, index) => {
    const place = (inner, outer) => inner.map((edge, side) => edge - outer[side % 2]);
    assertClose(place(box, frame), place(others[index], otherFrame));
  });
}

test("regions are put before or after all others, in their order", () => {
  const drawing = named("a", "b", "c", "d");
  const last = editing.orderRegions(drawing, [2, 0], true);
  assert.deepEqual([textsOf(last.drawing), last.selection], [["b", "d", "a", "c"], [2, 3]]);
  const first = editing.orderRegions(drawing, [3, 1], false);
  assert.deepEqual([textsOf(first.drawing), first.selection], [["b", "d", "a", "c"], [0, 1]]);
});
