// Counts down the last hour until the session opens, and then gets the page again: the server decides what is next.

const countdown = document.getElementById("countdown");
const announcement = document.getElementById("countdown-announcement");
const total = Number(countdown.dataset.seconds);
const JITTER = 2; // Seconds, to spread the load.
const started = { ticks: performance.now(), clock: Date.now() };
let lastAnnounced = null;
let reloading = false;

function remaining() {
  return total - (performance.now() - started.ticks) / 1000;
}

function digits(seconds) {
  const two = (number) => String(number).padStart(2, "0");
  return `${two(Math.floor(seconds / 60))}:${two(seconds % 60)}`;
}

// Screen readers announce these moments, not every second.
function announce(seconds) {
  const minutes = [1, 5, 10, 15, 30, 60].find((each) => seconds <= each * 60);
  if (minutes === undefined || minutes === lastAnnounced) return;
  const isLater = lastAnnounced !== null;
  lastAnnounced = minutes;
  const time = new Intl.RelativeTimeFormat(document.documentElement.lang).format(minutes, "minute");
  if (isLater) announcement.textContent = announcement.dataset.text.replace("{time}", time);
}

function reload() {
  if (reloading) return;
  reloading = true;
  countdown.textContent = countdown.dataset.done;
  // Not reload(): if this page answered a form, the browser would ask whether to send it again.
  setTimeout(() => location.replace(location.pathname), 1000 * Math.random() * JITTER);
}

function tick() {
  const seconds = Math.ceil(remaining());
  if (seconds <= 0) return reload();
  // Before the last hour, the server says in how many hours or days.
  if (seconds <= 3600) countdown.textContent = digits(seconds);
  announce(seconds);
  setTimeout(tick, 1000 * (remaining() - seconds + 1));
}

// While a device sleeps, its timers and maybe the monotonic clock stop. The wall clock goes on.
document.addEventListener("visibilitychange", () => {
  const elapsed = Math.max(performance.now() - started.ticks, Date.now() - started.clock) / 1000;
  if (!document.hidden && elapsed >= total) reload();
});

countdown.hidden = false;
tick();
