// Counts down to the opening of the doors and then asks the server, which knows.

const countdown = document.getElementById("countdown");
const said = document.getElementById("countdown-said");
const total = Number(countdown.dataset.seconds);
const JITTER = 2; // Seconds: not everyone knocks at the same moment.
const started = { ticks: performance.now(), clock: Date.now() };
let lastSaid = null;
let knocking = false;

function remaining() {
  return total - (performance.now() - started.ticks) / 1000;
}

function digits(seconds) {
  const [days, hours, minutes, rest] = [
    Math.floor(seconds / 86400),
    Math.floor(seconds / 3600) % 24,
    Math.floor(seconds / 60) % 60,
    seconds % 60,
  ];
  const two = (number) => String(number).padStart(2, "0");
  if (days) return `${days} d ${hours} h ${two(minutes)} min`;
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${two(minutes)}:${two(rest)}`;
}

// A screen reader hears of it at these moments, and not every second.
function say(seconds) {
  const minutes = [1, 5, 10, 15, 30, 60].find((each) => seconds <= each * 60);
  if (minutes === undefined || minutes === lastSaid) return;
  const passedOne = lastSaid !== null;
  lastSaid = minutes;
  if (passedOne) said.textContent = `The doors open in ${minutes} minute${minutes === 1 ? "" : "s"}.`;
}

function knock() {
  if (knocking) return;
  knocking = true;
  countdown.textContent = "One moment";
  setTimeout(() => location.reload(), 1000 * Math.random() * JITTER);
}

function tick() {
  const seconds = Math.ceil(remaining());
  if (seconds <= 0) return knock();
  countdown.textContent = digits(seconds);
  say(seconds);
  setTimeout(tick, 1000 * (remaining() - seconds + 1));
}

// While a device sleeps, timers rest and the monotonic clock may too; the wall clock does not.
document.addEventListener("visibilitychange", () => {
  const elapsed = Math.max(performance.now() - started.ticks, Date.now() - started.clock) / 1000;
  if (!document.hidden && elapsed >= total) knock();
});

countdown.hidden = false;
tick();
