// The matrix of tasks and sides, with filters, search and sorting, which the address bar keeps.

import { badge, count, counted, el, ms, section } from "./dom.js";
import { median, percentile, sideName, store, string } from "./data.js";
import { address, keep } from "./address.js";

const PAGE = 60;
const FILTERS = {
  all: ["all", () => true],
  failed: ["failed", (row) => row.passed < row.total],
  errors: ["errors", (row) => row.errors > 0],
  different: ["different", (row) => row.different],
};
const SORTS = {
  suite: ["in the suite's order", (a, b) => a.order - b.order],
  name: ["by name", (a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : a.order - b.order)],
  passed: ["fewest passes first", (a, b) => a.passed / a.total - b.passed / b.total || a.order - b.order],
  slow: ["slowest first", (a, b) => b.slowest - a.slowest || a.order - b.order],
  spread: ["most unlike times first", (a, b) => b.spread - a.spread || a.order - b.order],
};

/** Return the rows that a state of the address bar asks for, and what is wrong with its expression. */
export function chosenRows(state) {
  const [, keeps] = FILTERS[state.filter] || FILTERS.all;
  let matches = () => true;
  let fault = "";
  if (state.q && state.re) {
    try {
      const expression = new RegExp(state.q, "iu");
      matches = (row) => expression.test(row.text);
    } catch (error) {
      fault = error.message;
      matches = () => false;
    }
  } else if (state.q) {
    const text = state.q.toLowerCase();
    matches = (row) => row.lower.includes(text);
  }
  const rows = store.rows.filter((row) => keeps(row) && matches(row));
  return { rows: rows.sort((SORTS[state.sort] || SORTS.suite)[1]), fault };
}

export function matrix(state) {
  const body = el("tbody", {});
  const live = el("p", { id: "found", role: "status" });
  const more = el("button", { type: "button", hidden: true });
  let shown = PAGE;

  function draw() {
    const { rows, fault } = chosenRows(state);
    body.replaceChildren(...rows.slice(0, shown).map(rowOf));
    live.textContent = fault ? `Not a regular expression: ${fault}` : `${counted(rows.length, "row")} of ${count(store.rows.length)}`;
    more.hidden = rows.length <= shown;
    more.textContent = `Show ${count(Math.min(PAGE, rows.length - shown))} more`;
    for (const button of filters.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.value === (state.filter || "all")));
  }

  function change(values) {
    Object.assign(state, values);
    shown = PAGE;
    keep(state);
    draw();
  }

  more.addEventListener("click", () => {
    shown += PAGE;
    draw();
  });
  const filters = el("div", { class: "filters", role: "group", "aria-label": "Which rows" }, Object.entries(FILTERS).map(([name, [text, keeps]]) =>
    el("button", { type: "button", value: name, on: { click: () => change({ filter: name === "all" ? "" : name }) } }, `${text} `, el("span", { class: "number" }, count(store.rows.filter(keeps).length)))));
  const search = el("input", { type: "search", id: "search", placeholder: "task, tool, answer, error…", on: { input: (event) => change({ q: event.target.value }) } });
  search.value = state.q || "";
  const regular = el("input", { type: "checkbox", id: "re", on: { change: (event) => change({ re: event.target.checked ? "1" : "" }) } });
  regular.checked = Boolean(state.re);
  const sort = el("select", { id: "sort", on: { change: (event) => change({ sort: event.target.value === "suite" ? "" : event.target.value }) } }, Object.entries(SORTS).map(([name, [text]]) => el("option", { value: name }, text)));
  sort.value = state.sort || "suite";
  const wide = store.data.sides.map((_, side) => el("th", { scope: "col" }, sideName(side)));
  const drawn = section("matrix", "Tasks and sides", "Different are the rows in which the sides do not agree. A cell opens its runs.",
    el("div", { class: "controls" }, filters, el("label", { for: "search" }, "Search"), search, el("label", { class: "check" }, regular, " regular expression"), el("label", { for: "sort" }, "Order"), sort),
    live,
    el("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": "Matrix of tasks and sides" },
      el("table", { class: "matrix", "aria-label": "Tasks and sides" }, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "task"), wide)), body)),
    more);
  draw();
  return drawn;
}

function rowOf(row) {
  const task = store.data.tasks[row.task];
  const extra = [string(row.fault), string(row.perturb)].filter(Boolean).join(", ");
  return el("tr", {},
    el("th", { scope: "row" }, el("span", { class: "task" }, row.id), extra ? el("span", { class: "extra" }, extra) : null, task.description ? el("span", { class: "quiet" }, task.description) : null),
    store.data.sides.map((_, side) => el("td", {}, row.sides.has(side) ? cellOf(row, side, row.sides.get(side)) : el("span", { class: "quiet" }, "not run"))));
}

function cellOf(row, side, cells) {
  const c = store.columns;
  const passed = cells.filter((at) => c.passed[at]);
  const times = passed.map((at) => c.total[at]).filter((value) => value !== null);
  const kinds = [...new Set(cells.map((at) => string(c.kind[at])).filter(Boolean))];
  const tokens = cells.map((at) => (c.input[at] === null && c.output[at] === null ? null : (c.input[at] || 0) + (c.output[at] || 0))).filter((value) => value !== null);
  const verdicts = [...new Set(cells.map((at) => string(c.verdict[at])).filter(Boolean))];
  const kind = passed.length === cells.length ? "good" : passed.length ? "mixed" : "bad";
  const first = cells.find((at) => !c.passed[at]) ?? cells[0];
  return el("a", { class: `cell ${kind}`, href: address({ view: "cell", task: row.id, side: sideName(side), repeat: c.repeat[first] || null, fault: string(row.fault), perturb: string(row.perturb) }) },
    badge(kind, `${passed.length}/${cells.length}`),
    el("span", { class: "facts" },
      times.length ? el("span", {}, `${ms(median(times))}`, times.length > 1 ? el("span", { class: "quiet" }, ` p95 ${ms(percentile(times, 0.95))}`) : null) : null,
      tokens.length ? el("span", { class: "quiet" }, `${count(Math.round(median(tokens)))} tokens`) : null,
      kinds.length ? el("span", { class: "kinds" }, kinds.join(", ")) : null,
      verdicts.length ? el("span", {}, verdicts.join(", ")) : null));
}
