// Names for what the theme leaves without one, so that a screen reader can tell it apart.
const name = () => {
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
  document.querySelectorAll(".md-code__nav:not([aria-label])").forEach((bar) => {
    bar.setAttribute("aria-label", `Code ${bar.closest("[id]")?.id ?? ""}`);
  });
};
new MutationObserver(name).observe(document.body, { childList: true, subtree: true });
name();
