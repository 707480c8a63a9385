// Typing a selector means it: the choice beside it follows, and the other way round the text stays.
(() => {
  "use strict";

  const disks = document.querySelector("[data-assignment] [data-target]");
  const text = document.querySelector("[data-assignment] [name=target]");
  const choice = document.getElementById("by-selector");
  if (!disks || !text || !choice) return;
  // In the capture phase: what is looked up next already knows.
  text.addEventListener("input", () => { choice.checked = true; }, true);
  choice.addEventListener("change", () => text.focus());
  // Other disks: what is chosen may mean another one, or none.
  disks.addEventListener("live:drawn", () => disks.dispatchEvent(new Event("input")));
})();
