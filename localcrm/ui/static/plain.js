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
// A code is copied, printed, or read from the file that somebody sent.
for (const button of document.querySelectorAll("button[data-copy]")) {
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = button.dataset.done;
  });
}
for (const button of document.querySelectorAll("button[data-print]")) button.addEventListener("click", () => window.print());
for (const input of document.querySelectorAll("input[type=file][data-into]")) {
  input.addEventListener("change", async () => {
    const file = input.files[0];
    if (file && file.size < 4096) document.getElementById(input.dataset.into).value = await file.text();
  });
}
