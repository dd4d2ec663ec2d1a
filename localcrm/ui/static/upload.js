"use strict";
// Files travel by plain HTTP: [data-upload] is a place to choose or drop one; the page hears "uploaded" with its token.
(() => {
  const send = (place, file) => {
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
      emitEvent(place.dataset.event || "uploaded", { name: file.name, ...answer });
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
  };
  window.localcrm.uploads = () => {
    for (const place of document.querySelectorAll("[data-upload]")) {
      if (place.dataset.ready) continue;
      place.dataset.ready = "1";
      const input = place.querySelector("input[type=file]");
      const chosen = () => {
        if (input.files.length) send(place, input.files[0]);
        input.value = "";
      };
      input.addEventListener("change", chosen);
      chosen(); // somebody quicker than this page has chosen already
      place.addEventListener("dragover", (event) => (event.preventDefault(), place.classList.add("lc-over")));
      place.addEventListener("dragleave", () => place.classList.remove("lc-over"));
      place.addEventListener("drop", (event) => {
        event.preventDefault();
        place.classList.remove("lc-over");
        if (event.dataTransfer.files.length) send(place, event.dataTransfer.files[0]);
      });
    }
  };
})();
