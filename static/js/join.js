// Goes on to Zoom at once: sends the form that the button sends.

const [visit] = performance.getEntriesByType("navigation");

function join() {
  // Sent before the page has loaded, it takes the page's place in the history.
  document.getElementById("join").submit();
}

// Someone who comes back from Zoom wants to stay here. Old browsers don't say.
if (visit?.type !== "back_forward") {
  // A page that the browser loads ahead, in case it is visited, isn't a visit yet.
  if (document.prerendering) document.addEventListener("prerenderingchange", join, { once: true });
  else join();
}
