// A number's sources open over the page, so that the reader keeps the place. Without this script
// the same links lead to the same entries below.
const dialog = document.querySelector("dialog");
const shown = dialog.querySelector("div");

const entryOf = (target) => target && target.closest("details.source");

function unfold(target) {
  for (let e = target; e; e = e.parentElement) if (e.tagName === "DETAILS") e.open = true;
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='#']");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const target = document.getElementById(decodeURIComponent(link.hash.slice(1)));
  const entry = entryOf(target);
  if (!entry) return;
  event.preventDefault();
  const copy = entry.cloneNode(true);
  copy.open = true;
  const row = target === entry ? null : copy.querySelector(`[id="${CSS.escape(target.id)}"]`);
  if (row) {
    row.classList.add("asked");
    unfold(row);
  }
  copy.removeAttribute("id");
  for (const e of copy.querySelectorAll("[id]")) e.removeAttribute("id");
  shown.replaceChildren(copy);
  dialog.showModal();
  dialog.scrollTop = 0;
});

// a click beside the dialog closes it
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close();
});

// boxes that hold more to the right than they show
const boxes = document.querySelectorAll(".scroll, .card");
const hint = (box) =>
  box.classList.toggle("more", box.scrollLeft + box.clientWidth < box.scrollWidth - 1);
const sizes = new ResizeObserver((entries) => entries.forEach((entry) => hint(entry.target)));
for (const box of boxes) {
  box.addEventListener("scroll", () => hint(box), { passive: true });
  sizes.observe(box);
}

const unfoldNamed = () => unfold(document.getElementById(decodeURIComponent(location.hash.slice(1))));
addEventListener("hashchange", unfoldNamed);
unfoldNamed();
addEventListener("beforeprint", () => {
  for (const e of document.querySelectorAll("details")) e.open = true;
});
