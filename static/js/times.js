// Shows each session's time in the visitor's time zone, or in the one chosen in the form, and the
// event's below it. If the browser doesn't know one of the two, the page stays as it is.

const language = document.documentElement.lang;
const { day: dayText, hours: hoursText, labels: labelsJson } = document.getElementById("times").dataset;
const labels = JSON.parse(labelsJson);
// AREAS and NOT_PLACES in events/timezones.py.
const AREA = "Africa|America|Antarctica|Asia|Atlantic|Australia|Europe|Indian|Pacific";
const PLACE = new RegExp(`^(?:${AREA})/(?:.*/)?((?!North$|South$|West$)[^/]+)$`);
const select = document.querySelector("select[name=time_zone]");

const format = (moment, options) => new Intl.DateTimeFormat(language, options).format(moment);
const fill = (text, values) => text.replace(/{(\w+)}/g, (_match, name) => values[name]);

function clock(moment, timeZone) {
  const options = { hour: "numeric", minute: "2-digit", hour12: true, timeZone };
  return format(moment, options).replace(/\s/g, "\u00a0");
}

function day(moment, timeZone) {
  const [weekday, month, number] = [{ weekday: "long" }, { month: "long" }, { day: "numeric" }].map(
    (part) => format(moment, { ...part, timeZone }),
  );
  return fill(dayText, { weekday, month, day: number });
}

function zoneName(moment, timeZone, timeZoneName) {
  const parts = new Intl.DateTimeFormat("en-US", { timeZone, timeZoneName }).formatToParts(moment);
  return parts.find((part) => part.type === "timeZoneName").value;
}

// As `time_label` in events/timezones.py.
function label(moment, timeZone) {
  const year = moment.getUTCFullYear();
  const names = [0, 6, 12].map((month) => zoneName(new Date(Date.UTC(year, month, 2)), timeZone, "short"));
  const written = labels[`${names[0]}/${names[1]}`];
  if (written && names[2] === names[0]) return written[names.indexOf(zoneName(moment, timeZone, "short"))];
  const [, place] = timeZone.match(PLACE) ?? [];
  if (place) return fill(labels.time, { place: labels[timeZone] ?? place.replaceAll("_", " ") });
  return zoneName(moment, timeZone, "shortOffset").replace(/^GMT(\+0)?$/, "UTC");
}

function hours(starts, ends, timeZone) {
  const weekday = format(ends, { weekday: "long", timeZone });
  const note = day(starts, timeZone) === day(ends, timeZone) ? "" : ` (${weekday})`;
  const end = `${clock(ends, timeZone)}${note}`;
  return fill(hoursText, { start: clock(starts, timeZone), end, zone: label(starts, timeZone) });
}

const capitalized = (text) => text.charAt(0).toUpperCase() + text.slice(1);

function secondLine(time) {
  const next = time.nextElementSibling;
  if (next?.matches(".yours")) return next;
  const line = document.createElement("span");
  line.className = "yours";
  time.after(line);
  return line;
}

function showDate(time, moment, timeZone) {
  const box = time.closest(".slot, .session")?.querySelector(".slot__date");
  if (!box) return;
  const [weekday, number, month] = [{ weekday: "short" }, { day: "numeric" }, { month: "short" }];
  const bold = document.createElement("b");
  bold.textContent = format(moment, { ...number, timeZone });
  const texts = [weekday, month].map((options) => format(moment, { ...options, timeZone }));
  box.replaceChildren(`${capitalized(texts[0])} `, bold, ` ${capitalized(texts[1])}`);
}

function show(time, timeZone) {
  const [starts, ends, eventZone] = [time.dateTime, time.dataset.ends, time.dataset.zone];
  const moments = [new Date(starts), new Date(ends)];
  const [mine, theirs] = [timeZone, eventZone].map((zone) => hours(...moments, zone));
  const [myDay, theirDay] = [timeZone, eventZone].map((zone) => day(moments[0], zone));
  time.firstChild.data = `${capitalized(myDay)}, `;
  time.querySelector(".when__hours").textContent = mine;
  const also = myDay === theirDay ? theirs : `${capitalized(theirDay)}, ${theirs}`;
  secondLine(time).textContent = mine === theirs && myDay === theirDay ? "" : also;
  if (myDay !== theirDay) showDate(time, moments[0], timeZone);
}

// Only a day. Where it's the same as the event's, it stays as the server writes it.
function showDay(time, timeZone) {
  const moment = new Date(time.dateTime);
  if (day(moment, timeZone) === day(moment, time.dataset.zone)) return;
  const options = { weekday: "short", month: "short", day: "numeric", timeZone };
  const text = capitalized(format(moment, options));
  time.textContent = time.textContent.includes(",") ? text : text.replace(",", "");
}

function showOpening(box, timeZone) {
  const [moment, eventZone] = [new Date(box.dataset.opens), box.dataset.zone];
  const [mine, theirs] = [timeZone, eventZone].map((zone) => `${clock(moment, zone)} ${label(moment, zone)}`);
  const [myDay, theirDay] = [timeZone, eventZone].map((zone) => day(moment, zone));
  const first = document.createElement("strong");
  first.textContent = fill(box.dataset.text, { day: myDay, time: mine });
  const second = document.createElement("span");
  second.className = "yours";
  second.textContent = myDay === theirDay ? theirs : `${theirDay}, ${theirs}`;
  box.replaceChildren(first, ...(mine === theirs ? [] : [second]));
}

function showAll() {
  const timeZone = select ? select.value : Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!timeZone) return;
  try {
    document.querySelectorAll("time.when").forEach((time) => show(time, timeZone));
    document.querySelectorAll("time[data-day]").forEach((time) => showDay(time, timeZone));
    document.querySelectorAll("[data-opens]").forEach((box) => showOpening(box, timeZone));
  } catch {
    return;
  }
}

select?.addEventListener("change", showAll);
// Browsers may restore what was chosen before.
addEventListener("pageshow", showAll);
showAll();
