// A diff of lines, and JSON as lines.

const MAX_LINES = 3000;

/** The lines of a body: JSON with its keys in order, any other text as it is. */
export function lines(text) {
  try {
    return JSON.stringify(ordered(JSON.parse(text)), null, 2).split("\n");
  } catch {
    return text.replace(/([[{,])(?=["{[])/g, "$1\n").split("\n");
  }
}

export function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function ordered(value) {
  if (Array.isArray(value)) return value.map(ordered);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, ordered(value[key])]));
}

/** Ids of calls by the order in which they come: they differ from run to run and mean nothing. */
export function withoutIds(text) {
  const seen = new Map();
  return text.replace(/"((?:call|toolu|chatcmpl|msg|resp|fc)[_-][A-Za-z0-9_-]{4,80})"/g, (_, id) => {
    if (!seen.has(id)) seen.set(id, `id ${seen.size + 1}`);
    return `"${seen.get(id)}"`;
  });
}

/** Return [" " | "-" | "+", line] of the difference of two lists of lines. */
export function diffLines(left, right) {
  let start = 0;
  while (start < left.length && start < right.length && left[start] === right[start]) start += 1;
  let end = 0;
  while (end < left.length - start && end < right.length - start && left[left.length - 1 - end] === right[right.length - 1 - end]) end += 1;
  const a = left.slice(start, left.length - end);
  const b = right.slice(start, right.length - end);
  const middle = a.length > MAX_LINES || b.length > MAX_LINES || a.length * b.length > 4e6
    ? [...a.map((line) => ["-", line]), ...b.map((line) => ["+", line])]
    : common(a, b);
  return [...left.slice(0, start).map((line) => [" ", line]), ...middle, ...left.slice(left.length - end).map((line) => [" ", line])];
}

function common(a, b) {
  const width = b.length + 1;
  const lengths = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      lengths[i * width + j] = a[i] === b[j]
        ? lengths[(i + 1) * width + j + 1] + 1
        : Math.max(lengths[(i + 1) * width + j], lengths[i * width + j + 1]);
    }
  }
  const found = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      found.push([" ", a[i]]);
      i += 1;
      j += 1;
    } else if (j >= b.length || (i < a.length && lengths[(i + 1) * width + j] >= lengths[i * width + j + 1])) {
      found.push(["-", a[i]]);
      i += 1;
    } else {
      found.push(["+", b[j]]);
      j += 1;
    }
  }
  return found;
}

/** The difference with three lines around each change; null stands for lines that are left out. */
export function withContext(difference, around = 3) {
  const near = new Set();
  difference.forEach(([sign], at) => {
    if (sign !== " ") for (let one = at - around; one <= at + around; one += 1) near.add(one);
  });
  const found = [];
  difference.forEach((line, at) => {
    if (near.has(at)) found.push(line);
    else if (found.length === 0 || found[found.length - 1] !== null) found.push(null);
  });
  return found;
}
