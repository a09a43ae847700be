// Buttons that need JavaScript: print, share, and copy a link.

for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}

for (const button of document.querySelectorAll("[data-share]")) {
  const data = { title: button.dataset.title, url: button.dataset.share };
  button.hidden = !navigator.canShare?.(data);
  // Closing the share sheet is an error too.
  button.addEventListener("click", () => navigator.share(data).catch(() => {}));
}

for (const button of document.querySelectorAll("[data-copy]")) {
  const status = button.parentElement.querySelector("[role=status]");
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    status.textContent = button.dataset.copied;
  });
}
