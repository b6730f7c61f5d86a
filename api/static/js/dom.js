// Elements, made from text alone: nothing that is said can become markup.

/** An element: `el("p", {class: "hint", hidden: true}, "text", el("b", {}, "more"))`. */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value);
    }
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

let made = 0;

/** An id that nothing else on the page has. */
export function newId() {
  made += 1;
  return `made-${made}`;
}

/** Shows a dialog with a heading until it is closed; `fill(dialog, close)` fills it. */
export function showDialog(title, fill) {
  return new Promise((resolve) => {
    let answer = null;
    const close = (value = null) => {
      answer = value;
      dialog.close();
    };
    // The heading has the focus: what a dialog says is read before anything is pressed.
    const heading = el("h2", { id: newId(), tabindex: "-1", autofocus: true }, title);
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
