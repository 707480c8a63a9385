// Choosing rows: all of a page at once, and a word about how many. Without this script the boxes work one by one.
(() => {
  "use strict";

  const form = document.querySelector("[data-choosing]");
  if (!form) return;
  const told = form.querySelector("[data-chosen]");
  const everything = form.querySelector("[name=all]");
  const boxes = () => [...form.querySelectorAll("[name=id]")];

  function show() {
    const all = form.querySelector("[data-choose-all]");
    const chosen = boxes().filter((box) => box.checked).length;
    if (all) {
      all.hidden = false;
      all.checked = chosen > 0 && chosen === boxes().length;
      all.indeterminate = chosen > 0 && !all.checked;
    }
    told.textContent = everything.checked ? "With all of them:" : chosen === 0 ? "With the chosen machines:" :
      `With the ${chosen} chosen machine${chosen === 1 ? "" : "s"}:`;
    for (const button of form.querySelectorAll("[name=action]")) button.disabled = !chosen && !everything.checked;
  }

  form.addEventListener("change", (event) => {
    if (event.target.matches("[data-choose-all]")) {
      for (const box of boxes()) box.checked = event.target.checked;
    }
    show();
  });
  form.addEventListener("live:drawn", show);
  window.addEventListener("pageshow", show);
  show();
})();
