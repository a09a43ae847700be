// Keeps "Next", "Opens soon", "Open now", "Now" and "Over" right on an open page, by the server's
// clock.

const { at, doors, rows, ...texts } = document.getElementById("live").dataset;
const MINUTE = 60_000;
const SOON = 59.5 * MINUTE; // As SOON_SECONDS in registrations/joining.py.
// Canceled sessions, and organizers' drafts.
const LEFT_OUT = ".struck, [data-draft]";
const LONGEST_WAIT = 60 * MINUTE;
const TIMES = ".when, .yours, .zones";
const band = document.querySelector(".next");
const states = new WeakMap();
let server;
let timer;

// Screen readers say what is written here.
const announcement = document.createElement("p");
announcement.id = "announcement";
announcement.className = "visually-hidden";
announcement.setAttribute("role", "status");
document.body.append(announcement);

function set(moment) {
  server = { moment, ticks: performance.now(), clock: Date.now() };
}

// That the device's clock is wrong doesn't matter. While it sleeps, one of its two may stop.
function now() {
  return server.moment + Math.max(performance.now() - server.ticks, Date.now() - server.clock);
}

// The state, what to call it, and until when.
function stateOf(time, moment) {
  const [starts, ends] = [Date.parse(time.dateTime), Date.parse(time.dataset.ends)];
  const opens = starts - doors * MINUTE;
  if (moment >= ends) return ["over", texts.over, Infinity];
  if (moment >= starts) return ["started", texts.started, ends];
  if (moment >= opens) return ["open", texts.open, starts];
  if (moment < opens - SOON) return ["", "", opens - SOON];
  if (!texts.minutes) return ["soon", texts.soon, opens];
  const minutes = Math.max(1, Math.round((opens - moment) / MINUTE));
  const text = (minutes === 1 ? texts.minute : texts.minutes).replace(/\d+/, minutes);
  return ["soon", text, minutes === 1 ? opens : opens - (minutes - 0.5) * MINUTE];
}

function show(row, state, text) {
  let badge = row.querySelector("[data-state]");
  if (!badge) {
    badge = document.createElement("strong");
    badge.dataset.state = "";
    (row.querySelector(".slot__kind") ?? row).append(" ", badge);
  }
  badge.className = state === "open" || state === "started" ? "badge badge--sun" : "badge";
  if (badge.textContent !== text) badge.textContent = text;
}

function announce(row, state, text) {
  const title = row.querySelector("h1, h2, h3");
  if (title) announcement.textContent = `${title.textContent.trim()}: ${texts[state] ?? text}`;
}

// As `next_to_start` in events/views.py: in the list, and at the top of that session's own page.
function showNext(list) {
  const [row, state] = list.find(([, each]) => each !== "over" && each !== "started") ?? [];
  if (!row || state) return;
  show(row, state, texts.next);
  if (row.querySelector("[aria-current]")) show(document.querySelector(".session"), state, texts.next);
}

// As `next_session` there: the one that is running, or the next.
function showInBand(list) {
  const [row, state] = list.find(([, each]) => each !== "over") ?? [];
  band.hidden = !row;
  if (!row) return;
  const isRunning = state === "started";
  band.querySelector(".next__label").textContent = isRunning ? texts.started : texts.next;
  band.querySelector(".next__join").hidden = !isRunning;
  const [link, shown] = [row, band].map((each) => each.querySelector("a"));
  if (link.href === shown.href) return;
  shown.replaceWith(link.cloneNode(true));
  for (const time of band.querySelectorAll(TIMES)) time.remove();
  const times = [...row.querySelectorAll(TIMES)].map((time) => time.cloneNode(true));
  band.querySelector(".next__title").after(...times);
}

function check() {
  clearTimeout(timer);
  const [moment, seen] = [now(), new Map()];
  let next = moment + LONGEST_WAIT;
  for (const time of document.querySelectorAll("time[data-ends]")) {
    const row = time.closest(rows);
    if (!row || seen.has(row) || row.querySelector(LEFT_OUT)) continue;
    const [state, text, until] = stateOf(time, moment);
    seen.set(row, state);
    next = Math.min(next, until);
    if (text) show(row, state, text);
    if (text && states.has(row) && states.get(row) !== state) announce(row, state, text);
    states.set(row, state);
  }
  const list = [...seen].filter(([row]) => row.matches("li"));
  if (texts.next) showNext(list);
  if (band) showInBand(list);
  timer = setTimeout(check, Math.max(0, next - moment) + 50);
}

// A page from the browser's cache says when it was made, not what time it is.
const isCached = performance.getEntriesByType("navigation")[0]?.transferSize === 0;
set(isCached ? Date.now() : Date.parse(at));
check();
// Timers stop while a device sleeps, and on a page to which "Back" may lead.
document.addEventListener("visibilitychange", check);
addEventListener("pageshow", check);
// By my_page.js.
document.addEventListener("updated", ({ detail }) => {
  set(Date.parse(detail));
  check();
});
