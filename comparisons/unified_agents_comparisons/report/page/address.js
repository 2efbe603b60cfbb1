// The state of the view, in the address bar.

/** Return the part of the address that stands for a state. */
export function address(state) {
  const kept = Object.entries(state).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return `#${new URLSearchParams(kept.map(([name, value]) => [name, String(value)]))}`;
}

export function readAddress() {
  return Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
}

/** Keep a state in the address bar without a step back to the one before. */
export function keep(state) {
  history.replaceState(null, "", address(state));
}
