// Elements from scripts: text stays text, so nothing of a file or an answer becomes markup.

/** An element with attributes and children; null, undefined and false are left out. */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** A description list of names and values. */
export function facts(entries) {
  return el(
    "dl",
    { class: "facts" },
    entries.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]),
  );
}

/** A table in a box that scrolls: `columns` are `{name, isNumber}`, the first column heads its row. */
export function table({ caption, columns, rows, total = null }) {
  const cell = (place, value) =>
    el(place === 0 ? "th" : "td", { scope: place === 0 ? "row" : null, class: kind(place) }, value);
  const kind = (place) => (columns[place].isNumber ? "num" : null);
  const line = (values) => el("tr", {}, values.map((value, place) => cell(place, value)));
  const head = columns.map((column, place) =>
    el("th", { scope: "col", class: kind(place) }, column.name),
  );
  return el(
    "div",
    // What scrolls must be reachable by keyboard.
    { class: "table-box", tabindex: "0", role: "region", "aria-label": caption },
    el(
      "table",
      {},
      el("caption", {}, caption),
      el("thead", {}, el("tr", {}, head)),
      el("tbody", {}, rows.map(line)),
      total && el("tfoot", {}, line(total)),
    ),
  );
}
