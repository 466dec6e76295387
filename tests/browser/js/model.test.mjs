import assert from "node:assert/strict";
import { test } from "node:test";

import { changeRegions, formatDrawing, withCaption } from "../../../web/js/editor/drawing.js";
import { Model } from "../../../web/js/editor/model.js";
import { drawingOf } from "./drawings.mjs";

const A = [0.1, 0.1, 0.3, 0.3];
const B = [0.5, 0.5, 0.9, 0.9];

/** A model of a drawing, and what it has asked of what is around it. */
function modelOf(drawing, preferences = {}) {
  const asked = { commits: 0, drafts: 0, kept: null, revealed: [] };
  const host = {
    size: () => ({ width: 512, height: 256 }),
    preferences: () => preferences,
    setPreferences: (kept) => (asked.kept = kept),
    commit: () => asked.commits++,
    keepDraft: () => asked.drafts++,
  };
  const view = { render() {}, refresh() {}, reveal: (index) => asked.revealed.push(index) };
  const model = new Model(host, view);
  model.load(formatDrawing(drawing));
  return { model, asked };
}

const captioned = ({ drawing }, caption) => withCaption(drawing, caption);

test("what the model holds can be read and not written", () => {
  const { model } = modelOf(drawingOf(A));
  const names = Object.entries(Object.getOwnPropertyDescriptors(Model.prototype)).flatMap(
    ([name, { get }]) => (get ? [name] : []),
  );
  assert.ok(names.length > 8);
  for (const name of names) {
    const before = model[name];
    assert.throws(() => (model[name] = null), TypeError, name);
    assert.deepEqual(model[name], before);
  }
  assert.deepEqual(Object.keys(model), []);
});

test("a drag is shown while it goes on and counts when it has ended", () => {
  const { model, asked } = modelOf(drawingOf(A, B));
  const before = model.value;
  model.beginDrag([1]);
  const moved = changeRegions(model.drawing, [1], { box: A });
  model.drag({ drawing: moved, selection: [1] });
  assert.equal(model.drawing, moved);
  assert.equal(model.value, before);
  assert.equal(asked.commits, 0);
  model.endDrag();
  assert.equal(model.value, formatDrawing(moved));
  assert.equal(asked.commits, 1);
  assert.equal(model.dragging, false);
});

test("a drag that changed nothing is no step of undo, nor is one that was cancelled", () => {
  const { model, asked } = modelOf(drawingOf(A, B));
  const { value } = model;
  model.beginDrag([0]);
  model.endDrag();
  model.beginDrag([1]);
  model.drag({ drawing: changeRegions(model.drawing, [1], { box: A }), selection: [1] });
  model.cancelDrag();
  assert.equal(model.value, value);
  assert.deepEqual(model.selection, [0]);
  assert.equal(asked.commits, 0);
});

test("a value that cannot be read is kept, with why, until it is replaced", () => {
  const { model } = modelOf(drawingOf(A));
  model.load("{no drawing");
  assert.equal(model.unreadable.value, "{no drawing");
  assert.match(model.unreadable.why, /JSON/);
  assert.equal(model.value, "{no drawing");
  assert.equal(model.queued, "{no drawing");
  assert.deepEqual(model.drawing.regions, []);
  model.update(captioned(model, "a park"));
  assert.equal(model.value, formatDrawing(model.drawing));
  assert.equal(model.unreadable, null);
});

test("changes that wait are one step of undo", () => {
  const { model, asked } = modelOf(drawingOf(A));
  for (const caption of ["a", "ab"]) model.update(captioned(model, caption), { commit: false });
  assert.deepEqual([asked.commits, asked.drafts], [0, 2]);
  model.commitChanges();
  model.commitChanges();
  assert.equal(asked.commits, 1);
});

test("what was counted is forgotten when regions get other numbers", () => {
  const { model } = modelOf(drawingOf(A, B));
  const count = { tokens: ["3", "4"], unfit: new Set([1]), remarks: [] };
  model.takeCount(count);
  model.update(captioned(model, "a park"));
  assert.equal(model.count, count);
  model.apply({ drawing: drawingOf(B, A), selection: [] });
  assert.deepEqual(model.count, { tokens: [], unfit: new Set(), remarks: [] });
});

test("a region that is selected is revealed, once", () => {
  const { model, asked } = modelOf(drawingOf(A, B));
  model.select([0, 1]);
  model.select([0, 1]);
  model.select([]);
  assert.deepEqual(asked.revealed, [1]);
});

test("preferences are the workflow's, else as they are at first", () => {
  const { model, asked } = modelOf(drawingOf(A), { snap: "grid" });
  assert.deepEqual(model.snapping, { step: [32 / 512, 32 / 256], boxes: true });
  model.prefer({ snap: "cells", snapBoxes: false });
  assert.deepEqual(model.snapping, { step: [8 / 512, 8 / 256], boxes: false });
  assert.equal(asked.kept.snap, "cells");
  assert.equal(asked.kept.unit, "px");
});

test("a preference that is not known is told once, and the usual one holds", (context) => {
  const warn = context.mock.method(console, "warn", () => {});
  const { model } = modelOf(drawingOf(A), { unit: "nope", guides: "thirds" });
  model.readPreferences();
  assert.equal(model.preferences.unit, "px");
  assert.equal(model.preferences.guides, "thirds");
  assert.equal(warn.mock.callCount(), 1);
  assert.match(warn.mock.calls[0].arguments[0], /unit = "nope"/);
});
