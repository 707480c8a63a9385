// The colour scheme that was chosen here, before anything is drawn; without a choice the system decides.
(() => {
  "use strict";

  const KEPT = "bty-theme";
  const NEXT = { "": "dark", dark: "light", light: "" };
  const WORDS = { "": "auto", dark: "dark", light: "light" };

  function kept() {
    try {
      const found = localStorage.getItem(KEPT) || "";
      return found in NEXT ? found : "";
    } catch {
      return "";
    }
  }

  function show(theme) {
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
    for (const button of document.querySelectorAll("[data-theme-toggle]")) {
      button.hidden = false;
      button.textContent = `Theme: ${WORDS[theme]}`;
    }
  }

  show(kept());
  document.addEventListener("DOMContentLoaded", () => {
    show(kept());
    for (const button of document.querySelectorAll("[data-theme-toggle]")) {
      button.addEventListener("click", () => {
        const theme = NEXT[kept()];
        try {
          localStorage.setItem(KEPT, theme);
        } catch {
          // Nothing can be kept here: it holds for this page.
        }
        show(theme);
      });
    }
  });
})();
