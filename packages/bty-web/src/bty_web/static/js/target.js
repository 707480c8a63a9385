// Typing a selector means it: the choice beside it follows, and the other way round the text stays.
(() => {
  "use strict";

  const text = document.querySelector("[data-assignment] [name=target]");
  const choice = document.getElementById("by-selector");
  if (!text || !choice) return;
  // In the capture phase: what is looked up next already knows.
  text.addEventListener("input", () => { choice.checked = true; }, true);
  choice.addEventListener("change", () => text.focus());
})();
