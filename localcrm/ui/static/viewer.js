"use strict";
// Pictures of records over the page: [data-picture] is a link to one; the others in sight are the next and the previous.
(() => {
  const { make } = window.localcrm;
  const texts = window.localcrmTexts;
  let shut = null;

  const icon = (tag, name, label) => {
    const element = make(tag);
    element.append(make("i", "q-icon material-icons", name));
    element.setAttribute("aria-label", label);
    element.title = label;
    return element;
  };

  const open = (link) => {
    const around = link.closest(".q-dialog") || document;
    const byPath = new Map();
    for (const one of around.querySelectorAll("a[data-picture]"))
      if (one.getClientRects().length && !byPath.has(one.href)) byPath.set(one.href, one);
    const all = [...byPath.values()];
    let at = Math.max(0, all.findIndex((one) => one.href === link.href));

    const box = make("div", "lc-viewer");
    box.setAttribute("role", "dialog");
    box.setAttribute("aria-modal", "true");
    const bar = make("div", "lc-viewer-bar");
    const name = make("div", "lc-viewer-name");
    const count = make("div", "lc-viewer-count");
    const save = icon("a", "download", texts.save_file);
    save.setAttribute("download", "");
    const close = icon("button", "close", texts.close);
    const stage = make("div", "lc-viewer-stage");
    const picture = make("img");
    const previous = icon("button", "chevron_left", texts.previous);
    const next = icon("button", "chevron_right", texts.next);
    bar.append(name, count, save, close);
    stage.append(picture, previous, next);
    box.append(bar, stage);

    const show = (step) => {
      at = (at + step + all.length) % all.length;
      const one = all[at];
      picture.src = one.href;
      picture.alt = name.textContent = one.querySelector(".lc-file-name")?.textContent || one.textContent;
      save.href = one.href.split("?")[0];
      count.textContent = all.length > 1 ? `${at + 1} / ${all.length}` : "";
    };
    previous.hidden = next.hidden = all.length < 2;
    previous.addEventListener("click", () => show(-1));
    next.addEventListener("click", () => show(1));
    close.addEventListener("click", () => shut());
    stage.addEventListener("click", (event) => event.target === stage && shut());
    let from = null;
    stage.addEventListener("touchstart", (event) => (from = event.touches.length === 1 ? event.touches[0].clientX : null), { passive: true });
    stage.addEventListener("touchend", (event) => {
      const moved = from === null ? 0 : event.changedTouches[0].clientX - from;
      if (Math.abs(moved) > 50 && all.length > 1) show(moved < 0 ? 1 : -1);
    });
    // Keys are the viewer's alone while it is there: neither the page nor a dialog below hears them.
    const keys = (event) => {
      if (!box.isConnected || event.ctrlKey || event.metaKey || event.altKey) return;
      const does = { Escape: () => shut(), ArrowLeft: () => show(-1), ArrowRight: () => show(1) }[event.key];
      event.stopImmediatePropagation();
      if ((event.key === "Enter" || event.key === " ") && box.contains(document.activeElement)) return;
      event.preventDefault();
      if (event.key === "Tab") {
        const stops = [save, close, previous, next].filter((one) => !one.hidden);
        const here = stops.indexOf(document.activeElement);
        stops[(here + (event.shiftKey ? -1 : 1) + stops.length) % stops.length].focus();
      }
      does?.();
    };
    window.addEventListener("keydown", keys, true);
    shut = () => {
      window.removeEventListener("keydown", keys, true);
      box.remove();
      link.focus?.();
    };
    show(0);
    document.body.append(box);
    close.focus();
  };

  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[data-picture]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    open(link);
  });
  // What is called a picture and is none, or has not arrived yet, stands there like any other file.
  document.addEventListener(
    "error",
    (event) => {
      if (!event.target.matches?.("img.lc-thumb")) return;
      const link = event.target.parentElement;
      link.classList.add("lc-broken");
      link.removeAttribute("data-picture");
      link.setAttribute("download", "");
      link.href = link.href.split("?")[0];
    },
    true,
  );
})();
