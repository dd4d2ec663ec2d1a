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

  // What is drawn on a canvas with finger, pen or mouse, such as a signature; drawn() sends it and answers what the server said, null where it is empty.
  window.localcrm.draw = (canvas) => {
    const ratio = 600 / canvas.clientWidth;
    [canvas.width, canvas.height] = [600, Math.round(canvas.clientHeight * ratio)];
    const pen = canvas.getContext("2d");
    Object.assign(pen, { lineWidth: 3.5, lineCap: "round", lineJoin: "round", strokeStyle: "#0b1f4b" });
    let on = false;
    const place = (event) => {
      const box = canvas.getBoundingClientRect();
      return [((event.clientX - box.left) * canvas.width) / box.width, ((event.clientY - box.top) * canvas.height) / box.height];
    };
    canvas.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      canvas.setPointerCapture(event.pointerId);
      on = true;
      pen.beginPath();
      pen.moveTo(...place(event));
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!on) return;
      canvas.dataset.drawn = "1";
      for (const one of event.getCoalescedEvents?.() || [event]) pen.lineTo(...place(one));
      pen.stroke();
    });
    for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, () => (on = false));
    canvas.clear = () => (pen.clearRect(0, 0, canvas.width, canvas.height), delete canvas.dataset.drawn);
  };
  window.localcrm.drawn = async (canvas, name) => {
    if (!canvas.dataset.drawn) return null;
    const body = await new Promise((done) => canvas.toBlob(done, "image/png"));
    try {
      const answer = await fetch("/api/upload/attachment?name=" + encodeURIComponent(name), { method: "POST", body, headers: { "X-Localcrm": "1" } });
      const said = await answer.json();
      return answer.ok ? said : { error: said.message || `HTTP ${answer.status}` };
    } catch {
      return { error: window.localcrmTexts.offline };
    }
  };
})();
