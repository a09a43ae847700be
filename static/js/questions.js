// Hides questions about sessions while none of those sessions is checked. The server checks again.

const boxes = [...document.querySelectorAll("input[name=sessions]")];
const questions = [...document.querySelectorAll("[data-sessions]")];

function show() {
  const chosen = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
  for (const question of questions) {
    const only = question.dataset.sessions.trim().split(" ");
    question.hidden = !only.some((session) => chosen.has(session));
  }
}

if (questions.length) {
  for (const box of boxes) box.addEventListener("change", show);
  // Browsers may restore what was checked before.
  addEventListener("pageshow", show);
  show();
}
