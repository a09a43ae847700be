// What a page says once, it doesn't say again if "Back" brings it back as it was.

addEventListener("pageshow", ({ persisted }) => {
  const status = document.getElementById("status");
  if (!persisted || !status) return;
  status.remove();
  document.title = document.title.replace(/^.*? · /, "");
});
