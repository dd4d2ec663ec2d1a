// A row of a list dragged onto a group: the group under the pointer lights up, letting go there tells the server.
(() => {
  const far = 6;
  let drag = null;
  const clear = () => {
    drag?.ghost?.remove();
    document.querySelectorAll(".lc-drop").forEach((one) => one.classList.remove("lc-drop"));
    drag = null;
  };
  addEventListener("pointerdown", (event) => {
    clear();
    const row = event.button === 0 && event.pointerType !== "touch" && event.target.closest(".lc-workbench .ag-row");
    if (row && row.getAttribute("row-id")) drag = { id: row.getAttribute("row-id"), row, x: event.clientX, y: event.clientY };
  });
  addEventListener("pointermove", (event) => {
    if (!drag || (!drag.ghost && Math.hypot(event.clientX - drag.x, event.clientY - drag.y) < far)) return;
    if (!document.querySelector("[data-drop]")) return clear();
    if (!drag.ghost) {
      drag.ghost = document.createElement("div");
      drag.ghost.className = "lc-ghost";
      drag.ghost.textContent = (drag.row.querySelector(".lc-main-cell") || drag.row).textContent;
      document.body.append(drag.ghost);
    }
    drag.ghost.style.transform = `translate(${event.clientX + 12}px, ${event.clientY + 8}px)`;
    const group = document.elementFromPoint(event.clientX, event.clientY)?.closest("[data-drop]");
    document.querySelectorAll(".lc-drop").forEach((one) => one !== group && one.classList.remove("lc-drop"));
    group?.classList.add("lc-drop");
    event.preventDefault();
  });
  addEventListener("pointerup", (event) => {
    const group = drag?.ghost && document.elementFromPoint(event.clientX, event.clientY)?.closest("[data-drop]");
    if (group) emitEvent("group-drop", { id: drag.id, place: group.dataset.drop });
    clear();
  });
  addEventListener("pointercancel", clear);
  addEventListener("keydown", (event) => event.key === "Escape" && clear());
})();
