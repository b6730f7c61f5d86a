// Keeps a part of a page up to date: fetched again when the service says that something changed.
// What is seen changes soon; what is read aloud changes once a minute.

const SOONEST_MS = 2_000;
const ALOUD_MS = 60_000;
const WITHOUT_EVENTS_MS = 30_000;

/**
 * Follows the service's events. To be called before anything is drawn into the part.
 *
 * @param id       of the part; whoever replaces it keeps the id
 * @param events   names of server-sent events after which it is fetched again
 * @param redrawn  is told when it has been replaced
 */
export function keepLive(id, events, redrawn) {
  let asServed = document.getElementById(id).cloneNode(true);
  let waits = false;
  let last = performance.now();
  let aloudAt = performance.now();

  async function refresh() {
    waits = false;
    last = performance.now();
    const part = document.getElementById(id);
    const next = await fetched(id);
    if (part === null || next === null || next.isEqualNode(asServed) || isUsed(part)) return;
    asServed = next.cloneNode(true);
    keepOpen(part, next);
    keep("[data-keep]", part, next);
    if (performance.now() - aloudAt < ALOUD_MS) keep("[role=status]", part, next);
    else aloudAt = performance.now();
    part.replaceWith(next);
    redrawn(next);
  }

  function soon() {
    if (waits || document.hidden) return;
    waits = true;
    setTimeout(refresh, Math.max(0, last + SOONEST_MS - performance.now()));
  }

  const source = new EventSource("/v1/events");
  for (const name of events) source.addEventListener(name, soon);
  document.addEventListener("visibilitychange", soon);
  setInterval(() => {
    if (source.readyState !== EventSource.OPEN) soon();
  }, WITHOUT_EVENTS_MS);
}

async function fetched(id) {
  try {
    const response = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!response.ok) return null;
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    return document.adoptNode(page.getElementById(id));
  } catch {
    return null; // The connection is down: what is shown stays, with its time.
  }
}

/** Nothing is pulled away from under a finger, or from where the keyboard is. */
function isUsed(part) {
  return part.contains(document.activeElement) && document.activeElement.matches(":focus-visible");
}

function keepOpen(part, next) {
  const before = part.querySelectorAll("details");
  next.querySelectorAll("details").forEach((each, place) => {
    each.open = before[place]?.open ?? each.open;
  });
}

/** What is wired stays itself; a live region goes on saying what it said. */
function keep(selector, part, next) {
  const before = part.querySelector(selector);
  if (before) next.querySelector(selector)?.replaceWith(before);
}
