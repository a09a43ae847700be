// Names the fields of an inline table by their columns: for screen readers, and for phones, where
// each row is shown as a card.

function label(row) {
  const heads = row.closest("table").tHead.rows[0].cells;
  for (const cell of row.cells) {
    const column = heads[cell.cellIndex]?.textContent.trim();
    if (!column) continue;
    cell.dataset.column = column;
    for (const field of cell.querySelectorAll("input, select, textarea")) {
      if (!field.labels?.length) field.setAttribute("aria-label", column);
    }
  }
}

document.querySelectorAll(".tabular tr.form-row").forEach(label);
document.addEventListener("formset:added", ({ target }) => target.matches(".tabular tr") && label(target));
