// Where the handles of a selection sit. Pure; lengths in pixels on the screen.

/** Side of the square that can be pressed; what is seen of it is smaller. */
export const HANDLE_PX = 16;
const LEAST_SIDE = 3 * HANDLE_PX; // of a frame that has its handles on its edges

/**
 * What a frame of a size does with its handles, so that they neither cover it nor one another.
 *
 * narrow, flat: those of the left and right, of the top and bottom edge are outside; slim, low: it
 * has none in the middle of the top and bottom, of the left and right edge.
 */
export const handlesOf = (width, height) => ({
  narrow: width < LEAST_SIDE,
  flat: height < LEAST_SIDE,
  slim: width < HANDLE_PX,
  low: height < HANDLE_PX,
});
