// Adds the visitor's own time next to each session's time, if their time zone differs.

const [language] = document.documentElement.lang.split("-");

function clock(moment, timeZone) {
  const options = { hour: "numeric", minute: "2-digit", hour12: true, timeZone };
  return new Intl.DateTimeFormat(language, options).format(moment).replace(/\s/g, "\u00a0");
}

function day(moment, timeZone) {
  const options = { weekday: "long", month: "long", day: "numeric", timeZone };
  return new Intl.DateTimeFormat(language, options).format(moment);
}

function zoneName(moment) {
  // As in the US: "es" alone has no names for the zones there.
  const format = new Intl.DateTimeFormat(`${language}-US`, { timeZoneName: "short" });
  const parts = format.formatToParts(moment);
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
  const values = {
    starts: `${dayUnlessSame(starts, zone)}${clock(starts)}`,
    ends: `${clock(ends)}${endDay}`,
    zone: zoneName(starts),
  };
  yours.textContent = time.dataset.yours.replace(/{(\w+)}/g, (_match, name) => values[name]);
  time.after(" ", yours);
}
