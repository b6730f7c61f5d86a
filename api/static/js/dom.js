// Elements, made from text alone: nothing that is said can become markup.

/** An element: `el("p", {class: "hint", hidden: true}, "text", el("b", {}, "more"))`. */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) {
      made.setAttribute(name, value);
    }
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Shows a dialog with a heading until it is closed; `fill(dialog, close)` fills it. */
export function showDialog(title, fill) {
  return new Promise((resolve) => {
    let answer = null;
    const close = (value = null) => {
      answer = value;
      dialog.close();
    };
    const heading = el("h2", { id: `dialog-${crypto.randomUUID()}` }, title);
    const dialog = el("dialog", { "aria-labelledby": heading.id }, heading);
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(answer);
    });
    document.body.append(dialog);
    fill(dialog, close);
    dialog.showModal();
  });
}
