// How many of the checkpoint's tokens the drawing takes, and what else there is to know of it before
// it runs: counted and worded by the server.

import { element, set } from "../shared/dom.js";
import { remarkElements, renumbered } from "../shared/remarks.js";
import { choice, iconButton, wordButton } from "./controls.js";
import { CHOICES } from "./preferences.js";

const DELAY_MS = 250;
const RETRY_MS = 2_000; // after a count that failed, then twice as long each time
const MOST_RETRY_MS = 60_000;

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
    this.numbers = iconButton("hashtag", "Numbers of all regions", () => {
      model.prefer({ list: model.preferences.list === "numbers" ? "texts" : "numbers" });
    });
    this.find = wordButton("select", "Select the regions that do not fit", () => this.findUnfit());
    const words = element("span", { class: "reco-meter-words" }, this.text, this.find);
    const line = element("div", { class: "reco-meter-line" }, words, this.numbers, this.unit);
    this.remarks = element("div", { class: "reco-meter-remarks", role: "status" });
    this.element = element("div", { class: "reco-meter" }, this.bar, line, this.remarks);
  }

  /** Ask again if anything that counts has changed. */
  render() {
    const { preferences, count } = this.model;
    set(this.unit, "value", preferences.unit);
    set(this.numbers, "ariaPressed", String(preferences.list === "numbers"));
    set(this.find, "hidden", !count.unfit.size);
    if (this.model.dragging) return; // it counts when it has ended
    const { layout, regions } = this.model.longest;
    const readers = this.host.readers();
    const question = JSON.stringify([readers, layout, regions]);
    if (question === this.asked) return;
    this.retry = RETRY_MS;
    this.askSoon(DELAY_MS, question, layout, regions, readers);
  }

  askSoon(delay, question, ...rest) {
    this.asked = question;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(question, ...rest), delay);
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
      this.showFailure(renumbered(error.message, regions));
      this.askSoon(this.retry, question, layout, regions, readers);
      this.retry = Math.min(2 * this.retry, MOST_RETRY_MS);
      return;
    }
    if (question === this.asked) this.show(answer, regions);
  }

  /** Keep the figures of the last answer, as old ones. */
  showFailure(message) {
    this.element.classList.add("reco-old");
    const old = this.counted ? ` Before that: ${this.counted}` : "";
    set(this.text, "textContent", `Not counted: ${message.replace(/\.$/, "")}.${old}`);
  }

  /** answer: of the server. regions: indices of those it counted. */
  show(answer, regions) {
    const { limit, used, overflow, remarks, size } = answer;
    const strange = answer.strange.map((i) => regions[i]);
    this.showBar(answer, regions);
    this.element.classList.remove("reco-old");
    this.element.classList.toggle("reco-unfit", limit !== null && used > limit);
    this.counted = describe(limit, used, overflow, regions);
    set(this.text, "textContent", this.counted);
    this.showRemarks(remarks.filter(({ region }) => region === null), size, strange);
    this.model.takeCount(countOf(answer, regions));
  }

  showBar({ limit, used, caption, regions }, indices) {
    const { colors } = this.model;
    const parts = [
      { tokens: caption, color: "var(--reco-faint)" },
      ...regions.map((tokens, i) => ({ tokens, color: colors[indices[i]] })),
    ];
    this.bar.classList.toggle("reco-unknown", limit === null);
    if (limit === null) return this.bar.replaceChildren(); // of how many is not known
    const total = Math.max(limit, used);
    const shareOf = (tokens) => `${(100 * tokens) / total}%`;
    this.bar.replaceChildren(
      ...parts.map(({ tokens, color }) =>
        element("div", { style: { width: shareOf(tokens), background: color } }),
      ),
    );
    if (used > limit) {
      this.bar.append(element("div", { class: "reco-meter-limit", style: { left: shareOf(limit) } }));
    }
  }

  /** Remarks of the whole layout; those of a region stand in its row. */
  showRemarks(remarks, size, strange) {
    const parts = remarkElements(remarks);
    const words = remarks.findIndex(({ kind }) => kind === "word");
    if (words >= 0 && strange.length) parts[words].append(this.wordsButton(strange));
    const at = remarks.findIndex(({ kind }) => kind === "size");
    if (at >= 0 && size) parts[at].append(this.sizeButton(size));
    this.remarks.replaceChildren(...parts);
  }

  findUnfit() {
    this.model.select([...this.model.count.unfit]);
  }

  /** A button that selects the regions with words that the checkpoint does not know. */
  wordsButton(strange) {
    const title = "Select the regions with these words";
    return wordButton("select", title, () => this.model.select(strange));
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
    return wordButton(`use ${width} × ${height}`, "Give the picture this size", press);
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
