// What comes into a node when the workflow runs, as ComfyUI's front end works it out for a prompt:
// what is muted sends nothing, what is bypassed passes on what comes into it, subgraphs and reroutes
// are seen through. Pure functions of LiteGraph's nodes.
//
// A place is {node, within}: a node, and the subgraphs' nodes around it from the outside in. A node
// of a subgraph that is used twice has two.

const MUTED = 2;
const BYPASSED = 4;
const ANY = "*";
const CARRYING = ["RECO_LAYOUT", "STRING", ANY]; // types in which a layout travels

const isSubgraph = (node) => Boolean(node.isSubgraphNode?.());

/** Every place of a graph that runs. */
export function* placesOf(graph, within = []) {
  for (const node of graph?.nodes ?? []) {
    if (node.mode === MUTED || node.mode === BYPASSED) continue;
    if (isSubgraph(node)) yield* placesOf(node.subgraph, [...within, node]);
    else yield { node, within };
  }
}

/** The first place of a node, also of one that does not run; without subgraphs around if unknown. */
export function placeOf(node, graph) {
  for (const within of waysTo(node.graph, graph)) return { node, within };
  return { node, within: [] };
}

function* waysTo(wanted, graph, within = []) {
  if (graph === wanted) yield within;
  for (const node of graph?.nodes ?? []) {
    if (isSubgraph(node)) yield* waysTo(wanted, node.subgraph, [...within, node]);
  }
}

export const slotOf = ({ inputs = [] }, name) => inputs.findIndex((input) => input.name === name);

export function isLinked(node, name) {
  const slot = slotOf(node, name);
  return slot >= 0 && node.isInputConnected(slot);
}

/** What a linked input brings, if a widget shows it: null if only the run can tell. */
export function linkedValue(place, name) {
  const { widget, place: origin } = senderOf(place, slotOf(place.node, name)) ?? {};
  if (widget) return widget.value;
  const named = (wanted) => origin?.node.widgets?.find((widget) => widget.name === wanted);
  return (named(name) ?? named("value"))?.value ?? null;
}

/** [name, options] of each input of a node, as the server tells them. */
export function optionsOf({ constructor }) {
  const { required = {}, optional = {} } = constructor.nodeData?.input ?? {};
  const inputs = Object.entries({ ...required, ...optional });
  return inputs.map(([name, [, options]]) => [name, options ?? {}]);
}

/** The types that a slot takes or gives. */
export const typesOf = ({ type }) => String(type || ANY).toUpperCase().split(",");

export const slotsOf = ({ node }, wanted) =>
  [...(node.inputs ?? []).keys()].filter((slot) =>
    typesOf(node.inputs[slot]).some((type) => wanted.includes(type)),
  );

/** Of a place, to tell it from others. */
export const keyOf = ({ node, within }) => [...within, node].map(({ id }) => id).join(":");

/**
 * What sends into an input: {place, slot} of the output; or, where a subgraph's own widget does,
 * {widget}; null without any.
 */
export function senderOf(place, slot) {
  let from = beforeInput(place, slot);
  let types = typesOf(place.node.inputs[slot]);
  for (const seen = new Set(); from?.place; ) {
    const { node, within } = from.place;
    const key = `${keyOf(from.place)}/${from.slot}`;
    if (seen.has(key) || node.mode === MUTED) return null;
    seen.add(key);
    if (node.mode === BYPASSED) {
      const passed = passedSlot(node, from.slot, types);
      if (passed < 0) return null;
      types = typesOf(node.inputs[passed]);
      from = beforeInput(from.place, passed);
    } else if (isSubgraph(node)) {
      const link = node.resolveSubgraphOutputLink(from.slot)?.link;
      from = originOf(link, node.subgraph, [...within, node]);
    } else if (node.isVirtualNode && node.inputs?.length) {
      from = beforeInput(from.place, node.inputs[from.slot] ? from.slot : 0);
    } else {
      return from;
    }
  }
  return from;
}

/** Whether what comes into a place was made of a node's layout. */
export function carriesLayout(place, node, seen = new Set()) {
  return slotsOf(place, CARRYING).some((slot) => {
    const { place: origin, slot: output } = senderOf(place, slot) ?? {};
    if (!origin || seen.has(keyOf(origin))) return false;
    const types = typesOf(origin.node.outputs[output]);
    if (!types.some((type) => CARRYING.includes(type))) return false;
    if (origin.node === node) return types.includes("RECO_LAYOUT");
    seen.add(keyOf(origin));
    return carriesLayout(origin, node, seen);
  });
}

/** What is linked to an input, whatever it may be; null without a link. */
function beforeInput({ node, within }, slot) {
  return node.graph && originOf(linkInto(node, slot), node.graph, within);
}

/** Where a link of a graph begins. */
function originOf(link, graph, within) {
  if (!link) return null;
  if (!link.originIsIoNode) {
    const node = graph.getNodeById(link.origin_id);
    return node && { place: { node, within }, slot: link.origin_slot };
  }
  const around = within.at(-1);
  if (!around) return null;
  const place = { node: around, within: within.slice(0, -1) };
  return beforeInput(place, link.origin_slot) ?? ownWidget(around, link.origin_slot);
}

function ownWidget(node, slot) {
  const widget = node.getWidgetFromSlot?.(node.inputs[slot]);
  return widget ? { widget } : null;
}

/** The link into an input. A subgraph's node gives one within it when it is asked itself. */
function linkInto(node, slot) {
  if (!isSubgraph(node)) return node.getInputLink(slot);
  return globalThis.LiteGraph.LGraphNode.prototype.getInputLink.call(node, slot);
}

/** The input that a bypassed node passes on to an output, for an input of these types; -1 if none. */
function passedSlot({ inputs, outputs }, slot, types) {
  const made = typesOf(outputs[slot]);
  if (types.includes(ANY)) return inputs[slot] ? slot : inputs.length ? 0 : -1;
  const fits = (input) => input && meet(typesOf(input), made) && meet(typesOf(input), types);
  if (fits(inputs[slot])) return slot;
  const exact = inputs.findIndex((input) => typesOf(input).join() === types.join());
  return exact >= 0 ? exact : inputs.findIndex(fits);
}

const meet = (some, others) =>
  some.includes(ANY) || others.includes(ANY) || some.some((type) => others.includes(type));
