// Every number that the report claims, computed anew from the cells that the page carries.

import { allOf, cellsOfSide, holm, mcnemar, mean, median, percentile, sideName, store, wilson } from "./data.js";
import { CLASSIC_FIGURES } from "./classic.js";
import { tracedSide } from "./native_tracing.js";

const ALPHA = 0.05;

function near(claimed, computed) {
  if (claimed === null || claimed === undefined || computed === null || computed === undefined) return (claimed ?? null) === (computed ?? null);
  return Math.abs(claimed - computed) <= 1e-3 * Math.max(Math.abs(claimed), Math.abs(computed)) + 2e-6;
}

/** Return what was checked, and which claims do not match. */
export function checkClaims() {
  const found = { checked: 0, wrong: [] };
  const check = (what, claimed, computed) => {
    found.checked += 1;
    if (!near(claimed, computed)) found.wrong.push({ what, claimed, computed });
  };
  store.data.claims.groups.forEach((group, side) => checkGroup(group, side, check));
  checkTests(store.data.claims.tests, check);
  checkTracing(store.data.claims.tracing, check);
  checkClassic(check);
  return found;
}

function sumOf(cells, column) {
  const known = cells.map((at) => column[at]).filter((value) => value !== null);
  return known.length ? known.reduce((sum, value) => sum + value, 0) : null;
}

function checkGroup(group, side, check) {
  const c = store.columns;
  const cells = cellsOfSide(side);
  const judged = cells.filter((at) => !c.infrastructure[at]);
  const timed = cells.filter((at) => c.passed[at] && c.total[at] !== null);
  const seconds = (column) => timed.map((at) => column[at]).filter((value) => value !== null).map((value) => value / 1e6);
  const say = (what, claimed, computed) => check(`${sideName(side)}: ${what}`, claimed, computed);
  const passes = judged.filter((at) => c.passed[at]).length;
  const rate = wilson(passes, judged.length);
  say("passed", group.passed, cells.filter((at) => c.passed[at]).length);
  say("runs", group.total, cells.length);
  say("failures of the infrastructure", group.infrastructure, cells.length - judged.length);
  say("pass rate", group.pass_rate.estimate, rate.estimate);
  say("pass rate, lower end", group.pass_rate.low, rate.low);
  say("pass rate, upper end", group.pass_rate.high, rate.high);
  say("timed runs", group.timed, timed.length);
  say("median total", group.seconds && group.seconds.estimate, median(seconds(c.total)));
  say("95th percentile of total", group.p95, percentile(seconds(c.total), 0.95));
  say("median overhead", group.overhead && group.overhead.estimate, median(seconds(c.overhead)));
  say("median time to the first token", group.first_token && group.first_token.estimate, median(seconds(c.first_token)));
  say("requests", group.requests, sumOf(cells, c.requests) || 0);
  say("retries", group.retries, sumOf(cells, c.retries) || 0);
  say("request bytes", group.request_bytes, cells.reduce((sum, at) => sum + c.bytes[at].reduce((a, b) => a + b, 0), 0));
  say("input tokens", group.usage.input_tokens, sumOf(cells, c.input));
  say("output tokens", group.usage.output_tokens, sumOf(cells, c.output));
  say("cached tokens", group.usage.cached_input_tokens, sumOf(cells, c.cached));
  say("tokens written into the cache", group.usage.cache_write_tokens, sumOf(cells, c.written));
  say("reasoning tokens", group.usage.reasoning_tokens, sumOf(cells, c.reasoning));
  say("cost", group.cost, sumOf(cells, c.cost));
  say("runs without a known cost", group.unpriced, cells.filter((at) => c.cost[at] === null && c.requests[at] > 0).length);
  const tasks = byTask(judged);
  for (const one of group.consistency) {
    say(`pass^${one.k}`, one.all, mean(tasks.map(([passed, total]) => allOf(passed, total, one.k))));
    say(`pass@${one.k}`, one.any, mean(tasks.map(([passed, total]) => 1 - allOf(total - passed, total, one.k))));
  }
}

function checkTracing(rows, check) {
  for (const row of rows) {
    const say = (what, claimed, computed) => check(`${sideName(row.side)}: own tracing: ${what}`, claimed, computed);
    const { numbers, cpu, gaps } = tracedSide(row.side);
    for (const [name, computed] of Object.entries(numbers)) say(name.replaceAll("_", " "), row[name], computed);
    say("CPU", row.cpu && row.cpu.estimate, cpu);
    const told = Object.fromEntries(row.gaps.map((gap) => [gap.kind, gap.runs]));
    for (const [kind, cells] of Object.entries(gaps)) say(kind.replaceAll("_", " "), told[kind] ?? 0, cells.length);
  }
}

function checkClassic(check) {
  for (const row of store.data.classic) {
    const compute = CLASSIC_FIGURES[row.key];
    if (!compute) continue;
    row.figures.forEach((claimed, side) => claimed.forEach((figure, at) => check(`${sideName(side)}: ${row.what}: ${row.how}`, figure, compute(side)[at])));
  }
}

function byTask(cells) {
  const c = store.columns;
  const found = new Map();
  for (const at of cells) {
    if (!found.has(c.task[at])) found.set(c.task[at], [0, 0]);
    found.get(c.task[at])[0] += c.passed[at];
    found.get(c.task[at])[1] += 1;
  }
  return [...found.values()];
}

/** Pairs of runs of the same task and repeat on two sides. */
export function pairsOf(left, right) {
  const c = store.columns;
  const key = (at) => `${c.task[at]} ${c.repeat[at]}`;
  const theirs = new Map(cellsOfSide(right).map((at) => [key(at), at]));
  return cellsOfSide(left)
    .filter((at) => theirs.has(key(at)))
    .map((at) => [at, theirs.get(key(at))])
    .filter(([one, other]) => !c.infrastructure[one] && !c.infrastructure[other]);
}

function checkTests(tests, check) {
  const c = store.columns;
  const looks = store.data.head.looks;
  const counted = [];
  for (const test of tests) {
    const pairs = pairsOf(test.left, test.right);
    const name = `${sideName(test.left)} against ${sideName(test.right)}, ${test.metric}`;
    let informative;
    if (test.metric === "passed") {
      const above = pairs.filter(([one, other]) => c.passed[one] > c.passed[other]).length;
      const below = pairs.filter(([one, other]) => c.passed[one] < c.passed[other]).length;
      informative = above + below;
      check(`${name}: pairs`, test.pairs, pairs.length);
      check(`${name}: effect`, test.effect.estimate, (above - below) / pairs.length);
      check(`${name}: p`, test.p, mcnemar(above, below));
    } else {
      const column = c[test.metric];
      const timed = pairs.filter(([one, other]) => c.passed[one] && c.passed[other] && column[one] && column[other]);
      const tasks = new Map();
      for (const [one, other] of timed) {
        if (!tasks.has(c.task[one])) tasks.set(c.task[one], []);
        tasks.get(c.task[one]).push(Math.log(column[one] / column[other]));
      }
      informative = timed.length;
      check(`${name}: pairs`, test.pairs, timed.length);
      check(`${name}: effect`, test.effect.estimate, Math.expm1(mean([...tasks.values()].map(mean))));
    }
    if (Math.min(1, 2 ** (1 - informative)) * looks <= ALPHA) counted.push([test, name]);
    else check(`${name}: adjusted p`, test.p_adjusted, 1);
  }
  const adjusted = holm(counted.map(([test]) => Math.min(1, test.p * looks)));
  counted.forEach(([test, name], at) => {
    check(`${name}: adjusted p`, test.p_adjusted, adjusted[at]);
    check(`${name}: difference shown`, Number(test.shown), Number(adjusted[at] < ALPHA));
  });
}
