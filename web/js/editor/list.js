// The list of regions: order, text, exact numbers, weight, tokens, and what can be done to each.

import { changeRegions, duplicateRegions, removeRegions, reorderRegion } from "./drawing.js";
import { iconButton } from "./controls.js";
import { element, set } from "../shared/dom.js";
import { remarkElements } from "../shared/remarks.js";
import { UNITS, boxNumbers, withNumber } from "./units.js";

const FIELDS = { x: "Left edge", y: "Top edge", width: "Width", height: "Height" };
const NONE = [];
const SHORT = { x: "x", y: "y", width: "w", height: "h" };

export class RegionList {
  constructor(editor) {
    this.editor = editor;
    this.rows = [];
    this.drop = null; // {from, to} while a row is dragged
    this.element = element("div", {
      class: "reco-list",
      role: "list",
      "aria-label": "Regions",
      dataset: { captureWheel: "true" },
    });
  }

  render() {
    const { regions } = this.editor.drawing;
    while (this.rows.length > regions.length) this.rows.pop().element.remove();
    while (this.rows.length < regions.length) {
      this.rows.push(new Row(this, this.rows.length));
      this.element.append(this.rows.at(-1).element);
    }
    this.rows.forEach((row) => row.render());
  }

  /** Show the row of a region, and let its text be written if asked. */
  reveal(index, { write = false } = {}) {
    const row = this.rows[index];
    row?.element.scrollIntoView({ block: "nearest" });
    if (write) row?.text.focus({ preventScroll: true });
  }

  /** The place in the order at which the pointer is. */
  placeAt(clientY) {
    const middles = this.rows.map(({ element }) => {
      const { top, height } = element.getBoundingClientRect();
      return top + height / 2;
    });
    return middles.filter((middle) => middle < clientY).length;
  }

  /** Scroll while a row is dragged over an end of the list. */
  scrollTowards(clientY) {
    const { top, bottom } = this.element.getBoundingClientRect();
    if (clientY < top) this.element.scrollTop -= 8;
    if (clientY > bottom) this.element.scrollTop += 8;
  }

  markDrop(place) {
    this.rows.forEach(({ element }, index) => {
      element.classList.toggle("reco-drop-before", place === index);
      element.classList.toggle(
        "reco-drop-after",
        place === this.rows.length && index === this.rows.length - 1,
      );
    });
  }
}

class Row {
  constructor(list, index) {
    this.list = list;
    this.index = index;
    const number = index + 1;
    this.grip = element("button", {
      type: "button",
      class: "reco-grip",
      textContent: String(number),
      title: "Drag to reorder, or Alt+Up and Alt+Down",
      "aria-label": `Region ${number}: select, or reorder with Alt+Up and Alt+Down`,
      on: {
        pointerdown: (event) => this.gripDown(event),
        pointermove: (event) => this.gripMove(event),
        pointerup: () => this.gripUp(),
        pointercancel: () => this.gripCancel(),
        click: (event) => this.gripClick(event),
        keydown: (event) => this.gripKey(event),
      },
    });
    this.color = this.input("color", `Color of region ${number}`, (value) => ({ color: value }));
    this.text = element("textarea", {
      class: "reco-text",
      rows: 1,
      placeholder: "what to paint in this box",
      "aria-label": `Text of region ${number}`,
      on: {
        input: () => this.change({ text: this.text.value }, false),
        change: () => this.editor.commit(),
        focus: () => this.editor.select([this.index]),
      },
    });
    this.tokens = element("span", { class: "reco-tokens" });
    this.numbers = Object.fromEntries(
      Object.keys(FIELDS).map((field) => [field, this.numberInput(field)]),
    );
    this.weight = this.input("number", `Weight of region ${number}`, (value) => {
      const weight = value.trim() === "" ? NaN : Number(value);
      return Number.isFinite(weight) ? { weight } : null;
    });
    Object.assign(this.weight, { step: 0.05, title: `Weight of region ${number}: 1 is as trained` });
    this.remarks = element("div", { class: "reco-row-remarks" });
    this.lock = iconButton("lock-open", "", () => this.toggle("locked"));
    this.hide = iconButton("eye", "", () => this.toggle("hidden"));
    this.element = element(
      "div",
      { class: "reco-row", role: "listitem", on: { pointerdown: (event) => this.press(event) } },
      this.grip,
      this.color,
      this.text,
      this.tokens,
      element(
        "div",
        { class: "reco-details" },
        ...Object.entries(this.numbers).map(([field, input]) =>
          element("label", {}, SHORT[field], input),
        ),
        element("label", {}, "×", this.weight),
        this.lock,
        this.hide,
        iconButton("clone", `Duplicate region ${number}`, () => this.duplicate()),
        iconButton("trash", `Delete region ${number}`, () => this.remove()),
      ),
      this.remarks,
    );
  }

  get editor() {
    return this.list.editor;
  }

  get region() {
    return this.editor.drawing.regions[this.index];
  }

  render() {
    const { region, editor, index } = this;
    const { size, preferences, tokens, unfit, selection } = editor;
    const classes = this.element.classList;
    classes.toggle("reco-selected", selection.includes(index));
    classes.toggle("reco-unfit", unfit.has(index));
    classes.toggle("reco-hidden", region.hidden);
    set(this.color, "value", region.color);
    set(this.text, "value", region.text);
    const written = boxNumbers(region.box, preferences.unit, size);
    for (const [field, input] of Object.entries(this.numbers)) {
      if (input !== document.activeElement || !input.dataset.typing) {
        set(input, "value", written[field]);
      }
      set(input, "disabled", region.locked);
    }
    if (this.weight !== document.activeElement) set(this.weight, "value", String(region.weight));
    const fits = !unfit.has(index);
    set(this.tokens, "textContent", `${fits ? "" : "⚠ "}${tokens[index] ?? ""}`);
    set(this.tokens, "title", fits ? "Tokens" : "Tokens: this region does not fit");
    this.showRemarks(editor.remarks[index] ?? NONE);
    mark(this.lock, region.locked, ["lock", "lock-open"], ["Unlock", "Lock"], index);
    mark(this.hide, region.hidden, ["eye-slash", "eye"], ["Show", "Hide"], index);
  }

  showRemarks(remarks) {
    if (remarks === this.shownRemarks) return;
    this.shownRemarks = remarks;
    this.remarks.replaceChildren(...remarkElements(remarks));
  }

  input(type, label, patch) {
    const made = element("input", {
      type,
      class: `reco-${type}`,
      title: label,
      "aria-label": label,
      on: {
        change: () => {
          const change = patch(made.value);
          if (change) this.change(change);
          else this.editor.announce(`${made.value || "Nothing"} is not a number.`);
          this.render();
        },
      },
    });
    return made;
  }

  numberInput(field) {
    const made = this.input("number", `${FIELDS[field]} of region ${this.index + 1}`, (value) => {
      const { preferences, size, minimum } = this.editor;
      const box = withNumber(this.region.box, field, value, preferences.unit, size, minimum);
      delete made.dataset.typing;
      if (!box) return null;
      const kept = boxNumbers(box, preferences.unit, size)[field];
      if (kept !== String(Number(Number(value).toFixed(UNITS[preferences.unit].decimals)))) {
        this.editor.announce(`${field} is limited to ${kept}: the box stays inside the picture.`);
      }
      return { box };
    });
    made.step = "any";
    made.addEventListener("input", () => (made.dataset.typing = "true"));
    return made;
  }

  change(patch, commit = true) {
    this.editor.update(changeRegions(this.editor.drawing, [this.index], patch), { commit });
  }

  toggle(property) {
    const { drawing } = this.editor;
    const patch = { [property]: !this.region[property] };
    this.editor.update(changeRegions(drawing, this.meant, patch));
  }

  /** This region, or all that are selected if it is one of them. */
  get meant() {
    const { selection } = this.editor;
    return selection.includes(this.index) ? selection : [this.index];
  }

  duplicate() {
    this.editor.apply(duplicateRegions(this.editor.drawing, this.meant, this.editor.nudge(16)));
  }

  remove() {
    this.editor.apply(removeRegions(this.editor.drawing, this.meant));
  }

  press(event) {
    if (event.target === this.element || event.target.className === "reco-details") {
      this.select(event);
    }
  }

  select({ shiftKey, ctrlKey, metaKey }) {
    const { selection } = this.editor;
    if (!shiftKey && !ctrlKey && !metaKey) return this.editor.select([this.index]);
    const others = selection.filter((index) => index !== this.index);
    this.editor.select(others.length < selection.length ? others : [...others, this.index]);
  }

  // Reordering

  gripDown(event) {
    if (event.button !== 0) return;
    this.dropped = false;
    this.list.drop = { from: this.index, to: null };
    this.grip.setPointerCapture(event.pointerId);
  }

  gripMove({ clientY }) {
    const { drop } = this.list;
    if (!drop) return;
    this.list.scrollTowards(clientY);
    const place = this.list.placeAt(clientY);
    drop.to = place === drop.from || place === drop.from + 1 ? null : place;
    this.list.markDrop(drop.to);
  }

  gripUp() {
    const { drop } = this.list;
    this.gripCancel();
    if (drop?.to == null) return;
    this.dropped = true; // the click that follows is none
    this.moveTo(drop.to > drop.from ? drop.to - 1 : drop.to);
  }

  gripClick(event) {
    if (!this.dropped) this.select(event);
    this.dropped = false;
  }

  gripCancel() {
    this.list.drop = null;
    this.list.markDrop(null);
  }

  gripKey(event) {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (event.key === "Delete") this.remove();
    else if (step && event.altKey) this.moveTo(this.index + step);
    else if (step) this.list.rows[this.index + step]?.grip.focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  moveTo(place) {
    if (place < 0 || place >= this.list.rows.length) return;
    this.editor.apply(reorderRegion(this.editor.drawing, this.index, place));
    this.list.rows[place].grip.focus();
  }
}

/** Show on a button whether something is on, by its icon and by what pressing it would do. */
function mark(button, on, [iconOn, iconOff], [labelOn, labelOff], index) {
  const label = `${on ? labelOn : labelOff} region ${index + 1}`;
  set(button.firstElementChild, "className", `pi pi-${on ? iconOn : iconOff}`);
  set(button, "title", label);
  set(button, "ariaLabel", label);
  set(button, "ariaPressed", String(on));
}
