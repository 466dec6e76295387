// Lengths of the editor that follow from the picture's size. Pure. size: {width, height} in pixels.

export const CELL_PX = 8; // a latent cell of Stable Diffusion: nothing smaller can be painted
export const COPY_PX = 16; // how far right and down of a region its copy appears
const GRID_CELLS = 16; // along the longer side

/** The least [width, height] of a box, fractions. */
export const leastBox = ({ width, height }) => [
  Math.min(1, CELL_PX / width),
  Math.min(1, CELL_PX / height),
];

/** Side of the grid's squares in pixels: whole latent cells. */
export const gridPx = ({ width, height }) =>
  CELL_PX * Math.max(1, Math.round(Math.max(width, height) / GRID_CELLS / CELL_PX));

/** {step: [x, y] between the lines that edges snap to or 0, fractions; boxes: to others too}. */
export function snappingOf({ snap, snapBoxes }, size) {
  const stepPx = { off: 0, cells: CELL_PX, grid: gridPx(size) }[snap];
  return { step: pixels(stepPx, size), boxes: snapBoxes };
}

/** So many pixels right and down, as fractions. */
export const pixels = (count, { width, height }) => [count / width, count / height];
