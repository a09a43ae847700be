// Shows the clock times of an agenda's items while their minutes and order are typed. The server
// shows those that are stored, and decides what is saved: see events/admin/agenda.py.

const language = document.documentElement.lang;
const { starts, zone: timeZone, label, hours: hoursText } = document.getElementById("agenda-times").dataset;
const group = document.getElementById("agenda-group");

const format = (moment, options) => new Intl.DateTimeFormat(language, { ...options, timeZone }).format(moment);
const fill = (text, values) => text.replace(/{(\w+)}/g, (_match, name) => values[name]);
const clock = (moment) =>
  format(moment, { hour: "numeric", minute: "2-digit", hour12: true }).replace(/\s/g, "\u00a0");
const weekday = (moment) => format(moment, { weekday: "long" });

// A whole number, or null.
const number = (field) => (/^\d{1,6}$/.test(field?.value.trim()) ? Number(field.value) : null);

// As `AgendaForm.place`: an item that was moved up comes before the one whose place it takes, and
// after it if it was moved down. A new one without a place goes to the end.
function itemOf(row, index) {
  const field = (name) => row.querySelector(`[name$="-${name}"]`);
  const [place, minutes] = [number(field("position")) ?? Infinity, number(field("minutes")) ?? 0];
  const before = row.matches(".has_original") ? index + 1 : null;
  const side = place === before ? 0 : before !== null && place > before ? 1 : -1;
  const isDeleted = field("DELETE")?.checked ?? false;
  return { index, place, side, minutes, isDeleted, shown: row.querySelector(".field-time .readonly") };
}

function hours(from, until) {
  const note = weekday(from) === weekday(until) ? "" : ` (${weekday(until)})`;
  return fill(hoursText, { start: clock(from), end: `${clock(until)}${note}`, zone: label });
}

function showTimes() {
  const rows = [...group.querySelectorAll(".inline-related:not(.empty-form)")];
  const items = rows.map(itemOf).filter((item) => item.shown && !item.isDeleted);
  items.sort((one, other) => one.place - other.place || one.side - other.side || one.index - other.index);
  let moment = new Date(starts);
  for (const { minutes, shown } of items) {
    const until = new Date(moment.getTime() + minutes * 60_000);
    shown.textContent = hours(moment, until);
    moment = until;
  }
}

group?.addEventListener("input", ({ target }) => {
  if (target.matches('[name$="-minutes"], [name$="-position"], [name$="-DELETE"]')) showTimes();
});
document.addEventListener("formset:removed", ({ detail }) => {
  if (detail.formsetName === "agenda") showTimes();
});
