// What a drag on the canvas does. Pure: each gesture begins with a context and returns a function
// of (point, keys) that tells how things are when the pointer is there:
//   {drawing, selection, marquee: box or null, lines: [[x of snap lines], [y of snap lines]]}
//
// context: {drawing, selection, start: point, size of the image, minimum: [width, height] of a box,
//   snapping: {step: [x, y] of the grid or 0, boxes: snap to other boxes, tolerance: [x, y]}}
// keys: {free: do not snap, proportions: keep them}

import * as geometry from "../shared/geometry.js";
import { addRegions, changeRegions, indices, movable } from "./drawing.js";

/** Draw a new box. One that would be smaller than the minimum is as large. */
export function draw(context) {
  const { drawing, start, minimum } = context;
  const targets = snapTargets(drawing, []);
  return (point, keys) => {
    const from = snapPoint(start, targets, context, keys);
    const to = snapPoint(point, targets, context, keys);
    const box = geometry.boxAtLeast(from.point, to.point, minimum);
    return { ...addRegions(drawing, [{ box }]), marquee: null, lines: to.lines };
  };
}

/** Move the selected boxes together. */
export function move(context) {
  const { drawing, selection, start } = context;
  const moving = movable(drawing, selection);
  if (!moving.length) return () => unchanged(context);
  const frame = geometry.bounds(moving.map((index) => drawing.regions[index].box));
  const targets = snapTargets(drawing, moving);
  return (point, keys) => {
    const wanted = [point[0] - start[0], point[1] - start[1]];
    const there = geometry.translate(frame, geometry.shiftInside(frame, wanted));
    const snaps = [0, 1].map((axis) =>
      snapAxis([there[axis], there[axis + 2]], axis, targets, context, keys),
    );
    const shift = geometry.shiftInside(frame, [
      there[0] - frame[0] + snaps[0].shift,
      there[1] - frame[1] + snaps[1].shift,
    ]);
    return {
      drawing: changeRegions(drawing, moving, ({ box }) => ({
        box: geometry.translate(box, shift),
      })),
      selection,
      marquee: null,
      lines: snaps.map(({ line }) => (line === null ? [] : [line])),
    };
  };
}

/** Scale the selected boxes together, by one of the handles of the frame around them. */
export function scale(context, handle) {
  const { drawing, selection, start, minimum } = context;
  const scaled = movable(drawing, selection);
  if (!scaled.length) return () => unchanged(context);
  const boxes = scaled.map((index) => drawing.regions[index].box);
  const frame = geometry.bounds(boxes);
  const grip = geometry.handlePoint(frame, handle);
  const offset = grip.map((value, axis) => (value === null ? 0 : value - start[axis]));
  const targets = snapTargets(drawing, scaled);
  return (point, keys) => {
    let to = { point: [point[0] + offset[0], point[1] + offset[1]], lines: [[], []] };
    if (keys.proportions) {
      to.point = geometry.keepProportions(frame, handle, to.point, context.size);
    } else {
      const used = grip.map((value) => value !== null);
      to = snapPoint(to.point, targets, context, keys, used);
    }
    const frameAfter = geometry.resize(frame, handle, to.point, minimum);
    const changed = changeRegions(drawing, scaled, ({ box }) => ({
      box: geometry.follow(box, frame, frameAfter),
    }));
    return { drawing: changed, selection, marquee: null, lines: to.lines };
  };
}

/** Select every box that can be picked and that a rectangle touches, besides those selected. */
export function marquee({ drawing, selection, start }) {
  return (point) => {
    const area = geometry.boxBetween(start, point);
    const touched = indices(
      drawing.regions,
      ({ box, hidden, locked }) => !hidden && !locked && geometry.overlap(box, area),
    );
    const together = [...new Set([...selection, ...touched])];
    return { drawing, selection: together, marquee: area, lines: [[], []] };
  };
}

/** Indices of the boxes at a point that can be picked: the smallest first, of equals the topmost. */
export function stackAt({ regions }, point) {
  const size = (index) => geometry.areaOf(regions[index].box);
  return indices(
    regions,
    ({ box, hidden, locked }) => !hidden && !locked && geometry.contains(box, point),
  ).sort((a, b) => size(a) - size(b) || b - a);
}

/** As it was before. */
export const unchanged = ({ drawing, selection }) => ({
  drawing,
  selection,
  marquee: null,
  lines: [[], []],
});

/** Edges to snap to on each axis: those of the image, its middle, and of all other boxes. */
function snapTargets({ regions }, moving) {
  const others = regions.filter(({ hidden }, index) => !hidden && !moving.includes(index));
  return [0, 1].map((axis) => [
    0,
    0.5,
    1,
    ...others.flatMap(({ box }) => [box[axis], box[axis + 2]]),
  ]);
}

function snapAxis(edges, axis, targets, { snapping }, keys) {
  if (keys.free) return { shift: 0, line: null };
  return geometry.snap(edges, {
    targets: snapping.boxes ? targets[axis] : [],
    tolerance: snapping.tolerance[axis],
    step: snapping.step[axis],
  });
}

function snapPoint(point, targets, context, keys, axes = [true, true]) {
  const snaps = point.map((value, axis) =>
    axes[axis] ? snapAxis([value], axis, targets, context, keys) : { shift: 0, line: null },
  );
  return {
    point: point.map((value, axis) => value + snaps[axis].shift),
    lines: snaps.map(({ line }) => (line === null ? [] : [line])),
  };
}
