// Selects the browser's time zone in a blank form.

function resolved(timeZone) {
  try {
    return new Intl.DateTimeFormat("en-US", { timeZone }).resolvedOptions().timeZone;
  } catch {
    return null; // This browser doesn't know the time zone.
  }
}

function optionFor(select, timeZone) {
  const options = [...select.options];
  const listed =
    options.find((option) => option.value === timeZone) ??
    options.find((option) => resolved(option.value) === timeZone);
  if (listed) return listed;
  const option = new Option(timeZone.replaceAll("_", " "), timeZone);
  select.add(option);
  return option;
}

const select = document.querySelector("select[data-fresh]");
// False if the person has already chosen, or has come back to the page.
const untouched = select?.selectedOptions[0]?.defaultSelected;
const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
if (untouched && timeZone && timeZone !== "Etc/Unknown") optionFor(select, timeZone).selected = true;
