// Updates the sessions on the page without a reload, at the moments that the server names.

const MIN_WAIT = 60; // Seconds from one check to the next.
const JITTER = 30; // Seconds, to spread the load.
let due;

const partsOf = (page) => [...page.querySelectorAll("[data-refresh]")];
const namesOf = (parts) => parts.map((part) => part.dataset.refresh).join();
const focusablesOf = (part) => [...part.querySelectorAll("a, summary")];

function wait(seconds) {
  due = Date.now() + 1000 * seconds;
  setTimeout(checkIfDue, 1000 * (seconds + 1 + Math.random() * JITTER));
}

function replace(part, fresh) {
  fresh.querySelector("details")?.toggleAttribute("open", part.querySelector("details[open]") !== null);
  if (part.isEqualNode(fresh)) return;
  const focused = focusablesOf(part).indexOf(document.activeElement);
  part.replaceWith(fresh);
  focusablesOf(fresh)[focused]?.focus({ preventScroll: true });
}

async function read() {
  const response = await fetch(location.href);
  return { ok: response.ok, status: response.status, text: await response.text() };
}

async function check() {
  due = Infinity;
  const answer = await read().catch(() => null);
  if (!answer) return wait(MIN_WAIT); // A phone that just woke up has no network yet.
  if (answer.status === 404) return location.reload();
  if (!answer.ok) return wait(10 * MIN_WAIT);
  const page = new DOMParser().parseFromString(answer.text, "text/html");
  const [parts, fresh] = [partsOf(document), partsOf(page)];
  if (namesOf(parts) !== namesOf(fresh)) return location.reload();
  parts.forEach((part, number) => replace(part, fresh[number]));
  const next = page.querySelector("[data-seconds]");
  if (next) wait(Math.max(MIN_WAIT, Number(next.dataset.seconds)));
}

function checkIfDue() {
  if (!document.hidden && Date.now() >= due) check();
}

// A hidden page is not updated until someone comes back to it.
document.addEventListener("visibilitychange", checkIfDue);
wait(Number(document.querySelector("[data-seconds]").dataset.seconds));
