// The exact numbers of a region's box, as fields.

import { element, set } from "../shared/dom.js";
import { UNITS, boxNumbers, withNumber } from "./units.js";

/** Field: what screen readers call it, and what stands before it. */
const FIELDS = {
  x: ["Left edge", "x"],
  y: ["Top edge", "y"],
  width: ["Width", "w"],
  height: ["Height", "h"],
};

export class BoxFields {
  constructor(row) {
    this.row = row;
    this.inputs = Object.fromEntries(
      Object.entries(FIELDS).map(([field, [name]]) => [field, this.makeInput(field, name)]),
    );
    this.elements = Object.entries(FIELDS).map(([field, [, short]]) =>
      element("label", {}, short, this.inputs[field]),
    );
  }

  makeInput(field, name) {
    const read = (value) => {
      delete made.dataset.typing;
      const box = this.boxWith(field, value);
      return box && { box };
    };
    const made = this.row.makeInput("number", name, read, () => [this.row.index]);
    made.step = "any";
    made.addEventListener("input", () => (made.dataset.typing = "true"));
    return made;
  }

  /** The box after a number was typed, said if it was limited; null when it is no number. */
  boxWith(field, value) {
    const { region, editor } = this.row;
    const { preferences, size, minimum } = editor.model;
    const { unit } = preferences;
    const box = withNumber(region.box, field, value, unit, size, minimum);
    if (!box) return null;
    const kept = boxNumbers(box, unit, size)[field];
    if (kept !== String(Number(Number(value).toFixed(UNITS[unit].decimals)))) {
      editor.announce(`${field} is limited to ${kept}: the box stays inside the picture.`);
    }
    return box;
  }

  render() {
    const { region, editor } = this.row;
    const { preferences, size } = editor.model;
    const written = boxNumbers(region.box, preferences.unit, size);
    for (const [field, input] of Object.entries(this.inputs)) {
      if (input !== document.activeElement || !input.dataset.typing) {
        set(input, "value", written[field]);
      }
      set(input, "disabled", region.locked);
    }
  }
}
