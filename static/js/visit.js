// Tells the server that someone has this page open: mail scanners load it too, but they don't stay.

const STAY_MS = 5000;
const { url } = document.getElementById("visit").dataset;
let sent = false;

function visit() {
  if (sent || document.hidden) return;
  sent = true;
  fetch(url, { method: "POST" }).catch(() => {});
}

setTimeout(() => {
  visit();
  document.addEventListener("visibilitychange", visit);
}, STAY_MS);
