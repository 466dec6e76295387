// What the editor holds: a caption and regions, and every way to change them. Pure: a drawing is
// never changed, each function returns a new one.
//
// {caption, incoming, textless, regions: [{text, box, weight, color, locked, hidden}]}; box: see
// geometry.js; incoming: the fingerprint of the layout from another node that it began with;
// textless: what Run does with regions that have no text, one of TEXTLESS; color: the chosen one, null
// where there is none: see colors.js. A region that came with a mask also has that one's digest as
// mask, and keeps it wherever its box goes. Other names in it or its regions, which another ReCo or a
// person gave them, stay.

import { bounds, boxBetween, clamp, shiftInside, translate } from "../shared/geometry.js";
import { parseJson } from "../shared/json.js";
import { choose } from "./choices.js";
import { CONTROL, checkControl } from "./control.js";

const VERSION = 1;
const ROUNDING = 1e-9; // how far an edge may lie outside by what arithmetic loses
const HIDING = 0.005; // edges no further apart are hardly seen as two

/** Of a drawing's `textless`: words for a menu. The first is meant where a drawing has none. */
export const TEXTLESS = { "leave out": "left out by Run", stop: "stops Run" };
const [LEAVE_OUT] = Object.keys(TEXTLESS);

/** What a region is where nothing else is said. */
const NEW = { text: "", weight: 1, color: null, locked: false, hidden: false };

export const EMPTY = { caption: "", incoming: "", textless: LEAVE_OUT, regions: [] };

/**
 * Read a drawing. "" is the empty one. What has other names than those above is kept as it is.
 * Throws an Error that says what is wrong; what the server refuses is wrong here too.
 */
export function parseDrawing(text) {
  if (!text.trim()) return EMPTY;
  const data = parseJson(text);
  if (!Array.isArray(data?.regions)) throw new Error("it has no regions");
  // Its size is the node's own.
  const { version = VERSION, width, height, ...drawing } = data;
  const { caption = "", incoming = "", textless = LEAVE_OUT } = drawing;
  checkVersion(version);
  return {
    ...drawing,
    caption: checked("the caption", caption, "a text", isText),
    incoming: checked("incoming", incoming, "a text", isText),
    textless: checked("textless", textless, TEXTLESS_KIND, isTextless),
    regions: data.regions.map(readRegion),
  };
}

/** The text that parseDrawing reads; "" for a drawing on which nothing is. */
export function formatDrawing({ caption, incoming, textless, regions, ...others }) {
  const data = { version: VERSION, caption, ...others, regions: regions.map(writeRegion) };
  if (incoming) data.incoming = incoming;
  if (textless !== LEAVE_OUT) data.textless = textless;
  const isEmpty = !caption && !regions.length && Object.keys(data).length === 3;
  return isEmpty ? "" : JSON.stringify(data);
}

function readRegion(region, index) {
  const { text = "", box, weight = 1, color, locked = false, hidden = false, ...others } =
    checked(`region ${index + 1}`, region, "an object", isObject);
  const of = (name, value, kind, isRight) =>
    checked(`the ${name} of region ${index + 1}`, value, kind, isRight);
  of("box", box, "four numbers from 0 to 1, [left, top, right, bottom]", isBox);
  checkControl(others, of);
  return {
    ...others,
    text: of("text", text, "a text", isText),
    box: boxBetween(box.slice(0, 2), box.slice(2)),
    weight: of("weight", weight, "a number", Number.isFinite),
    color: color === undefined || color === null ? null : of("color", color, "as #rrggbb", isColor),
    locked: of("locked", locked, "true or false", isFlag),
    hidden: of("hidden", hidden, "true or false", isFlag),
  };
}

function writeRegion({ text, box, weight, color, locked, hidden, ...others }) {
  const data = { text, box, weight, ...(color ? { color } : {}), ...others };
  if (locked) data.locked = true;
  if (hidden) data.hidden = true;
  return data;
}

function checkVersion(version) {
  const number = checked("its version", version, "a number from 1", isVersion);
  if (number > VERSION) {
    throw new Error(`its version is ${number}, newer than this ReCo reads (${VERSION}): update ReCo`);
  }
}

/** A value of which isRight is true. Throws an Error that says otherwise. */
function checked(what, value, kind, isRight) {
  if (isRight(value)) return value;
  const said = value === undefined ? "missing" : (JSON.stringify(value) ?? "").slice(0, 60);
  throw new Error(`${what} is not ${kind}: ${said}`);
}

const isVersion = (value) => Number.isInteger(value) && value > 0;
const isText = (value) => typeof value === "string";
const TEXTLESS_KIND = Object.keys(TEXTLESS).join(" or ");
const isTextless = (value) => isText(value) && Object.hasOwn(TEXTLESS, value);
const isFlag = (value) => typeof value === "boolean";
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const isColor = (value) => isText(value) && /^#[0-9a-f]{6}$/i.test(value);
const isEdge = (value) => Number.isFinite(value) && value > -ROUNDING && value < 1 + ROUNDING;
const isBox = (value) =>
  Array.isArray(value) &&
  value.length === 4 &&
  value.every(isEdge) &&
  value[0] <= value[2] &&
  value[1] <= value[3];

/** A layout as the server reads it: without what the editor alone knows. size: in pixels. */
export function toLayout({ caption, regions }, size) {
  return {
    version: VERSION,
    caption,
    width: size.width,
    height: size.height,
    regions: regions.map(regionData),
  };
}

/** What a region's JSON may say beside them. */
const MORE = ["mask", ...CONTROL];

const regionData = ({ text, box, weight, color, ...others }) => ({
  text,
  box,
  weight,
  ...(color ? { color } : {}),
  ...Object.fromEntries(Object.entries(others).filter(([name]) => MORE.includes(name))),
});

/** Indices of the regions that the layout will have: not hidden, and with a text. */
export function completeRegions({ regions }) {
  return indices(regions, (region) => !region.hidden && !isBlank(region.text));
}

/** Indices of the regions that are to be written yet: without a text, and not hidden. */
export function textlessRegions({ regions }) {
  return indices(regions, (region) => !region.hidden && isBlank(region.text));
}

/** Whether a text has spaces alone: Python knows more than trim(), and no byte order mark. */
const isBlank = (text) => /^[\s\x1c-\x1f\x85]*$/.test(text) && !text.includes("\ufeff");

/** The drawing of a layout that came from elsewhere. What else it has is another drawing's. */
export function fromLayout(layout, { incoming, textless } = EMPTY) {
  return parseDrawing(JSON.stringify({ ...layout, incoming, textless }));
}

/** The drawing with one of each choice in its texts, by choices.js; hidden regions keep theirs. */
export function withChoices(drawing, pick) {
  const regions = drawing.regions.map((region) =>
    region.hidden ? region : { ...region, text: choose(region.text, pick) },
  );
  return { ...drawing, caption: choose(drawing.caption, pick), regions };
}

export const withCaption = (drawing, caption) => ({ ...drawing, caption });

export const withTextless = (drawing, textless) => ({ ...drawing, textless });

/** Give some regions other properties: an object, or a function of (region, index). */
export function changeRegions(drawing, selection, change) {
  const chosen = new Set(selection);
  const regions = drawing.regions.map((region, index) => {
    if (!chosen.has(index)) return region;
    return { ...region, ...(typeof change === "function" ? change(region, index) : change) };
  });
  return { ...drawing, regions };
}

// The functions below return {drawing, selection}: which regions are selected afterwards.

export function addRegions(drawing, regions) {
  const first = drawing.regions.length;
  const added = [...drawing.regions, ...regions.map((region) => ({ ...NEW, ...region }))];
  const selection = regions.map((_, index) => first + index);
  return { drawing: { ...drawing, regions: added }, selection };
}

export function removeRegions(drawing, selection) {
  const regions = drawing.regions.filter((_, index) => !selection.includes(index));
  const next = Math.min(Math.min(...selection), regions.length - 1);
  return { drawing: { ...drawing, regions }, selection: next < 0 ? [] : [next] };
}

/** Copies of some regions, shifted so that they can be seen. offset: [dx, dy]. */
export function duplicateRegions(drawing, selection, offset) {
  return addRegions(drawing, beside(copies(drawing, selection), offset));
}

/**
 * The regions as they are pasted: where they were, or where they would hide such as are there,
 * around a point; without one by an offset beside them.
 */
export function placeRegions(regions, drawing, point, offset) {
  const hides = ({ box }) => drawing.regions.some((other) => nearlyEqual(other.box, box));
  if (!regions.some(hides)) return regions;
  if (!point) return beside(regions, offset);
  const [x0, y0, x1, y1] = bounds(regions.map((region) => region.box));
  return shifted(regions, [point[0] - (x0 + x1) / 2, point[1] - (y0 + y1) / 2]);
}

function beside(regions, offset) {
  const frame = bounds(regions.map((region) => region.box));
  const back = shiftInside(frame, [-offset[0], -offset[1]]);
  return shifted(regions, shiftInside(frame, offset).map((step, axis) => step || back[axis]));
}

const nearlyEqual = (one, other) => one.every((edge, i) => Math.abs(edge - other[i]) < HIDING);

/** Put a region at another place in the order. */
export function reorderRegion(drawing, from, to) {
  const regions = [...drawing.regions];
  const [moved] = regions.splice(from, 1);
  regions.splice(clamp(to, 0, regions.length), 0, moved);
  return { drawing: { ...drawing, regions }, selection: [regions.indexOf(moved)] };
}

/** Put regions before all others, or after them: these are drawn above. */
export function orderRegions(drawing, selection, last) {
  const chosen = indices(drawing.regions, (_, index) => selection.includes(index));
  const others = indices(drawing.regions, (_, index) => !selection.includes(index));
  const sequence = last ? [...others, ...chosen] : [...chosen, ...others];
  const regions = sequence.map((index) => drawing.regions[index]);
  const first = last ? others.length : 0;
  return { drawing: { ...drawing, regions }, selection: chosen.map((_, i) => first + i) };
}

/** Some regions as new ones, which are not locked. */
export function copies({ regions }, selection) {
  return selection.map((index) => ({ ...regions[index], locked: false }));
}

/** Those of a selection that the canvas moves and scales: neither locked nor hidden. */
export function movable({ regions }, selection) {
  return selection.filter((index) => !regions[index].locked && !regions[index].hidden);
}

function shifted(regions, offset) {
  if (!regions.length) return regions;
  const shift = shiftInside(bounds(regions.map((region) => region.box)), offset);
  return regions.map((region) => ({ ...region, box: translate(region.box, shift) }));
}

export function indices(items, test) {
  return items.flatMap((item, index) => (test(item, index) ? [index] : []));
}
