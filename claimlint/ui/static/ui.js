"use strict";
// Everything works without this script; with it, files can be dropped and progress is shown.

function size(bytes) {
  return bytes >= 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.max(1, Math.round(bytes / 1e3))} KB`;
}

function upload() {
  const form = document.getElementById("form");
  if (!form) return;
  const input = document.getElementById("claims");
  const drop = document.getElementById("drop");
  const chosen = document.getElementById("chosen");
  const error = document.getElementById("error");
  const most = Number(form.dataset.most);
  let files = [];
  for (const each of document.querySelectorAll(".with-js")) each.hidden = false;

  function complain(text) {
    error.textContent = text;
    error.hidden = !text;
    if (text) error.scrollIntoView({block: "nearest"});
  }

  function show() {
    const all = new DataTransfer();
    for (const file of files) all.items.add(file);
    input.files = all.files;
    chosen.replaceChildren(...files.map((file, at) => {
      const item = document.createElement("li");
      const name = document.createElement("span");
      name.textContent = `${file.name} (${size(file.size)})`;
      const remove = document.createElement("button");
      remove.type = "button";
      remove.textContent = "Remove";
      remove.setAttribute("aria-label", `Remove ${file.name}`);
      remove.addEventListener("click", () => { files.splice(at, 1); show(); input.focus(); });
      item.append(name, remove);
      return item;
    }));
    chosen.hidden = !files.length;
  }

  function add(more) {
    complain("");
    for (const file of more) {
      if (!files.some((f) => f.name === file.name && f.size === file.size && f.lastModified === file.lastModified)) {
        files.push(file);
      }
    }
    show();
  }

  input.addEventListener("change", () => add([...input.files]));
  // A file that is dropped beside the zone is not to replace the page.
  for (const kind of ["dragover", "drop"]) {
    window.addEventListener(kind, (event) => event.preventDefault());
  }
  drop.addEventListener("dragover", () => drop.classList.add("over"));
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    drop.classList.remove("over");
    const items = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry && item.webkitGetAsEntry());
    if (items.some((item) => item && item.isDirectory)) {
      complain("That is a folder. Drop the files in it, or a zip of it.");
      return;
    }
    add([...event.dataTransfer.files]);
  });

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    complain("");
    const data = new FormData(form);
    let total = 0;
    for (const value of data.values()) total += value instanceof File ? value.size : 0;
    if (total > most) {
      complain(`These files are ${size(total)} together; ${size(most)} can be checked at a time.`);
      return;
    }
    const button = form.querySelector("button[type=submit]");
    const sending = document.getElementById("sending");
    const sent = document.getElementById("sent");
    const over = (text) => { button.disabled = false; sending.hidden = true; complain(text); };
    button.disabled = true;
    sending.hidden = false;
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "application/json");
    request.responseType = "json";
    request.upload.addEventListener("progress", (at) => { if (at.lengthComputable) sent.value = at.loaded / at.total; });
    request.addEventListener("load", () => {
      const answer = request.response || {};
      if (answer.url) window.location.assign(answer.url);
      else over(answer.error || "claimlint did not take the files. Open its page again from the window it runs in.");
    });
    request.addEventListener("error", () => over("claimlint does not answer. Is it still running? Was a file moved?"));
    request.send(data);
  });
  // When the page is come back to.
  window.addEventListener("pageshow", (event) => { if (event.persisted) window.location.reload(); });
}

function watch() {
  const working = document.getElementById("working");
  if (!working) return;
  const done = document.getElementById("done");
  const said = document.getElementById("said");
  async function ask() {
    try {
      const answer = await fetch(working.dataset.progress, {cache: "no-store"});
      const now = await answer.json();
      if (!answer.ok || now.ended) { window.location.reload(); return; }
      done.value = now.done;
      if (said.textContent !== now.said) said.textContent = now.said;
      window.setTimeout(ask, 400);
    } catch {
      said.textContent = "claimlint does not answer. Is it still running?";
      window.setTimeout(ask, 2000);
    }
  }
  ask();
}

upload();
watch();
