// Names for what the theme leaves without one, and wide tables that the keyboard can scroll.
const name = () => {
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
  document.querySelectorAll(".md-code__nav:not([aria-label])").forEach((bar) => {
    bar.setAttribute("aria-label", `Code ${bar.closest("[id]")?.id ?? ""}`);
  });
  document.querySelectorAll(".md-typeset__scrollwrap:not([tabindex])").forEach((box) => {
    box.setAttribute("tabindex", "0");
  });
};
new MutationObserver(name).observe(document.body, { childList: true, subtree: true });
name();
