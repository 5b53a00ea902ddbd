(function () {
  "use strict";
  var drawn = [];
  function width(box) {
    var node = box;
    while (node && node.clientWidth === 0) node = node.parentElement;
    var found = node ? node.clientWidth : 340;
    var limit = parseInt(box.dataset.max, 10) || 760;
    var shut = box.closest("details:not([open])");
    if (shut) found = 360;
    return Math.max(240, Math.min(found, limit));
  }
  function draw(item) {
    var box = item.box;
    var size = width(item.box);
    if (item.size === size) return Promise.resolve();
    item.size = size;
    var spec = JSON.parse(item.text);
    spec.width = size;
    // Sensitivity and specificity, predicted and observed: one unit is as long on both axes.
    if (box.dataset.square) spec.height = Math.min(spec.height, size - 62);
    (spec.params || []).forEach(function (p) { if (p.name === "narrow") p.value = size < Number(box.dataset.narrow); });
    if (item.view) item.view.finalize();
    return window.vegaEmbed(item.box, spec, {
      renderer: item.box.dataset.renderer,
      actions: { export: true, source: false, compiled: false, editor: false },
      downloadFileName: item.box.dataset.name,
      tooltip: { theme: "light" },
      hover: false
    }).then(function (result) {
      item.view = result;
      item.box.setAttribute("data-state", "drawn");
    }).catch(function (error) {
      item.box.textContent = "This figure could not be drawn: " + error.message;
      item.box.setAttribute("data-state", "failed");
    });
  }
  document.querySelectorAll(".vis").forEach(function (box) {
    drawn.push({ box: box, text: document.getElementById("spec-" + box.dataset.name).textContent, size: 0 });
  });
  drawn.reduce(function (before, item) { return before.then(function () { return draw(item); }); }, Promise.resolve())
    .then(function () { document.documentElement.setAttribute("data-figures", "ready"); });
  var timer;
  window.addEventListener("resize", function () {
    clearTimeout(timer);
    timer = setTimeout(function () { drawn.forEach(draw); }, 150);
  });
  document.querySelectorAll("details").forEach(function (part) {
    part.addEventListener("toggle", function () {
      if (part.open) drawn.filter(function (item) { return part.contains(item.box); }).forEach(draw);
    });
  });
  window.addEventListener("beforeprint", function () {
    document.querySelectorAll("details.print").forEach(function (part) { part.open = true; });
  });
  function value(row, column) {
    var cell = row.children[column];
    var text = cell.dataset.v;
    if (text === "") return null;
    var parsed = Number(text);
    return isNaN(parsed) ? text.toLowerCase() : parsed;
  }
  document.querySelectorAll("th button").forEach(function (button) {
    button.addEventListener("click", function () {
      var head = button.parentElement, table = head.closest("table"), body = table.tBodies[0];
      var column = Array.prototype.indexOf.call(head.parentElement.children, head);
      var up = head.getAttribute("aria-sort") !== "ascending";
      table.querySelectorAll("th[aria-sort]").forEach(function (other) { other.removeAttribute("aria-sort"); });
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      Array.prototype.slice.call(body.rows).map(function (row, place) { return [value(row, column), place, row]; })
        .sort(function (a, b) {
          if (a[0] === null || b[0] === null) return (a[0] === null) - (b[0] === null) || a[1] - b[1];
          var order = typeof a[0] === typeof b[0] ? (a[0] > b[0]) - (a[0] < b[0])
            : String(a[0]) > String(b[0]) ? 1 : -1;
          return (up ? order : -order) || a[1] - b[1];
        }).forEach(function (entry) { body.appendChild(entry[2]); });
    });
  });
  var copy = document.querySelector(".copy");
  if (copy) {
    copy.addEventListener("click", function () {
      var range = document.createRange();
      range.selectNodeContents(document.querySelector(".methods"));
      var selection = window.getSelection();
      selection.removeAllRanges();
      selection.addRange(range);
      copy.textContent = document.execCommand("copy") ? "Copied" : "Selected: press Ctrl+C";
    });
  }
  if ("IntersectionObserver" in window) {
    var links = {};
    document.querySelectorAll("nav.toc a").forEach(function (link) { links[link.getAttribute("href").slice(1)] = link; });
    var watcher = new IntersectionObserver(function (entries) {
      entries.forEach(function (entry) {
        if (!entry.isIntersecting) return;
        Object.keys(links).forEach(function (id) { links[id].removeAttribute("aria-current"); });
        if (links[entry.target.id]) links[entry.target.id].setAttribute("aria-current", "true");
      });
    }, { rootMargin: "-10% 0px -75% 0px" });
    document.querySelectorAll("main section").forEach(function (part) { watcher.observe(part); });
  }
})();
