// Writing a region's text on its box.

import { element } from "../shared/dom.js";
import { contains } from "../shared/geometry.js";
import { changeRegions } from "./drawing.js";

export class TextInPlace {
  /** stage: the element whose size is the image's. */
  constructor(model, stage) {
    this.model = model;
    this.index = null;
    this.pressed = null; // the event that pressed it beside its box, until the pointer is let go
    this.area = element("textarea", {
      class: "reco-in-place",
      hidden: true,
      dir: "auto",
      "aria-label": "Text of the region",
      on: {
        input: () => this.write(this.area.value, false),
        keydown: (event) => this.keyDown(event),
        blur: () => this.keep(),
        pointerdown: (event) => this.press(event),
        dragstart: (event) => this.pressed && event.preventDefault(), // of a selected text
      },
    });
    stage.append(this.area);
    this.stage = stage;
  }

  open(index) {
    this.index = index;
    this.before = this.model.drawing.regions[index].text;
    this.area.value = this.before;
    this.area.ariaLabel = `Text of region ${index + 1}`;
    this.area.hidden = false;
    this.follow();
    this.area.focus();
    this.area.select();
  }

  /** Stay on the box; close when it is gone. */
  follow() {
    if (this.index === null) return;
    const region = this.model.drawing.regions[this.index];
    if (!region) return this.close();
    const [x0, y0, x1, y1] = region.box;
    const width = Math.max(x1 - x0, 140 / (this.stage.clientWidth || 1));
    const height = Math.max(y1 - y0, 32 / (this.stage.clientHeight || 1));
    this.area.style.left = `${100 * Math.max(0, Math.min(x0, 1 - width))}%`;
    this.area.style.top = `${100 * Math.max(0, Math.min(y0, 1 - height))}%`;
    this.area.style.width = `${100 * width}%`;
    this.area.style.height = `${100 * height}%`;
  }

  /** A drag that begins beside its box, which is smaller, is one of the canvas: see Pointer. */
  press(event) {
    event.stopPropagation();
    const { left, top, width, height } = this.stage.getBoundingClientRect();
    const point = [(event.clientX - left) / width, (event.clientY - top) / height];
    const isOn = contains(this.model.drawing.regions[this.index].box, point);
    this.pressed = isOn || event.button !== 0 ? null : event;
  }

  /** commit: whether it ends a step of undo. */
  write(text, commit) {
    const { drawing } = this.model;
    if (drawing.regions[this.index]?.text === text) return commit && this.model.commitChanges();
    this.model.update(changeRegions(drawing, [this.index], { text }), { commit });
  }

  /** Take over what was written. */
  keep() {
    if (this.index === null) return;
    this.write(this.area.value, true);
    this.close();
  }

  /** What ComfyUI does on Control, it does with what was written: Enter is to run. */
  control({ key }) {
    if (key !== "Enter" || this.index === null) return;
    this.keep();
    this.stage.focus();
  }

  giveUp() {
    this.write(this.before, true);
    this.close();
  }

  close() {
    this.index = null; // before hiding it, which makes it lose the focus
    this.area.hidden = true;
  }

  contains(target) {
    return target === this.area;
  }

  keyDown(event) {
    if (event.ctrlKey || event.metaKey) return this.control(event);
    event.stopPropagation();
    if (event.isComposing) return; // Enter ends a word of an input method
    const keeps = event.key === "Enter" && !event.shiftKey;
    if (!keeps && event.key !== "Escape") return;
    event.preventDefault();
    if (keeps) this.keep();
    else this.giveUp();
    this.stage.focus();
  }
}
