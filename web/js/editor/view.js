// Which part of the picture the canvas shows. Pure.
//
// A view is {zoom: 1 where the picture just fits into the frame, centre: the point of the picture, in
// fractions, that is in the frame's middle}. frame: [width, height] in CSS pixels; size: {width,
// height} of the picture in its own pixels.

import { clamp } from "../shared/geometry.js";

export const FIT = { zoom: 1, centre: [0.5, 0.5] };
const MOST_PX = 32; // CSS pixels of a pixel of the picture, at the most

/** CSS pixels of a pixel of the picture where it just fits. */
const fitScale = (frame, size) => Math.min(frame[0] / size.width, frame[1] / size.height);

/** CSS pixels of a pixel of the picture. */
export const scaleOf = ({ zoom }, frame, size) => zoom * fitScale(frame, size);

/** The view with as much of the picture in the frame as there can be. */
export function limited({ zoom, centre }, frame, size) {
  const scale = fitScale(frame, size);
  const kept = clamp(zoom, Math.min(1, 1 / scale), Math.max(1, MOST_PX / scale));
  const shown = [size.width * scale * kept, size.height * scale * kept];
  const middle = centre.map((at, axis) => {
    const half = Math.min(0.5, frame[axis] / shown[axis] / 2);
    return clamp(at, half, 1 - half);
  });
  return { zoom: kept, centre: middle };
}

/** Zoom by a factor, where a point of the picture stays in its place. */
export function zoomed(view, factor, point, frame, size) {
  const { zoom } = limited({ ...view, zoom: view.zoom * factor }, frame, size);
  const centre = point.map((at, axis) => at - ((at - view.centre[axis]) * view.zoom) / zoom);
  return limited({ zoom, centre }, frame, size);
}

/** Shift the picture by so many CSS pixels. */
export function panned(view, shift, frame, size) {
  const scale = scaleOf(view, frame, size);
  const shown = [size.width * scale, size.height * scale];
  const centre = view.centre.map((at, axis) => at - shift[axis] / shown[axis]);
  return limited({ ...view, centre }, frame, size);
}
