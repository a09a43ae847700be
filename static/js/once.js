// A button that is pressed twice sends its form once.

const sent = new WeakSet();

// Should nothing come of it in so many milliseconds, say because the network went, it may try again.
const PATIENCE = 10000;

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (sent.has(form)) {
    event.preventDefault();
    return;
  }
  sent.add(form);
  setTimeout(() => sent.delete(form), PATIENCE);
});

// Back on a page that the browser had kept, everything can be sent again.
addEventListener("pageshow", () => {
  for (const form of document.forms) sent.delete(form);
});
