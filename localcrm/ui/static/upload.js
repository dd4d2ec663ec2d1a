"use strict";
// Files travel by plain HTTP: [data-upload] is a place to choose or drop one; the page hears "uploaded" with its token.
// With data-local the place itself hears it, and takes several; with data-several the page does, told how many are "left" to come.
(() => {
  const send = (place, file, left) => new Promise((sent) => {
    const bar = place.querySelector("progress");
    const request = new XMLHttpRequest();
    request.open("POST", (place.dataset.upload || "/api/upload/import") + "?name=" + encodeURIComponent(file.name));
    request.setRequestHeader("X-Localcrm", "1");
    request.upload.addEventListener("progress", (event) => {
      if (!bar) return;
      bar.style.display = "";
      bar.value = event.lengthComputable ? (100 * event.loaded) / event.total : 0;
    });
    const done = (answer) => {
      if (bar) bar.style.display = "none";
      const detail = { name: file.name, left, ...answer };
      if ("local" in place.dataset) place.dispatchEvent(new CustomEvent("uploaded", { detail }));
      else emitEvent(place.dataset.event || "uploaded", detail);
      sent();
    };
    request.addEventListener("load", () => {
      let answer = {};
      try {
        answer = JSON.parse(request.responseText);
      } catch {}
      done(request.status < 300 ? answer : { error: answer.message || `HTTP ${request.status}` });
    });
    request.addEventListener("error", () => done({ error: window.localcrmTexts.offline }));
    request.send(file);
  });
  const take = async (place, files) => {
    const chosen = [...files].slice(0, "local" in place.dataset || "several" in place.dataset ? files.length : 1);
    for (const [number, file] of chosen.entries()) await send(place, file, chosen.length - 1 - number);
  };
  window.localcrm.uploads = () => {
    for (const place of document.querySelectorAll("[data-upload]")) {
      if (place.dataset.ready) continue;
      place.dataset.ready = "1";
      const input = place.querySelector("input[type=file]");
      const chosen = () => {
        take(place, input.files);
        input.value = "";
      };
      input.addEventListener("change", chosen);
      chosen(); // somebody quicker than this page has chosen already
      place.addEventListener("keydown", (event) => {
        if (event.target !== place || (event.key !== "Enter" && event.key !== " ") || event.ctrlKey) return;
        event.preventDefault();
        event.stopPropagation();
        input.click();
      });
      place.addEventListener("dragover", (event) => (event.preventDefault(), place.classList.add("lc-over")));
      place.addEventListener("dragleave", () => place.classList.remove("lc-over"));
      place.addEventListener("drop", (event) => {
        event.preventDefault();
        place.classList.remove("lc-over");
        take(place, event.dataTransfer.files);
      });
    }
  };
})();
