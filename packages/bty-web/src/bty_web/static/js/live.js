// Parts of a page that follow what changes. An element says what it follows and where it is fetched:
//   data-live="machines jobs"   topics; data-live-id="7": of this one only
//   data-live-from="/ui/..."    the fragment it was first drawn with
// A part may tell of a topic of this page alone: data-tells="inventory" data-version="...", when that is another one.
// The server's stream only hints that something changed. Without a stream the parts are fetched every few seconds.
(() => {
  "use strict";

  const AT_MOST_EVERY = 1000; // milliseconds between two fetches of one part
  const FAR_EVERY = 5000; // the same, for a change of something that this page does not show
  const POLL_EVERY = 5000;
  const waiting = new Map(); // element -> timer
  const fetched = new WeakMap(); // element -> when it was last asked for
  const versions = new Map(); // topic of this page -> version that is shown
  let polling = null;

  const parts = () => document.querySelectorAll("[data-live]");

  // Somebody types there: what they do matters more than what is new.
  function busy(part) {
    const active = document.activeElement;
    if (!active || !part.contains(active)) return false;
    return active.matches("select, textarea, input:not([type=checkbox]):not([type=radio])");
  }

  async function fetchPart(part) {
    waiting.delete(part);
    if (!part.isConnected) return;
    if (document.hidden || busy(part)) {
      later(part, AT_MOST_EVERY);
      return;
    }
    fetched.set(part, Date.now());
    let answer;
    try {
      answer = await fetch(part.dataset.liveFrom, { headers: { "X-Requested-With": "live" } });
    } catch {
      return; // the next hint or poll tries again
    }
    if (answer.redirected || !answer.ok) return; // logged out, or the thing is gone
    const text = await answer.text();
    if (!part.isConnected || busy(part)) return;
    swap(part, text);
  }

  // What is open, chosen or in focus stays so.
  function swap(part, text) {
    const open = [...part.querySelectorAll("details[open][id]")].map((one) => one.id);
    const chosen = [...part.querySelectorAll("input[type=checkbox]:checked")].map((one) => one.value);
    const picked = part.querySelector("input[type=radio]:checked");
    const scrolled = [...part.querySelectorAll("[data-keep-scroll][id]")].map((one) => [one.id, one.scrollTop]);
    const focus = part.contains(document.activeElement) ? document.activeElement : null;
    const again = focus && selectorOf(focus);
    window.htmx.swap(part, text, { swapStyle: "innerHTML", swapDelay: 0, settleDelay: 0 });
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    for (const [id, top] of scrolled) { const one = document.getElementById(id); if (one) one.scrollTop = top; }
    for (const box of part.querySelectorAll("input[type=checkbox]")) if (chosen.includes(box.value)) box.checked = true;
    if (picked) pick(part, picked);
    if (again) part.querySelector(again)?.focus({ preventScroll: true });
    part.dispatchEvent(new CustomEvent("live:drawn", { bubbles: true }));
    tell(part);
  }

  function selectorOf(element) {
    if (element.id) return `#${CSS.escape(element.id)}`;
    if (element.type === "radio") return `input[type=radio][value="${CSS.escape(element.value)}"]`;
    const href = element.getAttribute("href");
    return href && `a[href="${CSS.escape(href)}"]`;
  }

  // A choice that is gone from the new list stays, and says so: only a person may choose another one.
  function pick(part, picked) {
    const now = [...part.querySelectorAll("input[type=radio]")].find((one) => one.value === picked.value);
    if (now) {
      now.checked = true;
      return;
    }
    const kept = picked.closest("label");
    if (!kept.querySelector("[data-gone]")) {
      const word = document.createElement("span");
      word.dataset.gone = "";
      word.className = "field-error small";
      word.textContent = "It is not in the newest inventory.";
      kept.append(word);
    }
    part.append(kept);
    picked.checked = true;
  }

  // Tell the parts that follow it when a version is another one than was shown.
  function tell(root) {
    for (const one of root.querySelectorAll("[data-tells]")) {
      const { tells, version } = one.dataset;
      const known = versions.has(tells) && versions.get(tells) !== version;
      versions.set(tells, version);
      if (known) hint(tells, []);
    }
  }

  function later(part, every) {
    if (waiting.has(part)) return;
    const wait = Math.max(0, (fetched.get(part) || 0) + every - Date.now());
    waiting.set(part, setTimeout(() => fetchPart(part), wait));
  }

  // `ids` is empty when anything may have changed.
  function hint(topic, ids) {
    for (const part of parts()) {
      if (!part.dataset.live.split(" ").includes(topic)) continue;
      const only = part.dataset.liveId;
      if (only && topic === "machines" && ids.length && !ids.includes(Number(only))) continue;
      const shown = part.querySelector("[data-machine]") === null || ids.length === 0 ||
        ids.some((id) => part.querySelector(`[data-machine="${id}"]`) !== null);
      later(part, shown ? Number(part.dataset.liveEvery) || AT_MOST_EVERY : FAR_EVERY);
    }
  }

  function poll() {
    if (polling) return;
    polling = setInterval(() => { for (const part of parts()) later(part, POLL_EVERY); }, POLL_EVERY);
  }

  function stopPolling() {
    clearInterval(polling);
    polling = null;
  }

  function follow() {
    const source = new EventSource(document.body.dataset.stream);
    let opened = false;
    for (const topic of ["machines", "images", "jobs", "events"]) {
      source.addEventListener(topic, (message) => hint(topic, JSON.parse(message.data)));
    }
    source.addEventListener("open", () => {
      // Something may have happened while there was no stream.
      if (opened || polling) for (const part of parts()) later(part, AT_MOST_EVERY);
      opened = true;
      stopPolling();
    });
    source.addEventListener("error", () => {
      poll();
      if (source.readyState === EventSource.CLOSED) {
        source.close();
        setTimeout(follow, 30000); // no room for one more stream; perhaps later
      }
    });
    window.addEventListener("pagehide", () => source.close(), { once: true });
  }

  if (parts().length && document.body.dataset.stream) {
    tell(document);
    follow();
    window.addEventListener("pageshow", (event) => { if (event.persisted) follow(); });
  }
})();
