// The data of this page, and statistics over its cells.

export const store = { data: null, columns: null, bodies: null, rows: [] };

async function unpack(id) {
  const holder = document.getElementById(id);
  const bytes = Uint8Array.from(atob(holder.textContent), (one) => one.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

export async function load() {
  store.data = await unpack("data");
  store.columns = store.data.cells;
  store.rows = makeRows();
}

/** The bodies of a cell; read when the first is asked for. Null where the page carries none of it. */
export async function bodiesOf(cell) {
  if (store.bodies === null) store.bodies = await unpack("bodies");
  return store.bodies.cells[String(cell)] || null;
}

export function textOf(number) {
  if (number === null || number === undefined) return "";
  return store.bodies.texts[number].map((piece) => store.bodies.pieces[piece]).join("");
}

export function string(number) {
  return number < 0 ? null : store.data.strings[number];
}

export function sideName(number) {
  const side = store.data.sides[number];
  return `${side.backend}, ${side.handling}`;
}

export function cellsOfSide(side) {
  const found = [];
  for (let at = 0; at < store.columns.side.length; at += 1) if (store.columns.side[at] === side) found.push(at);
  return found;
}

/** A row for each task, fault and negative control, with its cells by side. */
function makeRows() {
  const c = store.columns;
  const rows = new Map();
  for (let at = 0; at < c.task.length; at += 1) {
    const key = `${c.task[at]} ${c.fault[at]} ${c.perturb[at]}`;
    if (!rows.has(key)) {
      rows.set(key, { order: rows.size, task: c.task[at], fault: c.fault[at], perturb: c.perturb[at], sides: new Map(), text: "" });
    }
    const row = rows.get(key);
    if (!row.sides.has(c.side[at])) row.sides.set(c.side[at], []);
    row.sides.get(c.side[at]).push(at);
  }
  return [...rows.values()].map(describe);
}

function describe(row) {
  const c = store.columns;
  const task = store.data.tasks[row.task];
  const texts = new Set([task.id, task.description, string(row.fault) || "", string(row.perturb) || ""]);
  const outcomes = new Set();
  let passed = 0;
  let total = 0;
  let errors = 0;
  const medians = [];
  for (const cells of row.sides.values()) {
    const here = new Set();
    const times = [];
    for (const at of cells) {
      total += 1;
      passed += c.passed[at];
      if (c.kind[at] >= 0) errors += 1;
      here.add(`${c.passed[at]} ${c.what[at]} ${c.verdict[at]}`);
      if (c.passed[at] && c.total[at] !== null) times.push(c.total[at]);
      texts.add(string(c.what[at]) || "").add(string(c.answer[at]) || "").add(string(c.kind[at]) || "");
      for (const name of c.calls[at]) texts.add(string(name));
    }
    outcomes.add([...here].sort().join("|"));
    if (times.length) medians.push(median(times));
  }
  row.id = task.id;
  row.passed = passed;
  row.total = total;
  row.errors = errors;
  row.different = outcomes.size > 1;
  row.slowest = medians.length ? Math.max(...medians) : 0;
  row.spread = medians.length > 1 ? Math.max(...medians) / Math.max(1, Math.min(...medians)) : 0;
  row.text = [...texts].join("\n");
  row.lower = row.text.toLowerCase();
  return row;
}

export function median(values) {
  if (!values.length) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export function percentile(values, share) {
  if (!values.length) return null;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length - 1e-12) - 1)];
}

export function mean(values) {
  return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null;
}

export function wilson(passed, total) {
  if (!total) return { estimate: 0, low: 0, high: 1 };
  const z = 1.959963984540054;
  const share = passed / total;
  const bound = 1 + (z * z) / total;
  const centre = (share + (z * z) / (2 * total)) / bound;
  const half = (z / bound) * Math.sqrt((share * (1 - share)) / total + (z * z) / (4 * total * total));
  return { estimate: share, low: Math.max(0, centre - half), high: Math.min(1, centre + half) };
}

/** How likely all of k drawn repeats are among so many, without repetition: C(some, k) / C(total, k). */
export function allOf(some, total, k) {
  let share = 1;
  for (let at = 0; at < k; at += 1) share *= Math.max(0, some - at) / (total - at);
  return share;
}

export function mcnemar(one, other) {
  const n = one + other;
  if (!n) return 1;
  let term = -n * Math.LN2;
  let sum = 0;
  for (let k = 0; k <= Math.min(one, other); k += 1) {
    sum += Math.exp(term);
    term += Math.log((n - k) / (k + 1));
  }
  return Math.min(1, 2 * sum);
}

export function holm(values) {
  const order = values.map((p, at) => [p, at]).sort((a, b) => a[0] - b[0]);
  const adjusted = new Array(values.length);
  let least = 0;
  order.forEach(([p, at], rank) => {
    least = Math.max(least, Math.min(1, p * (values.length - rank)));
    adjusted[at] = least;
  });
  return adjusted;
}
