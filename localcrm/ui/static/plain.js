"use strict";
// How strong a password is, said while it is typed; the server decides what it takes.
for (const input of document.querySelectorAll("input[data-strength]")) {
  const words = input.dataset.strength.split("|");
  const meter = document.createElement("p");
  meter.className = "lc-strength";
  meter.setAttribute("aria-live", "polite");
  input.insertAdjacentElement("afterend", meter);
  input.addEventListener("input", () => {
    const value = input.value;
    const kinds = [/[a-z]/, /[A-Z]/, /[0-9]/, /[^A-Za-z0-9]/].filter((kind) => kind.test(value)).length;
    const different = new Set(value).size;
    let level = 0;
    if (value.length >= 8 && different >= 4) level = 1 + (value.length >= 10) + (kinds >= 2 && value.length >= 10) + (kinds >= 3 && value.length >= 12);
    if (value.length >= 16 && different >= 8) level = 4;
    meter.textContent = value ? words[level] : "";
    meter.dataset.level = value ? level : "";
  });
}
