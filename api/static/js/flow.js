// The flow picture: sources left, sinks right, one scale; what is not settled yet is hatched.
// Its figures stand in a table beside it, so for those who listen it is one picture with a name.

import "../vendor/d3-path/d3-path.min.js";
import "../vendor/d3-array/d3-array.min.js";
import "../vendor/d3-shape/d3-shape.min.js";
import "../vendor/d3-sankey/d3-sankey.min.js";

const SVG = "http://www.w3.org/2000/svg";
const NODE_WIDTH = 14;
const LINE = 17;
const NARROW = 520; // Below, a node's name and its figure need a line each.
const HEIGHT = 260;
const HATCH = 7;

/**
 * Draws flows into a box.
 *
 * @param box     an element; its width counts
 * @param nodes   [{id, label, kind}], kind is "sun" or "grid" or "homes"
 * @param flows   [{from, to, settled, provisional}] in Wh; ids of nodes
 * @param name    the finding, for those who do not see it
 * @param figure  writes Wh
 */
export function drawFlow(box, { nodes, flows, name, figure }) {
  const width = Math.max(280, Math.round(box.clientWidth));
  const lines = width < NARROW ? 2 : 1;
  const padding = (lines + 1) * LINE; // Room for a node's words above its bar.
  const height = HEIGHT + (lines - 1) * 2 * LINE;
  const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": name });
  svg.append(make("defs", {}, hatch("sun"), hatch("grid")));

  const links = flows.flatMap(({ from, to, settled, provisional }) => [
    { source: from, target: to, value: settled, isSettled: true },
    { source: from, target: to, value: provisional, isSettled: false },
  ]).filter((link) => link.value > 0);
  const used = new Set(links.flatMap(({ source, target }) => [source, target]));
  const order = new Map(nodes.map(({ id }, place) => [id, place]));
  const graph = globalThis.d3.sankey()
    .nodeId((node) => node.id)
    .nodeAlign((node) => (node.sourceLinks.length ? 0 : 1))
    .nodeSort((one, other) => order.get(one.id) - order.get(other.id))
    .linkSort((one, other) => order.get(one.source.id) - order.get(other.source.id)
      || order.get(one.target.id) - order.get(other.target.id) || other.isSettled - one.isSettled)
    .nodeWidth(NODE_WIDTH)
    .nodePadding(padding)
    .extent([[1, padding - 8], [width - 1, height - 4]])({
      nodes: nodes.filter(({ id }) => used.has(id)).map((node) => ({ ...node })),
      links,
    });

  const path = globalThis.d3.sankeyLinkHorizontal();
  for (const link of graph.links) {
    svg.append(make("path", {
      d: path(link),
      class: [
        "link",
        `is-${link.source.kind}`,
        `to-${link.target.kind}`,
        link.isSettled ? "" : "is-provisional",
      ].join(" "),
      "stroke-width": Math.max(1, link.width),
      stroke: link.isSettled ? undefined : `url(#hatch-${link.source.kind})`,
    }));
  }
  for (const node of graph.nodes) svg.append(...nodeParts(node, width, lines, figure));
  box.replaceChildren(svg);
}

function nodeParts(node, width, lines, figure) {
  const isLeft = node.x0 < width / 2;
  const x = isLeft ? node.x0 : node.x1;
  const y = node.y0 - 9;
  const text = make("text", { x, y, "text-anchor": isLeft ? "start" : "end" });
  text.append(
    make("tspan", { class: "label", x, y: y - (lines - 1) * LINE }, `${node.label} `),
    make("tspan", { class: "figure", ...(lines > 1 && { x, y }) }, figure(node.value)),
  );
  const bar = make("rect", {
    x: node.x0,
    y: node.y0,
    width: NODE_WIDTH,
    height: Math.max(1, node.y1 - node.y0),
    rx: 2,
    class: `node is-${node.kind}`,
  });
  return [bar, text];
}

function hatch(kind) {
  const lines = make("path", { d: `M0 0V${HATCH}`, class: `hatch is-${kind}` });
  const ground = make("rect", { width: HATCH, height: HATCH, class: `ground is-${kind}` });
  return make("pattern", {
    id: `hatch-${kind}`,
    width: HATCH,
    height: HATCH,
    patternUnits: "userSpaceOnUse",
    patternTransform: "rotate(45)",
  }, ground, lines);
}

function make(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}
