// The page: what is on it and what keys and mouse do. What is asked and counted is in study.js.

import { element } from "../../../web/js/shared/dom.js";
import { AnswerRows, OVERALL } from "./answer_rows.js";
import { clearBoxes, drawBoxes, paint } from "./boxes.js";
import { Store } from "./store.js";
import {
  SIDES,
  countComplete,
  fileName,
  fileOf,
  isComplete,
  nextOpen,
  noAnswers,
  slotOf,
  turned,
  withAnswer,
} from "./study.js";

const { page, pairs, questions } = JSON.parse(document.getElementById("study").textContent);
const by = (id) => document.getElementById(id);
const store = new Store(page);
const SMALL = 256; // pixels up to which a picture is shown with its pixels as squares
const LEGEND = [
  ["1 2 3", "left: yes, no, none"],
  ["4 5 6", "right: yes, no, none"],
  ["7 8 9", "better: left, tie, right"],
  ["Enter", "next unanswered"],
  ["← →", "back, next"],
  ["b", "boxes"],
  ["s", "save"],
];
const rows = new AnswerRows(questions, (question, side, value) =>
  change(withAnswer(answers[at], question, side, value)),
);

let rater = "";
let answers = noAnswers(pairs);
let at = 0;
let withBoxes = false;
let since = null; // when the time of this pair was last added up; null while nobody looks

function begin(name) {
  rater = name;
  store.rater = name;
  const kept = store.load(name);
  answers = noAnswers(pairs).map((none, index) => ({ ...none, ...kept?.answers?.[index] }));
  by("start").hidden = true;
  by("study-view").hidden = false;
  by("rater-name").textContent = name;
  show(Math.min(kept?.at ?? 0, pairs.length - 1));
  say(store.keeps ? "" : "This browser keeps nothing: save the file before you close the page.");
  document.activeElement?.blur();
}

function leave() {
  keep();
  rater = store.rater = "";
  by("rater").value = "";
  by("start").hidden = false;
  by("study-view").hidden = true;
  by("rater").focus();
}

// Making the page

function buildStart() {
  by("start-count").textContent = pairs.length === 1 ? "one pair" : `${pairs.length} pairs`;
  for (const { text, help } of questions) {
    by("start-questions").append(element("dt", {}, text), element("dd", {}, help));
  }
  by("start-questions").append(
    element("dt", {}, OVERALL),
    element("dd", {}, "All in all; a tie is an answer too"),
  );
  by("start-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const name = by("rater").value.trim();
    if (name) begin(name);
  });
}

function buildPair() {
  for (const side of SIDES) {
    const image = element("img", { alt: `The ${side} picture`, draggable: false });
    by(side).append(element("div", { class: "frame" }, image));
  }
  by("sketch").append(element("div", { class: "frame" }), element("ol", { id: "regions" }));
  by("pair").append(...rows.elements);
  for (const [keys, what] of LEGEND) {
    const parts = keys.split(" ").map((key) => element("kbd", {}, key));
    by("legend").append(element("li", {}, ...parts, ` ${what}`));
  }
}

function listen() {
  const presses = {
    back: () => move(-1),
    next: () => move(1),
    boxes: toggleBoxes,
    other: leave,
    save,
  };
  for (const [id, press] of Object.entries(presses)) by(id).addEventListener("click", press);
  addEventListener("keydown", onKey);
  addEventListener("resize", () => rater && drawLayouts());
  addEventListener("pagehide", keep);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) keep();
    since = document.hidden ? null : performance.now();
  });
}

// Showing a pair

function show(index) {
  at = index;
  since = performance.now();
  const pair = pairs[at];
  by("caption").textContent = pair.caption;
  by("caption").hidden = !pair.caption;
  by("pair").style.setProperty("--ratio", String(pair.width / pair.height));
  for (const side of SIDES) {
    const image = by(side).querySelector("img");
    image.src = `data:image/png;base64,${pair[side]}`;
    image.classList.toggle("small", Math.max(pair.width, pair.height) <= SMALL);
  }
  by("sketch").classList.toggle("empty", !pair.regions.length);
  by("regions").replaceChildren(...pair.regions.map(regionItem));
  drawLayouts();
  showAnswers();
  say("");
  keep();
}

function drawLayouts() {
  const { regions } = pairs[at];
  const frameOf = (id) => by(id).querySelector(".frame");
  drawBoxes(frameOf("sketch"), regions, { texts: false });
  for (const side of SIDES) {
    if (withBoxes) drawBoxes(frameOf(side), regions);
    else clearBoxes(frameOf(side));
  }
}

function regionItem({ text, color }, index) {
  const number = element("span", { class: "number", style: paint(color) }, `${index + 1}`);
  return element("li", {}, number, text);
}

function showAnswers() {
  const answer = answers[at];
  rows.show(pairs[at], answer);
  const complete = countComplete(pairs, answers);
  by("place").textContent = `Pair ${at + 1} of ${pairs.length}`;
  by("progress").max = pairs.length;
  by("progress").value = complete;
  by("done").textContent = `${complete}/${pairs.length} answered`;
  by("pair").classList.toggle("complete", isComplete(pairs[at], answer));
  by("back").disabled = at === 0;
  by("next").disabled = at === pairs.length - 1;
  by("save").classList.toggle("primary", complete === pairs.length);
}

function say(text) {
  by("status").textContent = text;
}

// Doing

function change(answer) {
  answers = answers.with(at, answer);
  keep();
  showAnswers();
  const all = countComplete(pairs, answers) === pairs.length;
  say(all ? "All pairs are answered: press s to save the file." : "");
}

/** Add up the time of this pair and keep the answers. */
function keep() {
  if (!rater) return;
  if (since !== null) {
    const now = performance.now();
    const seconds = answers[at].seconds + (now - since) / 1000;
    answers = answers.with(at, { ...answers[at], seconds });
    since = now;
  }
  store.save(rater, { answers, at });
}

function goTo(index) {
  keep();
  show(index);
}

function move(step) {
  if (pairs[at + step]) goTo(at + step);
}

function toNextOpen() {
  const next = nextOpen(pairs, answers, at);
  if (next < 0) say("All pairs are answered: press s to save the file.");
  else if (next === at) say("Only this pair still lacks an answer.");
  else goTo(next);
}

function toggleBoxes() {
  withBoxes = !withBoxes;
  by("boxes").setAttribute("aria-pressed", String(withBoxes));
  drawLayouts();
}

function save() {
  keep();
  const text = JSON.stringify(fileOf(page, rater, answers), null, 1);
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  const name = fileName(rater);
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
  const open = pairs.length - countComplete(pairs, answers);
  say(`Saved ${name}${open ? ` (${open} pairs still lack answers)` : ""}.`);
}

function onKey(event) {
  if (!rater || event.ctrlKey || event.metaKey || event.altKey) return;
  // By place on the keyboard: where digits take Shift, as on French ones, the same keys work.
  const digit = /^(?:Digit|Numpad)([1-9])$/.exec(event.code)?.[1];
  const presses = {
    ArrowLeft: () => move(-1),
    ArrowRight: () => move(1),
    Enter: toNextOpen,
    b: toggleBoxes,
    s: save,
  };
  const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const press = digit ? () => pressDigit(digit) : presses[name];
  if (!press) return;
  event.preventDefault();
  if (!event.repeat || event.key.startsWith("Arrow")) press();
}

function pressDigit(digit) {
  const slot = slotOf(questions, pairs[at], digit);
  if (!slot) return;
  const { question, side } = slot;
  const answer = answers[at];
  if (question === "better") change(withAnswer(answer, question, side, side));
  else change(turned(answer, question, side));
}

buildStart();
buildPair();
listen();
if (store.rater) begin(store.rater);
