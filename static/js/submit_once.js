// Sends a form once, even if its button is pressed twice.

const sent = new WeakSet();

// After this time the form can be sent again, for example when the network failed.
const RETRY_AFTER_MS = 10000;

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (sent.has(form)) {
    event.preventDefault();
    return;
  }
  sent.add(form);
  setTimeout(() => sent.delete(form), RETRY_AFTER_MS);
});

// When the browser shows a cached page again, its forms can be sent again.
addEventListener("pageshow", () => {
  for (const form of document.forms) sent.delete(form);
});
