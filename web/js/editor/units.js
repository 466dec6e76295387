// The numbers of a box as a person reads and types them. Pure.

import { clamp } from "../shared/geometry.js";

/** Name -> how it is called, how many there are across an image side, and decimals shown. */
export const UNITS = {
  px: { label: "px", across: (side) => side, decimals: 1 },
  fraction: { label: "fraction", across: () => 1, decimals: 4 },
  thousandths: { label: "‰", across: () => 1000, decimals: 1 },
};

/** {x, y, width, height} of a box as texts, in a unit. size: of the image in pixels. */
export function boxNumbers([x0, y0, x1, y1], unit, size) {
  return {
    x: write(x0, unit, size.width),
    y: write(y0, unit, size.height),
    width: write(x1 - x0, unit, size.width),
    height: write(y1 - y0, unit, size.height),
  };
}

/** Whether a text is a number. */
export const isNumber = (text) => text.trim() !== "" && Number.isFinite(Number(text));

/**
 * The box after some of its numbers were typed, kept inside the image by limiting these.
 *
 * Returns null when one is no number. typed: {field: text}; minimum: least [width, height], fractions.
 */
export function withNumbers(box, typed, unit, size, minimum) {
  const numbers = Object.entries(typed);
  if (!numbers.every(([, text]) => isNumber(text))) return null;
  // Twice, for its old size may have limited the place of what is smaller now.
  return [...numbers, ...numbers].reduce((last, [field, text]) => {
    const side = field === "x" || field === "width" ? size.width : size.height;
    return withNumber(last, field, Number(text) / UNITS[unit].across(side), minimum);
  }, box);
}

function withNumber([x0, y0, x1, y1], field, value, minimum) {
  const [width, height] = [x1 - x0, y1 - y0];
  switch (field) {
    case "x": {
      const x = clamp(value, 0, 1 - width);
      return [x, y0, x + width, y1];
    }
    case "y": {
      const y = clamp(value, 0, 1 - height);
      return [x0, y, x1, y + height];
    }
    case "width":
      return [x0, y0, x0 + clamp(value, minimum[0], 1 - x0), y1];
    case "height":
      return [x0, y0, x1, y0 + clamp(value, minimum[1], 1 - y0)];
  }
}

/** "x 12, y 40, 64 × 64 px" of a box. */
export function describeBox(box, size) {
  const { x, y, width, height } = boxNumbers(box, "px", size);
  return `x ${x}, y ${y}, ${width} × ${height} px`;
}

function write(value, unit, side) {
  const { across, decimals } = UNITS[unit];
  return String(Number((value * across(side)).toFixed(decimals)));
}
