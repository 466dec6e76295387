import assert from "node:assert/strict";
import { test } from "node:test";

import { CHOICES, MOST_DIM, understood } from "../../../web/js/editor/preferences.js";

const USUAL = understood(undefined).preferences;

test("nothing said is the usual, and no fault", () => {
  assert.deepEqual(understood(undefined).refused, []);
  assert.deepEqual(understood({}), { preferences: USUAL, refused: [] });
  for (const [name, choices] of Object.entries(CHOICES)) assert.ok(USUAL[name] in choices);
});

test("every choice of every menu is taken as it is said", () => {
  for (const [name, choices] of Object.entries(CHOICES))
    for (const value of Object.keys(choices))
      assert.deepEqual(understood({ [name]: value }), {
        preferences: { ...USUAL, [name]: value },
        refused: [],
      });
  assert.equal(understood({ snapBoxes: false, dim: MOST_DIM }).preferences.dim, MOST_DIM);
});

const IMPOSSIBLE = [
  { unit: "nope" },
  { unit: "constructor" },
  { snap: "__proto__" },
  { guides: ["thirds"] },
  { background: null },
  { dim: "0.5" },
  { dim: 1e9 },
  { dim: NaN },
  { snapBoxes: "false" },
  { unit: "x".repeat(1_000_000) },
];
for (const said of IMPOSSIBLE)
  test(`${JSON.stringify(said).slice(0, 40)} is refused by name, the rest stays`, () => {
    const { preferences, refused } = understood({ ...said, extra: 1 });
    assert.deepEqual(preferences, USUAL);
    assert.equal(refused.length, 1);
    assert.match(refused[0], new RegExp(`says ${Object.keys(said)[0]} = `));
    assert.ok(refused[0].length < 200);
  });

for (const said of [null, "px", 3, ["px"], true])
  test(`preferences that are ${JSON.stringify(said)} are refused as a whole`, () => {
    assert.deepEqual(understood(said).preferences, USUAL);
    assert.match(understood(said).refused[0], /says preferences = /);
  });
