// The exact numbers of a region's box, as fields.

import { element, set } from "../shared/dom.js";
import { UNITS, boxNumbers, isNumber, withNumbers } from "./units.js";

/** Field: what screen readers call it, and what stands before it. */
const FIELDS = {
  x: ["Left edge", "x"],
  y: ["Top edge", "y"],
  width: ["Width", "w"],
  height: ["Height", "h"],
};
const SHOWN = 40; // signs of a text that is refused

export class BoxFields {
  constructor(row) {
    this.row = row;
    this.typed = {}; // field -> text of what was typed since these fields have the focus
    this.box = null; // which that made, in a
    this.unit = null;
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
      const box = this.boxWith({ [field]: value });
      return box && { box };
    };
    const made = this.row.makeInput("number", name, read, () => [this.row.index]);
    made.step = "any";
    made.addEventListener("input", () => (made.dataset.typing = "true"));
    made.addEventListener("keydown", (event) => this.keyDown(event, field));
    made.addEventListener("paste", (event) => this.paste(event, field));
    made.addEventListener("focusout", ({ relatedTarget }) => {
      if (!Object.values(this.inputs).includes(relatedTarget)) this.typed = {};
    });
    return made;
  }

  /** A space goes on to the next number, so that all four can be typed in one go. */
  keyDown(event, field) {
    if (event.key !== " ") return;
    event.preventDefault();
    const fields = Object.keys(FIELDS);
    const next = this.inputs[fields[(fields.indexOf(field) + 1) % fields.length]];
    next.focus();
    next.select();
  }

  /** Several numbers go into this field and those after it; what is none does not become one. */
  paste(event, field) {
    const { row } = this;
    const text = event.clipboardData.getData("text/plain").trim();
    const numbers = text.replace(/^[[(]|[\])]$/g, "").split(/[\s;]+|,\s+/);
    if (numbers.length === 1 && isNumber(text)) return;
    event.preventDefault();
    const fields = Object.keys(FIELDS).slice(Object.keys(FIELDS).indexOf(field));
    if (numbers.length > fields.length || !numbers.every(isNumber)) {
      const said = text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
      return row.editor.announce(
        `"${said}" cannot be pasted here: up to ${fields.length} numbers can, with spaces between them.`,
      );
    }
    const box = this.boxWith(Object.fromEntries(numbers.map((number, i) => [fields[i], number])));
    for (const input of Object.values(this.inputs)) delete input.dataset.typing;
    row.change({ box });
  }

  /**
   * The box after numbers were typed, {field: text}, said if one was limited; null when one is no
   * number. Those typed one after another are meant together: a width may make room for an x.
   */
  boxWith(typed) {
    const { region, editor } = this.row;
    const { preferences, size, minimum } = editor.model;
    const { unit } = preferences;
    const isSame = region.box === this.box && unit === this.unit;
    const meant = { ...(isSame ? this.typed : {}), ...typed };
    const box = withNumbers(region.box, meant, unit, size, minimum);
    if (!box) return null;
    Object.assign(this, { typed: meant, box, unit });
    const kept = boxNumbers(box, unit, size);
    const written = (value) => String(Number(Number(value).toFixed(UNITS[unit].decimals)));
    const limited = Object.keys(meant).filter((field) => kept[field] !== written(meant[field]));
    editor.announce(
      limited
        .map((field) => `${field} is limited to ${kept[field]}: the box stays inside the picture.`)
        .join("\n"),
    );
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
