// Why ComfyUI refused the last run, or where it failed, in words.

/** {cause: another object for each run, words}, or null when there is nothing to say. */
export function troubleOf(frontEnd) {
  const { refusal, failure } = frontEnd;
  if (refusal) return { cause: refusal, words: `Run is refused. ${refusalWords(frontEnd, refusal)}` };
  return failure ? { cause: failure, words: failureWords(frontEnd, failure) } : null;
}

function refusalWords(frontEnd, refusal) {
  const told = Object.entries(refusal).flatMap(([id, { class_type: type, errors }]) =>
    errors.map((error) => `${nameOf(frontEnd, id, type)}: ${wordsOf(error)}`),
  );
  const [first = "Leave the large view to see why."] = told;
  return told.length > 1 ? `${first} (and ${told.length - 1} more)` : first;
}

/** What a node of its own says of an input stands behind the input's name. */
function wordsOf({ type, message, details }) {
  if (type === "custom_validation_failed") return details.replace(/^\w+ - /, "");
  return [message, details].filter(Boolean).join(": ");
}

function failureWords(frontEnd, { node_id: id, node_type: type, exception_message: message }) {
  return `Run failed at ${nameOf(frontEnd, id, type)}: ${String(message).trim()}`;
}

const nameOf = (frontEnd, id, type) => frontEnd.nodeAt(id)?.title ?? type;
