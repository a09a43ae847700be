// Shows how the sessions stand when that has changed, without a reload. The server says when to ask.

const LEAST = 60; // Seconds from one look to the next.
const JITTER = 30; // Seconds: not everyone asks at the same moment.
let due;

const partsOf = (page) => [...page.querySelectorAll("[data-live]")];
const namesOf = (parts) => parts.map((part) => part.dataset.live).join();
const handlesOf = (part) => [...part.querySelectorAll("a, summary")];

function wait(seconds) {
  due = Date.now() + 1000 * seconds;
  setTimeout(lookIfDue, 1000 * (seconds + 1 + Math.random() * JITTER));
}

function replace(part, fresh) {
  fresh.querySelector("details")?.toggleAttribute("open", part.querySelector("details[open]") !== null);
  if (part.isEqualNode(fresh)) return;
  const held = handlesOf(part).indexOf(document.activeElement);
  part.replaceWith(fresh);
  handlesOf(fresh)[held]?.focus({ preventScroll: true });
}

async function read() {
  const answer = await fetch(location.href);
  return { ok: answer.ok, status: answer.status, text: await answer.text() };
}

async function look() {
  due = Infinity;
  const answer = await read().catch(() => null);
  if (!answer) return wait(LEAST); // A phone that has just woken up has no network yet.
  if (answer.status === 404) return location.reload();
  if (!answer.ok) return wait(10 * LEAST);
  const page = new DOMParser().parseFromString(answer.text, "text/html");
  const [parts, fresh] = [partsOf(document), partsOf(page)];
  if (namesOf(parts) !== namesOf(fresh)) return location.reload();
  parts.forEach((part, number) => replace(part, fresh[number]));
  const next = page.querySelector("[data-seconds]");
  if (next) wait(Math.max(LEAST, Number(next.dataset.seconds)));
}

function lookIfDue() {
  if (!document.hidden && Date.now() >= due) look();
}

// Nobody looks at a hidden page; whoever comes back to it sees what holds then.
document.addEventListener("visibilitychange", lookIfDue);
wait(Number(document.querySelector("[data-seconds]").dataset.seconds));
