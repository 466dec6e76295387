import assert from "node:assert/strict";
import { test } from "node:test";

import { areaOf, overlap } from "../../../web/js/shared/geometry.js";
import { roomsOf } from "../../../web/js/editor/rooms.js";
import { always } from "./random.mjs";

const LARGE = [0, 0, 100, 80];

test("a box alone has all of its room", () => {
  assert.deepEqual(roomsOf([LARGE, [100, 0, 150, 80]]), [LARGE, [100, 0, 150, 80]]);
});

test("a smaller box on it leaves the largest part beside it, whichever is above", () => {
  const small = [10, 50, 60, 70];
  assert.deepEqual(roomsOf([LARGE, small])[0], [0, 0, 100, 50]);
  assert.deepEqual(roomsOf([small, LARGE])[1], [0, 0, 100, 50]);
  assert.deepEqual(roomsOf([LARGE, small])[1], small);
});

test("of two that are equal the upper one has its room", () => {
  assert.deepEqual(roomsOf([LARGE, [50, 0, 150, 80]]), [
    [0, 0, 50, 80],
    [50, 0, 150, 80],
  ]);
});

test("rooms lie in their boxes and do not overlap", () => {
  always((random) => {
    const boxes = random.boxes(random.integer(1, 12));
    const rooms = roomsOf(boxes);
    rooms.forEach((room, i) => {
      const isEmpty = areaOf(room) <= 0 || room[2] <= room[0];
      if (isEmpty) return;
      assert.ok(room.every((edge, side) => (side < 2 ? edge >= boxes[i][side] : edge <= boxes[i][side])));
      for (const other of rooms.slice(i + 1)) {
        if (other[2] > other[0] && other[3] > other[1]) assert.ok(!overlap(room, other));
      }
    });
  });
});
