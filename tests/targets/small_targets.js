() => {
  // Links inside a sentence may be small (WCAG 2.5.8). A box to check is as large as its label.
  const LEAST = 43.5;
  const found = [];
  const inSentence = (link) => {
    if (getComputedStyle(link).display !== "inline") return false;
    const block = link.closest("p, li, dd, td, label, h1, h2, h3, div");
    const words = (element) => element.innerText.replace(/[^\p{L}\p{N}]/gu, "");
    const links = [...block.querySelectorAll("a")].map(words).join("");
    return words(block).length > links.length;
  };
  const pressed = "a[href], button, input, select, textarea, summary";
  for (const target of document.querySelectorAll(pressed)) {
    if (target.type === "hidden" || !target.checkVisibility({ visibilityProperty: true })) continue;
    const label = target.labels?.[0];
    const box = (label?.contains(target) ? label : target).getBoundingClientRect();
    if (box.width <= 1 || box.height <= 1) continue;
    if (box.width >= LEAST && box.height >= LEAST) continue;
    if (target.matches("a") && inSentence(target)) continue;
    const words = (target.innerText || target.name || target.id).trim().replace(/\s+/g, " ");
    found.push(`${target.localName} "${words.slice(0, 40)}" ${Math.round(box.width)}x${Math.round(box.height)}`);
  }
  return found;
}
