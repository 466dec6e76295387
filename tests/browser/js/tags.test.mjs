import assert from "node:assert/strict";
import { test } from "node:test";

import { placeTags } from "../../../web/js/shared/tags.js";
import { always } from "./random.mjs";

const AREA = [1000, 800];
const TAG = [60, 18];
const PIXEL = 1; // what tags may share without hiding a letter

/** The places of tags, each [x0, y0, x1, y1]. */
function place(boxes, sizes = boxes.map(() => TAG), area = AREA) {
  return placeTags(boxes, sizes, sizes, area).map(({ x, y }, i) => [
    x,
    y,
    x + sizes[i][0],
    y + sizes[i][1],
  ]);
}

function assertApart(tags) {
  tags.forEach((tag, index) => {
    for (const other of tags.slice(index + 1)) {
      const width = Math.min(tag[2], other[2]) - Math.max(tag[0], other[0]);
      const height = Math.min(tag[3], other[3]) - Math.max(tag[1], other[1]);
      assert.ok(Math.min(width, height) < PIXEL, `${tag} covers ${other}`);
    }
  });
}

function assertWithin(tags, [width, height]) {
  for (const tag of tags) {
    const inside = tag[0] >= 0 && tag[1] >= 0 && tag[2] <= width + 1e-9 && tag[3] <= height + 1e-9;
    assert.ok(inside, `${tag} leaves the canvas`);
  }
}

const copiesOf = (box, count) => Array.from({ length: count }, () => box);

test("the tag of a box alone is in its left top corner", () => {
  assert.deepEqual(place([[200, 300, 400, 500]]), [[200, 300, 260, 318]]);
});

test("tags of boxes that lie apart are all in their left top corners", () => {
  const boxes = [
    [0, 0, 200, 200],
    [300, 0, 500, 200],
    [0, 300, 200, 500],
  ];
  const corners = place(boxes).map(([x, y]) => [x, y]);
  assert.deepEqual(corners, [
    [0, 0],
    [300, 0],
    [0, 300],
  ]);
});

test("the tag of a box that is smaller is beside it", () => {
  for (const box of [[500, 400, 510, 410], [0, 0, 9, 9], [990, 790, 1000, 800], [0, 300, 9, 309]]) {
    const [tag] = place([box]);
    const isApart = tag[2] <= box[0] || tag[0] >= box[2] || tag[3] <= box[1] || tag[1] >= box[3];
    assert.ok(isApart, `${tag} covers ${box}`);
  }
});

test("what is taken is kept free", () => {
  const taken = [[200, 300, 300, 330]];
  const [tag] = placeTags([[200, 300, 400, 500]], [TAG], [TAG], AREA, taken);
  assertApart([...taken, [tag.x, tag.y, tag.x + TAG[0], tag.y + TAG[1]]]);
});

test("the second tag in a spot is beside the first, not over it", () => {
  const [first, second] = place(copiesOf([200, 300, 400, 500], 2));
  assert.notDeepEqual(first, second);
  assertApart([first, second]);
});

test("tags of forty boxes in one spot do not hide one another", () => {
  assertApart(place(copiesOf([300, 200, 700, 600], 40)));
  assertApart(place(copiesOf([500, 400, 510, 410], 40)));
});

test("tags of forty boxes in a corner or over the whole canvas do not hide one another", () => {
  for (const box of [[0, 0, 20, 20], [980, 780, 1000, 800], [990, 0, 1000, 800], [0, 0, ...AREA]]) {
    const tags = place(copiesOf(box, 40));
    assertWithin(tags, AREA);
    assertApart(tags);
  }
});

test("tags of boxes at the borders stay on the canvas, near their boxes", () => {
  const boxes = [
    [0, 0, 30, 10],
    [990, 0, 1000, 800],
    [0, 795, 1000, 800],
    [980, 790, 1000, 800],
  ];
  assert.deepEqual(place(boxes.slice(1, 2)), [[930, 0, 990, 18]]);
  assert.deepEqual(place(boxes.slice(3)), [[940, 772, 1000, 790]]); // beside the box
  const tags = place(boxes);
  assertWithin(tags, AREA);
  assertApart(tags);
});

test("tags never leave the canvas", () => {
  always((random) => {
    const area = [random.between(100, 900), random.between(100, 900)];
    const boxes = random.boxes(random.integer(1, 25)).map((box) =>
      box.map((edge, side) => edge * area[side % 2]),
    );
    const sizes = boxes.map(() => [random.between(10, area[0]), random.between(10, 40)]);
    const tags = place(boxes, sizes, area);
    assert.equal(tags.length, boxes.length);
    assertWithin(tags, area);
  }, 100);
});

test("a tag higher than the canvas begins at its top", () => {
  const [[, top]] = place([[0, 5, 50, 10]], [[40, 30]], [50, 10]);
  assert.equal(top, 0);
});

test("a tag has its text where there is room, and its number where there is none", () => {
  const boxes = [...copiesOf([300, 300, 340, 340], 12), [700, 700, 740, 740]];
  const numbers = boxes.map(() => [20, 18]);
  const texts = boxes.map(() => [400, 18]);
  const tags = placeTags(boxes, numbers, texts, AREA);
  assert.ok(tags.at(-1).whole && tags.filter(({ whole }) => whole).length < 4);
  assertApart(tags.map(({ x, y, whole }) => [x, y, x + (whole ? 400 : 20), y + 18]));
});

test("a hundred tags are placed in a few milliseconds", () => {
  const boxes = copiesOf([0, 0, ...AREA], 100);
  const sizes = boxes.map(() => [20, 18]);
  place(boxes, sizes);
  const start = process.cpuUsage();
  place(boxes, sizes);
  assert.ok(process.cpuUsage(start).user < 50_000); // microseconds
});
