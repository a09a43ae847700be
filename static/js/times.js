// Adds the visitor's own time next to each session's time, if their time zone differs.

const language = "en-US";

function clock(moment, timeZone) {
  const time = new Intl.DateTimeFormat(language, { hour: "numeric", minute: "2-digit", timeZone });
  return time.format(moment).replace(/\s/g, " ");
}

function day(moment, timeZone) {
  const options = { weekday: "long", month: "long", day: "numeric", timeZone };
  return new Intl.DateTimeFormat(language, options).format(moment);
}

function zoneName(moment) {
  const parts = new Intl.DateTimeFormat(language, { timeZoneName: "short" }).formatToParts(moment);
  return parts.find((part) => part.type === "timeZoneName").value;
}

function looksTheSame(moment, timeZone) {
  try {
    return day(moment) === day(moment, timeZone) && clock(moment) === clock(moment, timeZone);
  } catch {
    return false; // This browser doesn't know the time zone.
  }
}

function dayUnlessSame(moment, timeZone) {
  try {
    return day(moment) === day(moment, timeZone) ? "" : `${day(moment)}, `;
  } catch {
    return `${day(moment)}, `;
  }
}

for (const time of document.querySelectorAll("time[data-ends]")) {
  const starts = new Date(time.dateTime);
  const ends = new Date(time.dataset.ends);
  const { zone } = time.dataset;
  if (looksTheSame(starts, zone) && looksTheSame(ends, zone)) continue;
  const endDay = day(starts) === day(ends) ? "" : ` (${day(ends).split(",")[0]})`;
  const yours = document.createElement("span");
  yours.className = "yours";
  yours.textContent =
    `${dayUnlessSame(starts, zone)}${clock(starts)} to ${clock(ends)}${endDay} ` +
    `your time (${zoneName(starts)})`;
  time.after(" ", yours);
}
