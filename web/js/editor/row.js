// A row of the list: order, text and tokens of a region, and what can be done to it; the exact numbers
// of its box and its weight while it is selected, or of all rows if one likes.

import { element, isNews, set } from "../shared/dom.js";
import { remarkElements } from "../shared/remarks.js";
import { BoxFields } from "./box_fields.js";
import { iconButton } from "./controls.js";
import * as actions from "./actions.js";
import { controlWords } from "./control.js";
import { changeRegions } from "./drawing.js";
import { Grip } from "./grip.js";

const NONE = [];
const MASKED = "It came with a mask, which goes with its box: To Masks and inpainting use its shape";

export class Row {
  constructor(list, index) {
    this.editor = list.editor;
    this.model = list.editor.model;
    this.index = index;
    this.grip = new Grip(this, list);
    this.color = this.makeInput("color", "Color", (color) => ({ color }));
    this.automatic = iconButton("palette", `Let the text choose the color of region ${index + 1}`, () =>
      this.change({ color: null }),
    );
    this.text = this.makeText();
    this.masked = element(
      "span",
      { class: "reco-mark", title: MASKED, "aria-label": MASKED, role: "img" },
      "◐",
    );
    this.controlled = element("span", { class: "reco-mark", role: "img" }, "◷");
    this.tokens = element("span", { class: "reco-tokens" });
    this.numbers = new BoxFields(this);
    this.weight = this.makeInput("number", "Weight", (value) => {
      const weight = value.trim() === "" ? NaN : Number(value);
      return Number.isFinite(weight) ? { weight } : null;
    });
    this.weight.step = 0.05;
    this.weight.title += ": 1 is as trained";
    this.remarks = element("div", { class: "reco-row-remarks" });
    this.lock = iconButton("lock-open", "", () => this.toggle("locked"));
    this.hide = iconButton("eye", "", () => this.toggle("hidden"));
    this.element = this.arrange();
  }

  /**
   * A field of the region. read: {property: value} of what was typed, or null. indices: of the
   * regions that get it.
   */
  makeInput(type, name, read, indices = () => this.meant) {
    const label = `${name} of region ${this.index + 1}`;
    const made = element("input", {
      type,
      class: `reco-${type}`,
      title: label,
      "aria-label": label,
      on: {
        change: () => {
          const change = read(made.value);
          if (change) this.change(change, true, indices());
          else this.editor.announce(`${made.value || "Nothing"} is not a number.`);
          this.show();
        },
        blur: () => this.show(), // what has changed meanwhile
      },
    });
    return made;
  }

  makeText() {
    const area = element("textarea", {
      class: "reco-text",
      rows: 1,
      dir: "auto",
      placeholder: "what to paint in this box",
      "aria-label": `Text of region ${this.index + 1}`,
      on: {
        input: () => this.change({ text: area.value }, false),
        change: () => this.model.commit(),
        focus: () => this.model.select([this.index]),
      },
    });
    return area;
  }

  arrange() {
    const number = this.index + 1;
    const details = element(
      "div",
      { class: "reco-details", hidden: true },
      ...this.numbers.elements,
      element("label", {}, "×", this.weight),
      this.automatic,
      iconButton("clone", `Duplicate region ${number}`, () => this.duplicate()),
      iconButton("trash", `Delete region ${number}`, () => this.remove()),
    );
    this.details = details;
    const press = (event) => {
      if (event.button !== 0) return;
      if (event.target === made || event.target === details) this.select(event);
    };
    const made = element(
      "div",
      { class: "reco-row", role: "listitem", on: { pointerdown: press } },
      this.grip.element,
      this.color,
      this.text,
      element("span", { class: "reco-marks" }, this.masked, this.controlled, this.tokens),
      this.lock,
      this.hide,
      details,
      this.remarks,
    );
    return made;
  }

  get region() {
    return this.model.drawing.regions[this.index];
  }

  /** What is shown, of which a part is another if anything is. size: of the picture. */
  state({ width, height }) {
    const { region, index } = this;
    const { selection, count, colors, textless, preferences } = this.model;
    return {
      region,
      color: colors[index],
      isSelected: selection.includes(index),
      isTextless: textless.has(index),
      isUnfit: count.unfit.has(index),
      tokens: count.tokens[index] ?? "",
      remarks: count.remarks[index] ?? NONE,
      preferences,
      width,
      height,
    };
  }

  render(size) {
    const state = this.state(size);
    if (isNews(this.element, ...Object.values(state))) this.show(state);
  }

  show(state = this.region && this.state(this.model.size)) {
    if (!state) return; // the row is being taken away
    const { region, index } = this;
    const { isSelected, isTextless, isUnfit } = state;
    const classes = this.element.classList;
    classes.toggle("reco-selected", isSelected);
    classes.toggle("reco-unfit", isUnfit);
    classes.toggle("reco-hidden", region.hidden);
    classes.toggle("reco-textless", isTextless);
    set(this.color, "value", state.color);
    set(this.automatic, "hidden", !region.color);
    set(this.masked, "hidden", !region.mask);
    this.showControl(controlWords(region));
    set(this.text, "value", region.text);
    this.showNumbers(isSelected);
    this.showTokens(state);
    this.showRemarks(state.remarks);
    mark(this.lock, region.locked, ["lock", "lock-open"], ["Unlock", "Lock"], index);
    mark(this.hide, region.hidden, ["eye-slash", "eye"], ["Show", "Hide"], index);
  }

  showControl(words) {
    set(this.controlled, "hidden", !words);
    set(this.controlled, "title", words && `For ReCo Control: ${words}`);
    set(this.controlled, "ariaLabel", words && `For ReCo Control: ${words}`);
  }

  showNumbers(isSelected) {
    const isOpen = isSelected || this.model.preferences.list === "numbers";
    set(this.details, "hidden", !isOpen);
    if (!isOpen) return;
    this.numbers.render();
    const { weight } = this;
    if (weight !== document.activeElement) set(weight, "value", String(this.region.weight));
  }

  showTokens({ tokens, isTextless, isUnfit }) {
    const why = isTextless ? ": this region has no text" : isUnfit ? ": this region does not fit" : "";
    set(this.tokens, "textContent", `${why ? "⚠ " : ""}${isTextless ? "" : tokens}`.trim());
    set(this.tokens, "title", `Tokens${why}`);
  }

  showRemarks(remarks) {
    if (remarks === this.shownRemarks) return;
    this.shownRemarks = remarks;
    this.remarks.replaceChildren(...remarkElements(remarks));
  }

  // What can be done to it

  change(patch, commit = true, indices = [this.index]) {
    this.model.update(changeRegions(this.model.drawing, indices, patch), { commit });
  }

  toggle(property) {
    actions.toggle(this.model, this.meant, property, this.index);
  }

  duplicate() {
    actions.duplicate(this.model, this.meant);
  }

  remove() {
    actions.remove(this.model, this.meant);
  }

  /** This region, or all that are selected if it is one of them. */
  get meant() {
    const { selection } = this.model;
    return selection.includes(this.index) ? selection : [this.index];
  }

  select({ shiftKey, ctrlKey, metaKey }) {
    const { selection } = this.model;
    if (!shiftKey && !ctrlKey && !metaKey) return this.model.select([this.index]);
    const others = selection.filter((index) => index !== this.index);
    this.model.select(others.length < selection.length ? others : [...others, this.index]);
  }
}

/** Show on a button whether something is on, by its icon and by what pressing it would do. */
function mark(button, on, [iconOn, iconOff], [labelOn, labelOff], index) {
  const label = `${on ? labelOn : labelOff} region ${index + 1}`;
  set(button.firstElementChild, "className", `pi pi-${on ? iconOn : iconOff}`);
  set(button, "title", label);
  set(button, "ariaLabel", label);
  button.classList.toggle("reco-on", on);
}
