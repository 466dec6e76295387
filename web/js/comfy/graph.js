// The workflow around a node: which nodes it is linked with. Pure functions of LiteGraph's nodes.

const inputOf = (node, name) => node.inputs?.find((input) => input.name === name);

export const isLinked = (node, inputName) => inputOf(node, inputName)?.link != null;

/** The node at the other end of an input's link, or undefined. */
export function originOf(node, inputName) {
  if (!isLinked(node, inputName)) return undefined;
  return node.graph?.getNodeById(linkOf(node, inputOf(node, inputName).link)?.origin_id);
}

/**
 * Which file tells how a node's layout is read: {checkpoint} or {adapter}, its name. It is that of
 * the first node up the CLIP that brings position tokens, else of the only one; {} if none does.
 */
export function readerFor(node, graphs) {
  const readers = layoutReaders(node).map(loaderOf).filter(Boolean);
  const all = graphs.flatMap((graph) => graph.nodes.filter(isLoader));
  const loader = readers[0] ?? (all.length === 1 ? all[0] : null);
  if (!loader) return {};
  const [kind, widget] = LOADERS[loader.comfyClass];
  return { [kind]: loader.widgets?.find(({ name }) => name === widget)?.value ?? "" };
}

/** What brings position tokens: a kind of file, and the widget that names it. */
const LOADERS = {
  ReCoLoadCheckpoint: ["checkpoint", "ckpt_name"],
  ReCoLoadAdapter: ["adapter", "adapter_name"],
  ReCoApplyAdapter: ["adapter", "adapter_name"],
};

const isLoader = (node) => Object.hasOwn(LOADERS, node.comfyClass ?? "");

/** A link by its id; none for a node that is in no graph, as while it is copied. */
const linkOf = ({ graph }, id) => graph?.links?.get?.(id) ?? graph?.links?.[id];

/** The nodes that a node's layout reaches, through others that pass layouts on. */
function layoutReaders(node) {
  const found = new Set([node]);
  for (const sender of found) {
    for (const output of sender.outputs ?? []) {
      if (output.type !== "RECO_LAYOUT") continue;
      for (const id of output.links ?? []) {
        const reader = sender.graph?.getNodeById(linkOf(sender, id)?.target_id);
        if (reader) found.add(reader);
      }
    }
  }
  return [...found];
}

/** The loader whose CLIP a node reads, through others that change it. */
function loaderOf(node) {
  const seen = new Set();
  for (let at = clipOf(node); at && !seen.has(at); at = clipOf(at)) {
    if (isLoader(at)) return at;
    seen.add(at);
  }
  return null;
}

/** The node whose CLIP a node reads, of several that with the position tokens. */
const clipOf = (node) => originOf(node, "reco_clip") ?? originOf(node, "clip");
