// Elements of the page. Text of models and tools becomes text nodes and nothing else.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") for (const [event, handler] of Object.entries(value)) node.addEventListener(event, handler);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(3)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}

export function el(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** A table in a region of its own, so that a narrow screen scrolls the table and not the page. */
export function table(caption, head, rows, options = {}) {
  const right = (at) => (head[at] && head[at].right ? "right" : null);
  const cells = (row) =>
    row.map((value, at) =>
      at === 0 ? el("th", { scope: "row", class: right(at) }, value) : el("td", { class: right(at) }, value));
  return el("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": caption },
    el("table", { class: options.class, "aria-label": caption },
      el("thead", {}, el("tr", {}, head.map((one, at) => el("th", { scope: "col", class: right(at) }, one.text)))),
      el("tbody", {}, rows.map((row) => el("tr", {}, cells(row))))));
}

export function section(id, title, lead, ...children) {
  return el("section", { id, "aria-labelledby": `${id}-title` },
    el("h2", { id: `${id}-title` }, title), lead ? el("p", { class: "lead" }, lead) : null, ...children);
}

export function ms(micro) {
  if (micro === null || micro === undefined) return "n/a";
  const value = micro / 1000;
  if (value >= 10000) return `${(value / 1000).toFixed(1)} s`;
  return `${value < 100 ? value.toFixed(1) : Math.round(value).toLocaleString("en")} ms`;
}

export function percent(share, digits = 0) {
  return share === null || share === undefined ? "n/a" : `${(100 * share).toFixed(digits)} %`;
}

export function count(number) {
  return number === null || number === undefined ? "n/a" : number.toLocaleString("en");
}

/** A large number in few letters. */
export function brief(number) {
  if (number === null || number === undefined) return "n/a";
  return number < 10000 ? count(number) : new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 }).format(number);
}

export function counted(number, what) {
  return `${count(number)} ${what}${number === 1 ? "" : "s"}`;
}

export function badge(kind, text) {
  const sign = { good: "✓", bad: "✗", mixed: "◐", open: "?", shown: "≠", note: "i" }[kind] || "";
  return el("span", { class: `badge ${kind}` }, el("span", { "aria-hidden": "true" }, sign), " ", text);
}
