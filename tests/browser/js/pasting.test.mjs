import assert from "node:assert/strict";
import { test } from "node:test";

import { formatDrawing, withCaption } from "../../../web/js/editor/drawing.js";
import { Model } from "../../../web/js/editor/model.js";
import * as pasting from "../../../web/js/editor/pasting.js";
import { assertClose } from "./close.mjs";
import { drawingOf } from "./drawings.mjs";

const A = [0.1, 0.1, 0.3, 0.3];
const BIRD = { text: "a bird", box: [0.5, 0.5, 0.9, 0.9], weight: 1, color: "#aa0000" };
const FIELD = { caption: "a field", width: 640, height: 320, regions: [BIRD] };
const SILENT = { ...FIELD, caption: "" };
const WORDS = { ...FIELD, regions: [] };

/** An editor's model and host around a drawing. */
function editorOf(drawing) {
  const sizes = [];
  const host = {
    size: () => ({ width: 512, height: 256 }),
    preferences: () => ({}),
    commit() {},
    setSize: (...size) => sizes.push(size),
  };
  const model = new Model(host, { render() {}, refresh() {}, reveal() {} });
  model.load(formatDrawing(drawing));
  return { model, host, sizes };
}

const farm = () => editorOf(withCaption(drawingOf({ box: A, text: "a cat" }), "a farm"));
const textsOf = ({ drawing }) => drawing.regions.map(({ text }) => text);

test("a layout takes the place of the drawing, and its size that of the picture", () => {
  const editor = farm();
  const done = pasting.takeLayout(editor, FIELD);
  assert.equal(done, "1 region instead of 1 region. Undo brings back what was.");
  assert.deepEqual([textsOf(editor.model), editor.model.drawing.caption], [["a bird"], "a field"]);
  assert.deepEqual(editor.sizes, [[640, 320]]);
});

test("a layout without regions takes none away", () => {
  const editor = farm();
  assert.match(pasting.takeLayout(editor, WORDS), /became the caption; the regions stay.*a farm$/);
  assert.deepEqual([textsOf(editor.model), editor.model.drawing.caption], [["a cat"], "a field"]);
  assert.deepEqual(editor.sizes, []);
});

test("a layout of nothing changes nothing", () => {
  for (const editor of [farm(), editorOf(drawingOf())]) {
    const { value } = editor.model;
    assert.match(pasting.takeLayout(editor, { ...WORDS, caption: " " }), /nothing is changed/);
    assert.equal(editor.model.value, value);
  }
});

test("added regions stay where they were, those that would hide others come to the pointer", () => {
  for (const layout of [FIELD, SILENT]) {
    const { model } = farm();
    const said = pasting.addLayout(model, layout, [0.5, 0.5]);
    assert.equal(said.includes("The caption was not: a field"), layout === FIELD);
    pasting.addLayout(model, layout, [0.5, 0.5]);
    const [, there, here] = model.drawing.regions;
    assert.deepEqual(there.box, BIRD.box);
    assertClose(here.box, [0.3, 0.3, 0.7, 0.7]);
  }
});

test("copies may lack texts, and keep what only another ReCo knows", () => {
  const { model } = farm();
  pasting.addCopies(model, [{ ...BIRD, text: "", mask: "m", locked: true, hidden: true }], null);
  const { text, mask, locked, hidden, color } = model.drawing.regions[1];
  assert.deepEqual([text, mask, locked, hidden, color], ["", "m", false, true, BIRD.color]);
});
