// What the pointer does on the canvas: it begins gestures, carries them on and ends them.

import { handleAt } from "../shared/geometry.js";
import * as gestures from "./gestures.js";

// On the screen, at any zoom:
const DRAW_PX = 10; // how far a drag must go to draw a box
const DRAG_PX = 5; // how far to do anything else; less is a click
const EDGE_PX = 5; // how far inside of a box its edge can be pulled
const SNAP_PX = 6; // how near another box's edge draws

const LISTENERS = {
  pointerdown: "down",
  pointermove: "move",
  pointerup: "up",
  pointercancel: "cancel",
  lostpointercapture: "cancel",
  pointerleave: "leave",
  dblclick: "doubleClick",
  keydown: "follow",
  keyup: "follow",
};

const distanceOf = (one, other) =>
  Math.hypot(other.clientX - one.clientX, other.clientY - one.clientY);

export class Pointer {
  constructor(model, stage) {
    this.model = model;
    this.stage = stage;
    this.drag = null;
    this.at = null; // where the pointer is, or null when it is elsewhere
    this.over = null; // the element that it moved over last
    for (const [event, method] of Object.entries(LISTENERS)) {
      stage.element.addEventListener(event, (told) => this[method](told));
    }
  }

  /** The pointer's place, as fractions of the image; it may be outside. */
  pointAt({ clientX, clientY }) {
    const { left, top, width, height } = this.stage.element.getBoundingClientRect();
    return [(clientX - left) / width, (clientY - top) / height];
  }

  down(event) {
    if (event.button !== 0 || this.drag || this.stage.text.contains(event.target)) return;
    this.begin(event);
  }

  begin(event) {
    this.stage.text.keep();
    const point = this.pointAt(event);
    const plan = this.planFor(event, point);
    this.model.beginDrag(plan.selection);
    this.drag = { ...plan, from: event, moved: false, run: null, point };
    this.stage.showMeant(plan);
    this.stage.element.setPointerCapture(event.pointerId);
  }

  /**
   * What pressing here begins: does: its name, gesture, selection: what is selected at once, click:
   * what is if it remains a click, over: the box that a click takes, if any.
   */
  planFor(event, point) {
    const { drawing, selection } = this.model;
    const { handle } = event.target.dataset;
    const draw = { does: "draw", gesture: gestures.draw, selection: [] };
    if (event.ctrlKey || event.metaKey) return draw;
    if (handle) {
      const gesture = (context) => gestures.scale(context, handle);
      const [below] = gestures.stackAt(drawing, point);
      return { does: handle, gesture, selection, click: below === undefined ? null : [below] };
    }
    const stack = this.stackUnder(event.target, point);
    if (stack.length) {
      const move = { does: "move", gesture: gestures.move, ...this.pick(event, stack) };
      return this.edgeOf(event, stack[0], point) ?? move;
    }
    return event.shiftKey ? { does: "marquee", gesture: gestures.marquee, selection } : draw;
  }

  /** An edge of a box that has no handles yet can be pulled at once. */
  edgeOf({ altKey, shiftKey, target }, index, point) {
    const { drawing, selection } = this.model;
    if (altKey || shiftKey || selection.includes(index) || target.closest("[data-region]")) return null;
    const { box } = drawing.regions[index];
    const { width, height } = this.stage.element.getBoundingClientRect();
    const reach = [
      Math.min(EDGE_PX / width, (box[2] - box[0]) / 4),
      Math.min(EDGE_PX / height, (box[3] - box[1]) / 4),
    ];
    const handle = handleAt(box, point, reach);
    if (!handle) return null;
    const gesture = (context) => gestures.scale(context, handle);
    return { does: handle, gesture, selection: [index], over: index };
  }

  /** Which of the boxes in one spot is meant. */
  pick({ altKey, shiftKey }, stack) {
    const { selection } = this.model;
    const [smallest] = stack;
    if (altKey) {
      const over = stack[(stack.indexOf(selection.at(-1)) + 1) % stack.length];
      return { over, selection: [over] };
    }
    if (shiftKey) {
      const others = selection.filter((index) => index !== smallest);
      const toggled = others.length < selection.length ? others : [...selection, smallest];
      return { over: smallest, selection: toggled };
    }
    const held = stack.some((index) => selection.includes(index));
    return { over: smallest, selection: held ? selection : [smallest], click: [smallest] };
  }

  /** Boxes that can be picked here, the one that a click takes first: a tag is its box's. */
  stackUnder(target, point) {
    const tag = target.closest("[data-region]");
    return tag ? [Number(tag.dataset.region)] : gestures.stackAt(this.model.drawing, point);
  }

  move(event) {
    this.at = this.pointAt(event);
    this.leaveText(event);
    const { drag } = this;
    if (!drag) return this.hover(event);
    if (event.pointerId !== drag.from.pointerId) return;
    if (!(event.buttons & 1)) return this.finish();
    this.carryOn(drag, event);
  }

  /** A text that is being written, and was pressed beside its box, gives way to a drag. */
  leaveText(event) {
    const { text } = this.stage;
    if (!(event.buttons & 1)) text.pressed = null;
    if (!text.pressed || distanceOf(text.pressed, event) < DRAW_PX) return;
    const { pressed } = text;
    text.pressed = null;
    this.begin(pressed);
    this.stage.focus(); // as pressing the canvas itself does
  }

  carryOn(drag, event) {
    const distance = distanceOf(drag.from, event);
    const draws = drag.does === "draw";
    drag.moved ||= distance >= (draws ? DRAW_PX : DRAG_PX);
    if (!drag.moved) return;
    drag.context ??= this.context(drag);
    drag.run ??= drag.gesture(drag.context);
    // A box that shrinks to less than counts is given up.
    const state =
      draws && distance < DRAW_PX
        ? gestures.unchanged(drag.context)
        : drag.run(this.at, { free: event.altKey, proportions: event.shiftKey });
    this.stage.showDrag(state.marquee, state.lines);
    this.model.drag(state);
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

  // Showing what pressing would do

  hover({ target, ctrlKey, metaKey, shiftKey, altKey }) {
    this.over = target;
    const event = { target, ctrlKey, metaKey, shiftKey, altKey };
    this.stage.showMeant(this.planFor(event, this.at));
  }

  /** A key for another gesture is pressed or let go. */
  follow({ ctrlKey, metaKey, shiftKey, altKey }) {
    if (!this.at || this.drag) return;
    this.hover({ target: this.over, ctrlKey, metaKey, shiftKey, altKey });
  }

  leave() {
    this.at = null;
    if (!this.drag) this.stage.showMeant({});
  }

  doubleClick(event) {
    event.stopPropagation();
    const { selection } = this.model;
    const stack = this.stackUnder(event.target, this.pointAt(event));
    const onHandle = event.target.dataset.handle ? selection.at(-1) : undefined;
    const index = onHandle ?? stack.find((one) => selection.includes(one)) ?? stack[0];
    if (index !== undefined && !this.stage.text.contains(event.target)) this.stage.text.open(index);
  }
}
