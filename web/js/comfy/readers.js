// Which files tell how an editor's layout is read: those behind each CLIP that meets it, as far as
// the workflow tells. Nodes that bring position tokens are known by what the server says of their
// inputs (nodes/inputs.py, reads): no list of them is kept here.
//
// A reader is a list of steps, {kind: name of a file} each, from the loader on, and at last {overflow}
// of a node that joins sequences; nodes/readers.py reads them.

import {
  carriesLayout,
  isLinked,
  keyOf,
  linkedValue,
  optionsOf,
  placesOf,
  senderOf,
  slotOf,
  slotsOf,
} from "./graph.js";

const THROUGH_CLIP = "transplant"; // the kind that is no file: what the CLIP before brings, changed

/**
 * The readers of a node's layout in a graph with subgraphs. One that nothing reads yet will be read
 * by the only one there is, if there is but one.
 */
export function readersOf(node, graph) {
  const places = [...placesOf(graph)];
  const readers = places
    .filter((place) => slotsOf(place, ["CLIP"]).length && carriesLayout(place, node))
    .flatMap((place) => readersInto(place).map((steps) => [...steps, ...joining(place)]));
  return distinct(readers.length ? readers : onlyReader(places));
}

/** A step that tells that a node reads what does not fit in further sequences. */
const joining = (place) =>
  optionsOf(place.node)
    .filter(([name, { reco_joins: joins }]) => joins && valueOf(place, name) === joins)
    .map(([, { reco_joins: overflow }]) => ({ overflow }));

/** The readers that the CLIPs into a place bring; several where it is one of them that it uses. */
function readersInto(place, slots = clipsOf(place), seen = new Set()) {
  return slots.flatMap((slot) => {
    const { place: origin } = senderOf(place, slot) ?? {};
    return origin && !seen.has(keyOf(origin)) ? readersAt(origin, new Set(seen)) : [];
  });
}

function readersAt(place, seen = new Set()) {
  seen.add(keyOf(place));
  const marks = marksOf(place.node);
  const kinds = Object.keys(marks);
  if (!kinds.length) return readersInto(place, clipsOf(place), seen);
  const own = Object.hasOwn(marks, THROUGH_CLIP);
  const slots = own ? [slotOf(place.node, marks[THROUGH_CLIP])] : clipsOf(place);
  const before = readersInto(place, slots, seen);
  if (own && !before.length) return [];
  const entries = kinds.map((kind) => [kind, kind === THROUGH_CLIP || valueOf(place, marks[kind])]);
  const step = Object.fromEntries(entries);
  return (before.length ? before : [[]]).map((steps) => [...steps, step]);
}

/** Of the nodes that bring position tokens, the only one whose CLIP goes to no other of them. */
function onlyReader(places) {
  const bringing = places.filter(({ node }) => Object.keys(marksOf(node)).length);
  const readers = distinct(bringing.flatMap((place) => readersAt(place)));
  const last = readers.filter((one) => !readers.some((other) => goesOn(one, other)));
  return last.length === 1 ? last : [];
}

/** {kind: name of the input} of what a node brings; {} if it brings no position tokens. */
function marksOf(node) {
  const marked = optionsOf(node).filter(([, { reco_reads: kind }]) => kind);
  return Object.fromEntries(marked.map(([name, { reco_reads: kind }]) => [kind, name]));
}

function valueOf(place, name) {
  const value = isLinked(place.node, name)
    ? linkedValue(place, name)
    : place.node.widgets?.find((widget) => widget.name === name)?.value;
  return String(value ?? "");
}

const clipsOf = (place) => slotsOf(place, ["CLIP", "*"]);

const goesOn = (one, other) =>
  other.length > one.length && JSON.stringify(other.slice(0, one.length)) === JSON.stringify(one);

const distinct = (readers) => [
  ...new Map(readers.map((reader) => [JSON.stringify(reader), reader])).values(),
];
