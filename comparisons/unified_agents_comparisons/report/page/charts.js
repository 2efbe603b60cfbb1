// Distributions and the waterfall, drawn as SVG.

import { el, ms, svg, table } from "./dom.js";
import { cellsOfSide, median, percentile, sideName, store } from "./data.js";

export const MEASURES = {
  total: "Total time",
  overhead: "Overhead",
  first_token: "Time to the first token",
};

const COLOURS = 10;

function valuesOf(side, measure) {
  const c = store.columns;
  return cellsOfSide(side)
    .filter((at) => c.passed[at] && c[measure][at] !== null)
    .map((at) => Math.max(c[measure][at], 1));
}

/** The look of a side: the colour of its backend, and dashes for `native`. */
function look(side) {
  const { backend, handling } = store.data.sides[side];
  const backends = [...new Set(store.data.sides.map((one) => one.backend))];
  return `colour-${backends.indexOf(backend) % COLOURS}${handling === "native" ? " native" : ""}`;
}

export function hasValues(measure) {
  return store.data.sides.some((_, side) => valuesOf(side, measure).length > 0);
}

function scale(all, from, to) {
  const low = Math.min(...all.map((values) => Math.min(...values.slice(0, 1), percentile(values, 0))));
  const high = Math.max(...all.map((values) => percentile(values, 0.99)));
  const first = Math.log10(low * 0.95);
  const last = Math.log10(Math.max(high * 1.05, low * 1.2));
  const place = (value) => from + (Math.min(Math.max((Math.log10(value) - first) / (last - first), 0), 1)) * (to - from);
  return { place, ticks: ticks(10 ** first, 10 ** last) };
}

function ticks(low, high) {
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) {
    for (const digit of [1, 2, 5]) {
      const value = digit * 10 ** power;
      if (value >= low && value <= high) found.push(value);
    }
  }
  if (found.length < 2) {
    const step = (high - low) / 4;
    return [1, 2, 3].map((at) => low + at * step);
  }
  while (found.length > 7) for (let at = found.length - 2; at > 0; at -= 2) found.splice(at, 1);
  return found;
}

function axis(ticksOf, place, top, bottom) {
  return ticksOf.map((value) => svg("g", { class: "tick" },
    svg("line", { x1: place(value), x2: place(value), y1: top, y2: bottom }),
    svg("text", { x: place(value), y: bottom + 16, "text-anchor": "middle" }, ms(value))));
}

/** A chart in a region of its own: on a narrow screen it keeps its size, so that its words can be read. */
function chart(label, height, ...children) {
  return el("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": label },
    svg("svg", { class: "chart", viewBox: `0 0 640 ${height}`, role: "img", "aria-label": `${label}; the table below has the numbers` }, children));
}

/** The share of runs that took at most so long, a line for each side. */
export function ecdf(measure) {
  const sides = store.data.sides.map((_, side) => [side, valuesOf(side, measure).sort((a, b) => a - b)]).filter(([, values]) => values.length);
  const { place, ticks: at } = scale(sides.map(([, values]) => values), 44, 620);
  const height = (share) => 200 - share * 185;
  const shares = [0, 0.25, 0.5, 0.75, 1].map((share) => svg("g", { class: "tick" },
    svg("line", { x1: 44, x2: 620, y1: height(share), y2: height(share) }),
    svg("text", { x: 38, y: height(share) + 4, "text-anchor": "end" }, `${100 * share} %`)));
  const paths = sides.map(([side, values]) => {
    const points = thinned(values).map(([value, share]) => `H${place(value).toFixed(1)}V${height(share).toFixed(1)}`);
    return svg("path", { class: `line ${look(side)}`, "data-side": side, d: `M${place(values[0]).toFixed(1)} ${height(0)}${points.join("")}H620` }, svg("title", {}, sideName(side)));
  });
  const figure = el("figure", {},
    chart(`${MEASURES[measure]}: share of runs that took at most so long`, 224, shares, axis(at, place, 15, 200), paths),
    el("figcaption", {}, `${MEASURES[measure]}: share of runs that took at most so long`), legend(sides.map(([side]) => side), (side) => emphasise(figure, side)));
  return figure;
}

/** Draw the line of one side above the others, which fade; the same side again shows all alike. */
function emphasise(figure, side) {
  const chosen = figure.dataset.chosen === String(side) ? "" : String(side);
  figure.dataset.chosen = chosen;
  for (const line of figure.querySelectorAll("path.line")) {
    line.classList.toggle("faded", chosen !== "" && line.dataset.side !== chosen);
    if (line.dataset.side === chosen) line.parentNode.append(line);
  }
  for (const button of figure.querySelectorAll(".legend button")) button.setAttribute("aria-pressed", String(button.value === chosen));
}

function thinned(values) {
  const step = Math.max(1, Math.floor(values.length / 300));
  return values.map((value, at) => [value, (at + 1) / values.length]).filter((_, at) => at % step === 0 || at === values.length - 1);
}

function legend(sides, choose) {
  return el("ul", { class: "legend", "aria-label": "Choose a side to see its line alone" }, sides.map((side) => el("li", {},
    el("button", { type: "button", value: side, "aria-pressed": "false", on: { click: () => choose(side) } },
      svg("svg", { viewBox: "0 0 28 10", class: "key", "aria-hidden": "true" }, svg("line", { class: `line ${look(side)}`, x1: 0, x2: 28, y1: 5, y2: 5 })),
      sideName(side)))));
}

/** Box plots: the middle half, the median, and the 5th to the 95th percentile. */
export function boxes(measure) {
  const sides = store.data.sides.map((_, side) => [side, valuesOf(side, measure)]).filter(([, values]) => values.length);
  const { place, ticks: at } = scale(sides.map(([, values]) => values), 160, 620);
  const bottom = 12 + sides.length * 30;
  const rows = sides.map(([side, values], row) => {
    const y = 24 + row * 30;
    const [p5, q1, q2, q3, p95] = [0.05, 0.25, 0.5, 0.75, 0.95].map((share) => place(share === 0.5 ? median(values) : percentile(values, share)));
    return svg("g", { class: `box ${look(side)}` },
      svg("text", { x: 150, y: y + 4, "text-anchor": "end" }, sideName(side)),
      svg("line", { x1: p5, x2: p95, y1: y, y2: y }),
      svg("rect", { x: q1, y: y - 8, width: Math.max(1, q3 - q1), height: 16, rx: 2 }),
      svg("line", { class: "middle", x1: q2, x2: q2, y1: y - 9, y2: y + 9 }));
  });
  const numbers = sides.map(([side, values]) => [sideName(side), values.length, ...[0.05, 0.25].map((share) => ms(percentile(values, share))), ms(median(values)), ...[0.75, 0.95].map((share) => ms(percentile(values, share)))]);
  const head = ["side", "runs", "5 %", "25 %", "median", "75 %", "95 %"].map((text, at) => ({ text, right: at > 0 }));
  return el("figure", {},
    chart(`${MEASURES[measure]}: box plots`, bottom + 24, axis(at, place, 8, bottom), rows),
    el("figcaption", {}, `${MEASURES[measure]}: middle half, median, and 5th to 95th percentile`),
    el("details", {}, el("summary", {}, "The numbers"), table(`${MEASURES[measure]} in numbers`, head, numbers)));
}

const KINDS = { chat: "model", execute_tool: "tool", invoke_agent: "run" };

/** Spans and events by type: how many there are, and how long they took in all. */
function byType(spans) {
  const types = new Map();
  const add = (type, micro, error) => {
    if (!types.has(type)) types.set(type, { count: 0, micro: null, errors: 0 });
    const one = types.get(type);
    one.count += 1;
    one.errors += error ? 1 : 0;
    if (micro !== null && micro !== undefined) one.micro = (one.micro ?? 0) + micro;
  };
  for (const [, name, start, end, error, , events] of spans) {
    add(name.startsWith("execute_tool") ? name : name.split(" ")[0], end === null ? null : end - start, error);
    for (const [event, , micro] of events) add(`event ${event}`, micro, null);
  }
  const rows = [...types].sort(([, a], [, b]) => (b.micro ?? -1) - (a.micro ?? -1)).map(([type, one]) => [type, String(one.count), one.micro === null ? "" : ms(one.micro), String(one.errors)]);
  return table("Spans and events by type", ["type", "count", "total time", "errors"].map((text, at) => ({ text, right: at > 0 })), rows);
}

/** The spans of a run, one below the other. */
export function waterfall(spans) {
  if (!spans.length) return el("p", { class: "quiet" }, "No trace is kept of this run.");
  const last = Math.max(1, ...spans.map((span) => span[3] ?? span[2]));
  const place = (micro) => 210 + (micro / last) * 355;
  const rows = spans.map(([depth, name, start, end, error, , events], row) => {
    const y = 14 + row * 22;
    const kind = KINDS[name.split(" ")[0]] || "other";
    const shown = name.length > 30 - depth ? `${name.slice(0, 29 - depth)}…` : name;
    const marks = events.map(([event, time]) => svg("circle", { class: "event", cx: place(time ?? start), cy: y, r: 4 }, svg("title", {}, `${event} at ${ms(time)}`)));
    return svg("g", { class: `span ${kind}${error ? " failed" : ""}` },
      svg("title", {}, `${name}: ${end === null ? "not ended" : ms(end - start)}${error ? `, error: ${error}` : ""}`),
      svg("text", { x: 4 + depth * 10, y: y + 4 }, shown),
      svg("rect", { x: place(start), y: y - 7, width: Math.max(1.5, place(end ?? last) - place(start)), height: 14, rx: 2 }), marks,
      svg("text", { class: "length", x: 636, y: y + 4, "text-anchor": "end" }, end === null ? "open" : ms(end - start)));
  });
  const numbers = spans.map(([depth, name, start, end, error, attributes, events]) => [
    `${"\u00a0".repeat(depth * 2)}${name}`, ms(start), end === null ? "open" : ms(end - start), error || "",
    events.map(([event, time]) => `${event} at ${ms(time)}`).join("; "),
    Object.entries(attributes).map(([key, value]) => `${key}=${Array.isArray(value) ? value.join(",") : value}`).join("; ")]);
  const head = ["span", "start", "time", "error", "events", "attributes"].map((text, at) => ({ text, right: at === 1 || at === 2 }));
  return el("figure", {},
    el("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": "Waterfall of the run" },
      svg("svg", { class: "waterfall", viewBox: `0 0 640 ${20 + spans.length * 22}`, role: "img", "aria-label": "Waterfall of the run; the table below has the numbers" }, rows)),
    el("details", { open: true }, el("summary", {}, "Spans and events by type"), byType(spans)),
    el("details", {}, el("summary", {}, "Spans and their attributes"), table("Spans of the run", head, numbers)));
}
