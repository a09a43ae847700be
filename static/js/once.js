// A button that is pressed twice sends its form once.

const sent = new WeakSet();

document.addEventListener("submit", (event) => {
  if (sent.has(event.target)) event.preventDefault();
  sent.add(event.target);
});

// Back on a page that the browser had kept, everything can be sent again.
addEventListener("pageshow", () => {
  for (const form of document.forms) sent.delete(form);
});
