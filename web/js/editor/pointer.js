// What the pointer does on the canvas: it begins gestures, carries them on and ends them.

import * as gestures from "./gestures.js";

const DRAG_PX = 3; // less is a click
const SNAP_PX = 6; // how near another box's edge draws, on the screen

export class Pointer {
  constructor(model, stage) {
    this.model = model;
    this.stage = stage;
    this.drag = null;
    this.at = null; // where the pointer is, or null when it is elsewhere
    const listeners = {
      pointerdown: (event) => this.down(event),
      pointermove: (event) => this.move(event),
      pointerup: (event) => this.up(event),
      pointercancel: () => this.cancel(),
      lostpointercapture: () => this.cancel(),
      pointerleave: () => (this.at = null),
      dblclick: (event) => this.doubleClick(event),
    };
    for (const [event, listener] of Object.entries(listeners)) {
      stage.element.addEventListener(event, listener);
    }
  }

  /** The pointer's place, as fractions of the image; it may be outside. */
  pointAt({ clientX, clientY }) {
    const { left, top, width, height } = this.stage.element.getBoundingClientRect();
    return [(clientX - left) / width, (clientY - top) / height];
  }

  down(event) {
    if (event.button !== 0 || this.drag || this.stage.text.contains(event.target)) return;
    this.stage.text.keep();
    const { model } = this;
    const point = this.pointAt(event);
    const stack = gestures.stackAt(model.drawing, point);
    const { gesture, selection, click } = this.gestureFor(event, stack);
    model.beginDrag(selection);
    this.drag = { gesture, click, from: event, moved: false, run: null, point };
    this.stage.element.setPointerCapture(event.pointerId);
  }

  /** What pressing here begins, what is selected at once, and what is if it remains a click. */
  gestureFor(event, stack) {
    const { selection } = this.model;
    const { handle } = event.target.dataset;
    if (event.ctrlKey || event.metaKey) return { gesture: gestures.draw, selection: [] };
    if (handle) return { gesture: (context) => gestures.scale(context, handle), selection };
    if (event.shiftKey && !stack.length) return { gesture: gestures.marquee, selection };
    if (!stack.length) return { gesture: gestures.draw, selection: [] };
    if (event.altKey) {
      const below = stack[(stack.indexOf(selection.at(-1)) + 1) % stack.length];
      return { gesture: gestures.move, selection: [below] };
    }
    const held = stack.find((index) => selection.includes(index));
    if (event.shiftKey) {
      const others = selection.filter((index) => index !== held);
      const toggled = held === undefined ? [...selection, stack[0]] : others;
      return { gesture: gestures.move, selection: toggled };
    }
    if (held === undefined) return { gesture: gestures.move, selection: [stack[0]] };
    return { gesture: gestures.move, selection, click: [held] };
  }

  move(event) {
    this.at = this.pointAt(event);
    const { drag, model } = this;
    if (!drag || event.pointerId !== drag.from.pointerId) return;
    if (!(event.buttons & 1)) return this.finish();
    const distance = Math.hypot(
      event.clientX - drag.from.clientX,
      event.clientY - drag.from.clientY,
    );
    if (!drag.moved && distance < DRAG_PX) return;
    drag.moved = true;
    drag.run ??= drag.gesture(this.context(drag));
    const keys = { free: event.altKey, proportions: event.shiftKey };
    const state = drag.run(this.at, keys);
    this.stage.showDrag(state.marquee, state.lines);
    model.drag(state);
  }

  context({ point }) {
    const { drawing, selection, size, minimum, snapping } = this.model;
    const { width, height } = this.stage.element.getBoundingClientRect();
    const tolerance = [SNAP_PX / width, SNAP_PX / height];
    return {
      drawing,
      selection,
      size,
      minimum,
      start: point,
      snapping: { ...snapping, tolerance },
    };
  }

  up(event) {
    if (event.button === 0 && event.pointerId === this.drag?.from.pointerId) this.finish();
  }

  finish() {
    const { drag, model } = this;
    if (!drag) return;
    this.drag = null;
    this.stage.showDrag(null, [[], []]);
    if (!drag.moved && drag.click) model.select(drag.click);
    model.endDrag();
  }

  /** End a drag as if it had not been. Returns whether there was one. */
  cancel() {
    if (!this.drag) return false;
    this.drag = null;
    this.stage.showDrag(null, [[], []]);
    this.model.cancelDrag();
    return true;
  }

  doubleClick(event) {
    event.stopPropagation();
    const { drawing, selection } = this.model;
    const stack = gestures.stackAt(drawing, this.pointAt(event));
    const index = stack.find((candidate) => selection.includes(candidate)) ?? stack[0];
    if (index !== undefined && !this.stage.text.contains(event.target)) this.stage.text.open(index);
  }
}
