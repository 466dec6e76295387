// The list of regions, and how they are put into another order.

import { element } from "../shared/dom.js";
import { setCount } from "./controls.js";
import { reorderRegion } from "./drawing.js";
import { Row } from "./row.js";

export class RegionList {
  constructor(editor) {
    this.editor = editor;
    this.rows = [];
    this.carried = null; // {from, to} while a row is dragged; to: null where it would stay
    this.element = element("div", {
      class: "reco-list",
      role: "list",
      "aria-label": "Regions",
      dataset: { captureWheel: "true" },
    });
  }

  render() {
    const { drawing, size } = this.editor.model;
    setCount(this.rows, drawing.regions.length, this.element, (index) => new Row(this, index));
    for (const row of this.rows) row.render(size);
  }

  /** Show the row of a region, and let its text be written if asked. */
  reveal(index, { write = false } = {}) {
    const row = this.rows[index];
    if (!row) return;
    this.scrollTo(row.element);
    if (write) row.text.focus({ preventScroll: true });
  }

  /** Scroll the list alone: scrollIntoView would move ComfyUI's canvas too. */
  scrollTo({ offsetTop, offsetHeight }) {
    const { scrollTop, clientHeight } = this.element;
    const least = offsetTop + offsetHeight - clientHeight;
    this.element.scrollTop = Math.min(offsetTop, Math.max(scrollTop, least));
  }

  /** The row that an element is in, if it is in one. */
  rowOf(part) {
    return this.rows.find(({ element }) => element.contains(part));
  }

  focusGrip(index) {
    this.rows[index]?.grip.focus();
  }

  // Reordering

  /** Put a region at another place in the order, if there is such a place. */
  move(from, to) {
    if (to < 0 || to >= this.rows.length) return;
    const { model } = this.editor;
    model.apply(reorderRegion(model.drawing, from, to));
    this.focusGrip(to);
  }

  /** Begin to drag a row. */
  lift(from) {
    this.carried = { from, to: null };
  }

  carry(clientY) {
    if (!this.carried) return;
    this.scrollTowards(clientY);
    const { from } = this.carried;
    const place = this.placeAt(clientY);
    this.carried = { from, to: place === from || place === from + 1 ? null : place };
    this.markDrop(this.carried.to);
  }

  /** End the drag where the row was carried to. Returns whether that is another place. */
  drop() {
    const { from, to = null } = this.carried ?? {};
    this.putBack();
    if (to === null) return false;
    this.move(from, to > from ? to - 1 : to);
    return true;
  }

  /** End a drag as if it had not been. */
  putBack() {
    this.carried = null;
    this.markDrop(null);
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
