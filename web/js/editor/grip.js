// The button at the beginning of a row: it selects the region, and takes it to another place.

import { element } from "../shared/dom.js";

export class Grip {
  constructor(row, list) {
    this.row = row;
    this.list = list;
    this.dropped = false; // whether the click that follows only ends a drag
    const number = row.index + 1;
    this.element = element("button", {
      type: "button",
      class: "reco-grip",
      textContent: String(number),
      title: "Drag to reorder, or Alt+Up and Alt+Down",
      "aria-label": `Region ${number}: select, or reorder with Alt+Up and Alt+Down`,
      on: {
        pointerdown: (event) => this.down(event),
        pointermove: ({ clientY }) => list.carry(clientY),
        pointerup: () => (this.dropped = list.drop()),
        pointercancel: () => list.putBack(),
        click: (event) => this.click(event),
        keydown: (event) => this.keyDown(event),
      },
    });
  }

  focus() {
    this.element.focus();
  }

  down(event) {
    if (event.button !== 0) return;
    this.dropped = false;
    this.list.lift(this.row.index);
    this.element.setPointerCapture(event.pointerId);
  }

  click(event) {
    if (!this.dropped) this.row.select(event);
    this.dropped = false;
  }

  keyDown(event) {
    const { row, list } = this;
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (event.key === "Delete") row.remove();
    else if (step && event.altKey) list.move(row.index, row.index + step);
    else if (step) list.focusGrip(row.index + step);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
