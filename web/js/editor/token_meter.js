// How many of the checkpoint's tokens the drawing takes, and what else there is to know of it before
// it runs: counted and worded by the server.

import { element, set } from "../shared/dom.js";
import { remarkElements, renumbered } from "../shared/remarks.js";
import { choice } from "./controls.js";
import { CHOICES } from "./preferences.js";

const DELAY_MS = 250;

export class TokenMeter {
  constructor({ model, host }) {
    this.model = model;
    this.host = host;
    this.asked = ""; // what the last answer was asked for
    this.counted = ""; // what the last answer said
    this.timer = null;
    this.bar = element("div", { class: "reco-meter-bar" });
    this.text = element("span", { class: "reco-meter-text" });
    this.unit = choice("Unit of the numbers", CHOICES.unit, (unit) => model.prefer({ unit }));
    const line = element("div", { class: "reco-meter-line" }, this.text, this.unit);
    this.remarks = element("div", { class: "reco-meter-remarks", role: "status" });
    this.element = element("div", { class: "reco-meter" }, this.bar, line, this.remarks);
  }

  /** Ask again if anything that counts has changed. */
  render() {
    set(this.unit, "value", this.model.preferences.unit);
    const { layout, regions } = this.model.longest;
    const readers = this.host.readers();
    const question = JSON.stringify([readers, layout, regions]);
    if (question === this.asked) return;
    this.asked = question;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(question, layout, regions, readers), DELAY_MS);
  }

  remove() {
    clearTimeout(this.timer);
  }

  async ask(question, layout, regions, readers) {
    let answer;
    try {
      answer = await this.host.count(layout, readers);
    } catch (error) {
      if (question !== this.asked) return;
      this.asked = ""; // so that it is asked again
      this.showFailure(renumbered(error.message, regions));
      return;
    }
    if (question === this.asked) this.show(answer, layout, regions);
  }

  /** Keep the figures of the last answer, as old ones. */
  showFailure(message) {
    this.element.classList.add("reco-old");
    const old = this.counted ? ` Before that: ${this.counted}` : "";
    set(this.text, "textContent", `Not counted: ${message.replace(/\.$/, "")}.${old}`);
  }

  /** answer: of the server, whose regions are those of the layout. regions: their indices. */
  show(answer, layout, regions) {
    const { limit, used, overflow, remarks, size } = answer;
    this.showBar(answer, layout);
    this.element.classList.remove("reco-old");
    this.element.classList.toggle("reco-unfit", limit !== null && used > limit);
    this.counted = describe(limit, used, overflow, regions);
    set(this.text, "textContent", this.counted);
    this.showRemarks(remarks.filter(({ region }) => region === null), size);
    this.model.takeCount(countOf(answer, regions));
  }

  showBar({ limit, used, caption, regions }, layout) {
    const parts = [
      { tokens: caption, color: "var(--descrip-text, #999)" },
      ...regions.map((tokens, i) => ({ tokens, color: layout.regions[i].color })),
    ];
    const total = Math.max(limit ?? used, used);
    const shareOf = (tokens) => `${(100 * tokens) / total}%`;
    this.bar.replaceChildren(
      ...parts.map(({ tokens, color }) =>
        element("div", { style: { width: shareOf(tokens), background: color } }),
      ),
    );
    if (limit && used > limit) {
      this.bar.append(element("div", { class: "reco-meter-limit", style: { left: shareOf(limit) } }));
    }
  }

  /** Remarks of the whole layout; those of a region stand in its row. */
  showRemarks(remarks, size) {
    const parts = remarkElements(remarks);
    const at = remarks.findIndex(({ kind }) => kind === "size");
    if (at >= 0 && size) parts[at].append(this.sizeButton(size));
    this.remarks.replaceChildren(...parts);
  }

  /** A button that gives the picture the checkpoint's size, unless the size comes in by links. */
  sizeButton([width, height]) {
    if (this.host.sizeIsLinked()) {
      return element("span", {}, "Here width or height comes in by a link: set it where it begins.");
    }
    const press = () => {
      this.host.setSize(width, height);
      this.model.commit();
    };
    return element(
      "button",
      { type: "button", class: "reco-word", on: { click: press } },
      `use ${width} × ${height}`,
    );
  }
}

/** What an answer says of each of the drawing's regions. regions: indices of those counted. */
function countOf({ regions: counted, overflow, remarks }, regions) {
  const count = { tokens: [], unfit: new Set(overflow.map((i) => regions[i])), remarks: [] };
  regions.forEach((index, i) => (count.tokens[index] = String(counted[i])));
  for (const remark of remarks) {
    if (remark.region === null) continue;
    const message = renumbered(remark.message, regions);
    (count.remarks[regions[remark.region]] ??= []).push({ ...remark, message });
  }
  return count;
}

function describe(limit, used, overflow, regions) {
  if (limit === null) return `${used} tokens; connect a checkpoint to see how many it reads.`;
  const numbers = overflow.map((i) => regions[i] + 1);
  if (numbers.length) return `${used} of ${limit} tokens: region ${numbers.join(", ")} will not fit.`;
  if (used > limit) return `${used} of ${limit} tokens: the caption is too long.`;
  return `${used} of ${limit} tokens`;
}
