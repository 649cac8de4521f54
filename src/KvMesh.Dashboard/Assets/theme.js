// Runs before the first paint, so that a chosen colour scheme never flashes.
(() => {
  "use strict";
  const names = { auto: "as the system", light: "light", dark: "dark" };
  const order = ["auto", "light", "dark"];
  const root = document.documentElement;
  const read = () => {
    try { return localStorage.getItem("kvmesh-theme"); } catch { return null; }
  };
  const apply = theme => {
    root.dataset.theme = theme;
    const button = document.getElementById("theme");
    if (button) {
      button.setAttribute("aria-label", "Colours: " + names[theme]);
      button.title = "Colours: " + names[theme];
    }
  };
  let theme = order.includes(read()) ? read() : "auto";
  apply(theme);
  document.addEventListener("DOMContentLoaded", () => {
    apply(theme);
    document.getElementById("theme").addEventListener("click", () => {
      theme = order[(order.indexOf(theme) + 1) % order.length];
      try { localStorage.setItem("kvmesh-theme", theme); } catch { /* a browser without storage forgets it */ }
      apply(theme);
    });
  });
})();
