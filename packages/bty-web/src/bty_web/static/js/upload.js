// Files are sent one after another, as they are: a bar for each, a button to stop it, a sentence when it fails.
// Without this script the same form works as a plain one.
(() => {
  "use strict";

  const UNITS = ["B", "kB", "MB", "GB", "TB"];
  let sending = 0; // files that are on their way or wait

  function size(bytes) {
    let amount = bytes;
    let unit = 0;
    while (amount >= 999.5 && unit < UNITS.length - 1) {
      amount /= 1000;
      unit += 1;
    }
    return `${unit === 0 || amount >= 99.95 ? amount.toFixed(0) : amount.toFixed(1)} ${UNITS[unit]}`;
  }

  function duration(seconds) {
    if (!Number.isFinite(seconds)) return "";
    const whole = Math.max(1, Math.round(seconds));
    if (whole < 60) return `${whole} s left`;
    if (whole < 3600) return `${Math.round(whole / 60)} min left`;
    return `${(whole / 3600).toFixed(1)} h left`;
  }

  function sentence(request) {
    try {
      const problem = JSON.parse(request.responseText);
      if (problem.detail) return problem.hint ? `${problem.detail} - ${problem.hint}` : problem.detail;
    } catch {
      // Not an answer of this server's: a proxy's page, or none.
    }
    if (request.responseURL.includes("/login") || request.status === 401) {
      return "you are no longer logged in - log in again and repeat the upload";
    }
    if (request.status === 400) return "this page is too old - load it again and repeat the upload";
    if (request.status === 413) return "something between here and the server limits the size of uploads";
    return `the server answered ${request.status}`;
  }

  class Upload {
    constructor(form, file, wanted) {
      this.form = form;
      this.wanted = wanted; // as the form was when it was sent
      this.file = file;
      this.request = null;
      this.over = false;
      this.row = form.querySelector("template").content.firstElementChild.cloneNode(true);
      this.part("name").textContent = file.name;
      this.bar = this.part("bar");
      this.bar.setAttribute("aria-label", `Upload of ${file.name}`);
      this.say(`${size(file.size)}, waiting`);
      this.part("stop").addEventListener("click", () => this.stop());
    }

    part(name) {
      return this.row.querySelector(`[data-upload="${name}"]`);
    }

    say(text) {
      this.part("text").textContent = text;
    }

    end(state, text) {
      if (this.over) return;
      this.over = true;
      sending -= 1;
      this.row.classList.add(`upload-${state}`);
      this.part("stop").remove();
      this.bar.remove();
      this.say(text);
    }

    stop() {
      if (this.request) this.request.abort();
      else this.end("stopped", "stopped; nothing was kept");
    }

    send() {
      if (this.over) return Promise.resolve();
      return new Promise((resolve) => {
        const request = new XMLHttpRequest();
        this.request = request;
        const data = this.form.dataset;
        const wanted = this.wanted;
        const query = new URLSearchParams();
        for (const field of ["sha256", "replace"]) {
          if (wanted.get(field)) query.set(field, wanted.get(field));
        }
        const name = data.uploadNamed === "yes" ? `/${encodeURIComponent(this.file.name)}` : "";
        request.open("PUT", `${data.uploadTo}${name}${query.size ? `?${query}` : ""}`);
        request.setRequestHeader("Content-Type", "application/octet-stream");
        request.setRequestHeader("X-CSRFToken", wanted.get("csrf_token"));
        const began = performance.now();
        request.upload.addEventListener("progress", (event) => {
          const seconds = (performance.now() - began) / 1000;
          const rate = event.loaded / Math.max(seconds, 0.001);
          this.bar.max = event.total || 1;
          this.bar.value = event.loaded;
          const left = duration((event.total - event.loaded) / rate);
          this.say(
            event.loaded < event.total
              ? `${size(event.loaded)} of ${size(event.total)}, ${size(rate)}/s, ${left}`
              : `${size(event.total)} sent, the server is finishing`,
          );
        });
        request.addEventListener("load", () => {
          if (request.status >= 200 && request.status < 300 && !request.responseURL.includes("/login")) {
            this.end("done", data.uploadDone);
          } else {
            this.end("failed", `failed: ${sentence(request)}`);
          }
        });
        request.addEventListener("error", () => {
          this.end("failed", "failed: the connection broke or the server refused - nothing was kept, try again");
        });
        request.addEventListener("abort", () => this.end("stopped", "stopped; nothing was kept"));
        request.addEventListener("loadend", resolve);
        request.send(this.file);
      });
    }
  }

  function take(form) {
    const queue = [];
    let busy = false;
    const list = form.parentElement.querySelector('[data-upload="list"]');
    const input = form.querySelector('input[type="file"]');

    const digest = form.querySelector('input[name="sha256"]');

    async function work() {
      busy = true;
      while (queue.length) await queue.shift().send();
      busy = false;
      form.dispatchEvent(new CustomEvent("uploads-over", { bubbles: true }));
    }

    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const wanted = new FormData(form);
      if (input.files.length > 1 && wanted.get("sha256")) {
        digest.setCustomValidity("A digest belongs to one file: choose one, or leave this empty.");
        digest.reportValidity();
        return;
      }
      for (const file of input.files) {
        const upload = new Upload(form, file, wanted);
        sending += 1;
        list.append(upload.row);
        queue.push(upload);
      }
      input.value = "";
      if (digest) digest.value = "";
      if (!busy) work();
    });
    if (digest) form.addEventListener("input", () => digest.setCustomValidity(""));
    if (form.dataset.uploadNamed === "yes") input.multiple = true;
  }

  window.addEventListener("beforeunload", (event) => {
    if (sending > 0) event.preventDefault();
  });
  document.querySelectorAll("form[data-upload-to]").forEach(take);
})();
