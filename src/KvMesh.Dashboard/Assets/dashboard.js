// Keeps the board up to date: frames of HTML come over one web socket and are merged into the page in place, so that
// focus, selection and scroll position stay. Nothing is sent.
(() => {
  "use strict";
  const signInAgain = 4401, allViewsTaken = 4429;
  const retryMilliseconds = 1000, glanceMilliseconds = 2000;
  const board = document.getElementById("board");
  const lost = document.getElementById("lost");
  const patience = +board.dataset.patience;
  let socket = null, heardAt = Date.now(), retry = 0, hide = 0;

  const connect = () => {
    clearTimeout(retry);
    const address = new URL(board.dataset.view, location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const opened = socket = new WebSocket(address);
    opened.onmessage = message => {
      heardAt = Date.now();
      lost.hidden = true;
      document.documentElement.classList.remove("stale");
      show(message.data);
    };
    opened.onclose = event => {
      if (socket !== opened) return;
      socket = null;
      if (event.code === signInAgain || event.code === allViewsTaken) location.reload();
      else if (!document.hidden) retry = setTimeout(connect, retryMilliseconds);
    };
  };

  const disconnect = () => {
    clearTimeout(retry);
    const closing = socket;
    socket = null;
    if (closing) closing.close();
  };

  const show = html => {
    const next = document.createElement("template");
    next.innerHTML = html;
    merge(board, next.content);
    pointers.forEach(redraw => redraw());
  };

  // Merges children pairwise; the server writes the same structure each time, so position says which is which.
  const merge = (from, to) => {
    let old = from.firstChild;
    for (let fresh = to.firstChild; fresh;) {
      const after = fresh.nextSibling;
      if (old === null) {
        from.appendChild(fresh);
      } else if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) {
        const following = old.nextSibling;
        from.replaceChild(fresh, old);
        old = following;
      } else {
        if (old.nodeType === Node.ELEMENT_NODE) {
          mergeAttributes(old, fresh);
          merge(old, fresh);
        } else if (old.nodeValue !== fresh.nodeValue) {
          old.nodeValue = fresh.nodeValue;
        }
        old = old.nextSibling;
      }
      fresh = after;
    }
    while (old) {
      const following = old.nextSibling;
      if (!(old.dataset && old.dataset.local)) from.removeChild(old);
      old = following;
    }
  };

  const mergeAttributes = (old, fresh) => {
    for (const { name, value } of fresh.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    for (const { name } of [...old.attributes]) {
      // What is folded out stays so.
      if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
    }
  };

  setInterval(() => {
    const silent = Date.now() - heardAt;
    if (document.hidden || silent < patience) return;
    lost.textContent = "The dashboard does not answer. These figures are from " + Math.round(silent / 1000) + " s ago. Trying again every second.";
    lost.hidden = false;
    document.documentElement.classList.add("stale");
    if (silent > patience + 5000 && socket && socket.readyState === WebSocket.OPEN) {
      heardAt += retryMilliseconds;
      disconnect();
      connect();
    }
  }, 1000);

  // A page that nobody sees asks for nothing and gives its place back; a glance at another tab does not count.
  document.addEventListener("visibilitychange", () => {
    clearTimeout(hide);
    if (document.hidden) hide = setTimeout(disconnect, glanceMilliseconds);
    else if (!socket) { heardAt = Date.now(); connect(); }
  });

  // The question before an action comes up over the page; without this script, or when it cannot be had, it is a page of its own.
  document.addEventListener("click", async event => {
    const link = event.target.closest && event.target.closest("a[data-question]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    const answer = await fetch(link.href).catch(() => null);
    const letter = answer && answer.ok && new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(".question");
    if (!letter) { location.href = link.href; return; }
    const dialog = document.createElement("dialog");
    dialog.append(...letter.childNodes);
    const title = dialog.querySelector("h1");
    title.id = "question";
    dialog.setAttribute("aria-labelledby", "question");
    dialog.addEventListener("close", () => dialog.remove());
    dialog.querySelector(".back").addEventListener("click", back => { back.preventDefault(); dialog.close(); });
    document.body.append(dialog);
    dialog.showModal();
    dialog.querySelector("button").focus();
  });

  // What an action came to is said once: loading the page again must not say it again.
  if (document.getElementById("done")) history.replaceState(null, "", location.pathname);

  // Values under the pointer, read back from the drawn lines.
  const pointers = new Map();
  const scale = (value, step, units) => {
    let unit = 0;
    while (Math.abs(value) >= step * 0.9995 && unit < units.length - 1) { value /= step; unit++; }
    const digits = value === 0 || Math.abs(value) >= 99.95 ? 0 : Math.abs(value) >= 9.995 ? 1 : 2;
    return value.toFixed(digits) + "\u202f" + units[unit];
  };
  const formats = {
    BytesPerSecond: value => scale(value, 1000, ["B/s", "kB/s", "MB/s", "GB/s", "TB/s"]),
    PerSecond: value => scale(value, 1000, ["/s", "k/s", "M/s"]),
    Microseconds: value => scale(value, 1000, ["µs", "ms", "s"]),
    Share: value => (value * 100).toFixed(1) + "\u202f%",
  };

  const valueAt = (plot, line, x) => {
    let best = null, distance = 8;
    for (const [, px, py] of line.getAttribute("d").matchAll(/[ML]([\d.]+) ([\d.]+)/g)) {
      if (Math.abs(px - x) < distance) { distance = Math.abs(px - x); best = 1 - py / 100; }
    }
    if (best === null) return null;
    const { min, max, log } = plot.dataset;
    return log ? min * Math.pow(max / min, best) : +min + best * (max - min);
  };

  const point = (plot, clientX) => {
    const box = plot.getBoundingClientRect();
    const at = Math.min(1, Math.max(0, (clientX - box.left) / box.width));
    const last = plot.dataset.points - 1;
    const index = Math.round(at * last);
    const x = index * 600 / last;
    let below = 0;
    const rows = [...plot.querySelectorAll("path.line")].map(line => {
      const value = valueAt(plot, line, x);
      const own = value === null ? null : plot.dataset.stacked ? value - below : value;
      if (value !== null && plot.dataset.stacked) below = value;
      return own === null ? null : [line.dataset.name, formats[plot.dataset.unit](own)];
    }).filter(Boolean);
    const ago = (last - index) * plot.dataset.seconds;
    let tip = plot.querySelector(".tip");
    if (!tip) {
      tip = document.createElement("div");
      tip.className = "tip";
      tip.dataset.local = "1";
      tip.append(document.createElement("div"));
      plot.append(tip);
    }
    tip.style.left = index / last * 100 + "%";
    tip.classList.toggle("flip", at > 0.6);
    const words = rows.map(([name, value]) => {
      const row = document.createElement("div");
      row.append(Object.assign(document.createElement("span"), { textContent: name }), Object.assign(document.createElement("b"), { textContent: value }));
      return row;
    });
    const labels = plot.dataset.labels;
    const when = labels ? labels.split("|")[index] : ago === 0 ? "now" : ago < 60 ? ago + " s ago" : Math.floor(ago / 60) + " min " + ago % 60 + " s ago";
    tip.firstChild.replaceChildren(Object.assign(document.createElement("div"), { className: "when", textContent: when }), ...words);
  };

  board.addEventListener("pointermove", event => {
    const plot = event.target.closest && event.target.closest(".plot");
    for (const other of pointers.keys()) if (other !== plot) leave(other);
    if (!plot) return;
    pointers.set(plot, () => plot.isConnected ? point(plot, event.clientX) : pointers.delete(plot));
    point(plot, event.clientX);
  });
  board.addEventListener("pointerleave", () => [...pointers.keys()].forEach(leave));
  const leave = plot => {
    pointers.delete(plot);
    const tip = plot.querySelector(".tip");
    if (tip) tip.remove();
  };

  if (!document.hidden) connect();
})();
