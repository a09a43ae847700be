// Names the cells of lists and of inline tables by their columns: for phones, where each row is shown
// as a card without its blank cells, and for screen readers.

function nameCells(row) {
  const heads = row.closest("table").tHead.rows[0].cells;
  for (const cell of row.cells) {
    const head = heads[cell.cellIndex];
    const column = (head?.querySelector(".text") ?? head)?.textContent.trim();
    if (!column) continue;
    cell.dataset.column = column;
    cell.classList.toggle("is-blank", cell.textContent.trim() === "-");
    for (const field of cell.querySelectorAll("input, select, textarea")) {
      if (!field.labels?.length) field.setAttribute("aria-label", column);
    }
  }
}

document.querySelectorAll(".tabular tr.form-row, #result_list tbody tr").forEach(nameCells);
document.addEventListener("formset:added", ({ target }) => {
  if (target.matches(".tabular tr")) nameCells(target);
});
