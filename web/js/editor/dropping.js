// Pictures, files of JSON and texts that are dropped on the editor. ComfyUI would open the workflow in
// them instead, and lose the one that is open.

const PICTURE_LINK = "text/uri-list"; // of pictures dragged from the page

/** Let an editor take what is dropped on its element. */
export function takeDrops(editor) {
  const { element } = editor;
  let depth = 0; // of elements of the editor that the pointer has entered and not left
  const show = (isOver) => {
    depth = isOver ? depth : 0;
    element.classList.toggle("reco-dropping", isOver);
  };
  const listeners = {
    dragenter: () => show(++depth > 0),
    dragover: (event) => (event.dataTransfer.dropEffect = "copy"),
    dragleave: () => show(--depth > 0),
    drop: ({ dataTransfer }) => {
      show(false);
      take(editor, dataTransfer);
    },
  };
  for (const [name, listener] of Object.entries(listeners)) {
    element.addEventListener(name, (event) => {
      if (!isTaken(event)) return;
      event.preventDefault();
      event.stopPropagation();
      listener(event);
    });
  }
}

/** Not what ComfyUI drags, such as nodes of its list, nor a text within a field. */
function isTaken({ dataTransfer: { types }, target }) {
  if (types.includes("Files") || types.includes(PICTURE_LINK)) return true;
  return types.length > 0 && types.every((type) => /^text\//.test(type)) && !isField(target);
}

const isField = (target) => target.matches?.("input, textarea") ?? false;

function take(editor, dataTransfer) {
  const { exchange, clipboard } = editor;
  const [file] = dataTransfer.files;
  const link = dataTransfer.getData(PICTURE_LINK).split("\n")[0].trim();
  if (file) return exchange.offerFile(file);
  if (link) return exchange.offerLink(link);
  return clipboard.pasteText(dataTransfer.getData("text/plain"));
}
