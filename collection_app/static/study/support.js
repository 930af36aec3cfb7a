/** Whether this browser has what the study needs: seen before anything else, and before consent is asked.
 *
 * Written for browsers of any age, and no module: one that cannot even read the others still ends here, as an
 * unsuitable device, with its code and no places held. What is asked for here came with Safari 15.4, Firefox 98
 * and Chromium 100, or before.
 */
(function () {
  "use strict";

  var AGAIN_MS = 3000;
  /** @type {Record<string, boolean>} */
  var needed = {
    modules: "noModule" in document.createElement("script"),
    signals: "AbortSignal" in window && "throwIfAborted" in window.AbortSignal.prototype,
    language: "at" in Array.prototype && "hasOwn" in Object,
    dialogs: "HTMLDialogElement" in window && "showModal" in window.HTMLDialogElement.prototype,
    bitmaps: "createImageBitmap" in window,
    sizes: "ResizeObserver" in window,
    pointers: "PointerEvent" in window,
    chance: "crypto" in window && "getRandomValues" in window.crypto,
  };
  var lacking = Object.keys(needed).filter(function (name) {
    return !needed[name];
  });
  var about = document.body;
  if (!lacking.length || about.hasAttribute("data-refused") || about.hasAttribute("data-preview")) return;
  about.setAttribute("data-lacking", lacking.join(" ")); // the other scripts, if they can be read, stay away

  var texts = JSON.parse(about.getAttribute("data-texts") || "{}");
  /**
   * @param {string} id
   * @returns {any} of the kind that the template says
   */
  function by(id) {
    return document.getElementById(id);
  }

  /** @param {string} page */
  function show(page) {
    /** @type {NodeListOf<HTMLElement>} */
    var sections = document.querySelectorAll("section[data-page]");
    for (var i = 0; i < sections.length; i += 1) sections[i].hidden = sections[i].getAttribute("data-page") !== page;
    about.setAttribute("data-page", page);
  }

  /**
   * Post JSON until there is an answer; all requests are harmless to repeat.
   *
   * @param {string} path
   * @param {object} body
   * @param {string} token
   * @param {(session: SessionState) => void} done
   */
  function post(path, body, token, done) {
    var request = new XMLHttpRequest();
    request.open("POST", path);
    request.setRequestHeader("Content-Type", "application/json");
    if (token) request.setRequestHeader("Authorization", "Bearer " + token);
    request.onloadend = function () {
      if (request.status === 200) return done(JSON.parse(request.responseText));
      if (request.status >= 400 && request.status < 500 && request.status !== 429) {
        by("device-verdict").textContent = texts["problem.other"];
        return undefined;
      }
      return setTimeout(function () {
        post(path, body, token, done);
      }, AGAIN_MS);
    };
    request.send(JSON.stringify(body));
  }

  function parameters() {
    /** @type {Record<string, string>} */
    var found = {};
    location.search
      .slice(1)
      .split("&")
      .forEach(function (part) {
        var at = part.indexOf("=");
        if (at > 0) found[plain(part.slice(0, at))] = plain(part.slice(at + 1));
      });
    delete found.lang;
    return found;
  }

  /** @param {string} text */
  function plain(text) {
    return decodeURIComponent(text.replace(/\+/g, " "));
  }

  function key() {
    var made = "";
    while (made.length < 32) made += Math.floor(16 * Math.random()).toString(16);
    return made;
  }

  /** @param {SessionState} session */
  function end(session) {
    var form = by("departure");
    by("done-title").textContent = texts["done." + session.outcome + "_title"];
    by("done-text").textContent = texts["done." + session.outcome + "_text"];
    by("code").textContent = session.code || "";
    by("done-code").hidden = !session.code;
    by("copy").hidden = true;
    form.hidden = !session.redirect && !session.submit;
    form.onsubmit = function (/** @type {Event} */ event) {
      if (!session.redirect) return;
      event.preventDefault();
      location.href = session.redirect;
    };
    var submit = session.submit;
    if (submit) {
      var fields = submit.fields;
      form.action = submit.action;
      Object.keys(fields).forEach(function (name) {
        var field = document.createElement("input");
        field.type = "hidden";
        field.name = name;
        field.value = fields[name];
        form.appendChild(field);
      });
    }
    show("done");
  }

  function leave() {
    by("device-leave").disabled = true;
    post("/api/arrivals", { key: key(), parameters: parameters() }, "", function (session) {
      if (session.outcome) return end(session);
      return post("/api/withdraw", { reason: "unsuitable_device" }, session.token, end);
    });
  }

  show("device");
  by("device-verdict").className = "notice bad";
  by("device-verdict").textContent = texts["device.old_browser"];
  by("device-size").parentNode.hidden = by("device-next").hidden = true;
  by("device-again").hidden = by("device-leave").hidden = false;
  by("device-again").onclick = function () {
    location.reload();
  };
  by("device-leave").onclick = leave;
})();
