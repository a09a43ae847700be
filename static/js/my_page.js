// Updates the sessions on the page without a reload, at the moments that the server names.

const MIN_WAIT = 60; // Seconds from one check to the next.
const MAX_WAIT = 900;
const JITTER = 15; // Seconds, to spread the load.
let due = Infinity;
let failures = 0;

const own = () => document.getElementById("own");
const partsOf = (region) => [...region.querySelectorAll("[data-part]")];
const namesOf = (region) => partsOf(region).map((part) => part.dataset.part).join();
const focusablesOf = (part) => [...part.querySelectorAll("a, summary")];

function wait(seconds) {
  due = Date.now() + 1000 * seconds;
  setTimeout(checkIfDue, 1000 * (seconds + 1 + Math.random() * JITTER));
}

function waitAfterFailure() {
  wait(Math.min(MAX_WAIT, MIN_WAIT * 2 ** failures));
  failures += 1;
}

// What is open stays open, and what has the focus keeps it.
function replace(old, fresh) {
  for (const fold of fresh.querySelectorAll("details[id]")) {
    const before = document.getElementById(fold.id);
    if (before) fold.open = before.open;
  }
  if (old.isEqualNode(fresh)) return;
  const focused = document.activeElement;
  const name = focused.closest("[data-part]")?.dataset.part;
  const within = (region) => region.querySelector(`[data-part="${name}"]`) ?? region;
  const place = old.contains(focused) ? focusablesOf(within(own())).indexOf(focused) : -1;
  old.replaceWith(fresh);
  focusablesOf(within(own()))[place]?.focus({ preventScroll: true });
}

// What a new phase or time is called.
function news(before, part) {
  const time = (each) => each.querySelector("time.when").dateTime;
  if (before?.dataset.phase !== part.dataset.phase) return part.querySelector(".badge").textContent;
  return time(before) === time(part) ? "" : part.querySelector("time.when").textContent;
}

function announce(old, fresh) {
  const announcement = document.getElementById("announcement");
  const said = partsOf(fresh).flatMap((part) => {
    const before = old.querySelector(`[data-part="${part.dataset.part}"]`);
    const text = news(before, part);
    return text ? [`${part.querySelector("h2, h3").textContent}: ${text}`] : [];
  });
  // live.js may have said it at the moment.
  if (said.length && announcement.textContent !== said.join(". ")) announcement.textContent = said.join(". ");
}

async function read() {
  const response = await fetch(location.href);
  return { ok: response.ok, status: response.status, text: await response.text() };
}

async function check() {
  due = Infinity;
  const answer = await read().catch(() => null); // A phone that just woke up has no network yet.
  if (answer?.status === 404) return location.reload();
  if (!answer?.ok) return waitAfterFailure();
  failures = 0;
  const page = new DOMParser().parseFromString(answer.text, "text/html");
  const [old, fresh] = [own(), page.getElementById("own")];
  if (!fresh) return location.reload(); // The registration was canceled.
  announce(old, fresh);
  if (namesOf(old) === namesOf(fresh)) {
    const parts = partsOf(fresh);
    partsOf(old).forEach((part, number) => replace(part, parts[number]));
  } else {
    replace(old, fresh);
  }
  const { seconds } = fresh.dataset;
  if (!seconds) return;
  document.dispatchEvent(new CustomEvent("updated", { detail: page.getElementById("live").dataset.at }));
  wait(Math.max(MIN_WAIT, Number(seconds)));
}

// A hidden page is not updated until someone comes back to it.
function checkIfDue() {
  if (!document.hidden && Date.now() >= due) check();
}

document.addEventListener("visibilitychange", checkIfDue);
addEventListener("pageshow", checkIfDue);
const { seconds } = own().dataset;
if (seconds) wait(Number(seconds));

// Browsers that don't print what is folded.
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")];
  for (const fold of folded) fold.open = true;
});
addEventListener("afterprint", () => {
  for (const fold of folded) fold.open = false;
});
